/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load.h"

#include <stdarg.h>

int load_fail(int err, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	option_make_one_line(text);
	fprintf(stderr, "vhu-load: %s\n", text);
	return err;
}

void load_figures_merge(struct load_figures *sum, const struct load_figures *part)
{
	sum->ns += part->ns;
	sum->n_messages += part->n_messages;
	sum->n_bytes += part->n_bytes;
	sum->n_kicks += part->n_kicks;
	sum->n_calls += part->n_calls;
	sum->n_violations += part->n_violations;
	sum->cpu_ns += part->cpu_ns;
	if (part->starved_ns > sum->starved_ns)
		sum->starved_ns = part->starved_ns;
	latency_merge(&sum->latency, &part->latency);
}
