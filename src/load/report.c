/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "load/report-json.h"

enum { LABEL_COLUMNS = 18 };

/* A number of the table, as "before VALUE after"; a label begins a line. */
struct cell {
	const char *label, *before, *after;
	enum report_key key;
	double scale;
};

static const struct cell cells[] = {
	{ "latency, us", "min ", "", REPORT_min_ns, 1e-3 },
	{ NULL, "p50 ", "", REPORT_p50_ns, 1e-3 },
	{ NULL, "p90 ", "", REPORT_p90_ns, 1e-3 },
	{ NULL, "p99 ", "", REPORT_p99_ns, 1e-3 },
	{ NULL, "p99.9 ", "", REPORT_p999_ns, 1e-3 },
	{ NULL, "max ", "", REPORT_max_ns, 1e-3 },
	{ "throughput", "", " MB/s", REPORT_mb_per_s, 1 },
	{ NULL, "", " messages/s", REPORT_messages_per_s, 1 },
	{ "kicks", "", " a message", REPORT_kicks_per_message, 1 },
	{ NULL, "", " a MB", REPORT_kicks_per_mb, 1 },
	{ "calls", "", " a message", REPORT_calls_per_message, 1 },
	{ NULL, "", " a MB", REPORT_calls_per_mb, 1 },
	{ "listening after", "", " ms", REPORT_listen_ns, 1e-6 },
	{ NULL, "serving after ", " ms", REPORT_serve_ns, 1e-6 },
	{ "first handshake", "", " us", REPORT_first_handshake_ns, 1e-3 },
	{ "starved at most", "", " ms", REPORT_starved_ns, 1e-6 },
	{ "CPU", "", " ms a MB", REPORT_cpu_ms_per_mb, 1 },
	{ NULL, "", " us a message", REPORT_cpu_us_per_message, 1 },
	{ NULL, "", " % of a core", REPORT_cpu_cores, 100 },
	{ "context switches", "", " a message", REPORT_context_switches_per_message, 1 },
	{ NULL, "", " in all", REPORT_context_switches, 1 },
	{ "wake-ups", "", " a second", REPORT_wakeups_per_s, 1 },
	{ "system calls", "", " a message", REPORT_syscalls_per_message, 1 },
	{ NULL, "", " in all", REPORT_syscalls, 1 },
	{ "resident", "", " KiB", REPORT_rss_bytes, 1.0 / 1024 },
	{ NULL, "private ", " KiB", REPORT_private_bytes, 1.0 / 1024 },
	{ NULL, "", " KiB a guest", REPORT_private_bytes_per_guest, 1.0 / 1024 },
	{ "descriptors", "", "", REPORT_fds, 1 },
	{ NULL, "", " a guest", REPORT_fds_per_guest, 1 },
	{ "violations", "", "", REPORT_violations, 1 },
};

/* Three digits that count, or all of them before the point. */
static void put_value(FILE *out, double value)
{
	int n_decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;

	fprintf(out, "%.*f", value == floor(value) ? 0 : n_decimals, value);
}

static void put_title(FILE *out, const struct load_report *r)
{
	const struct load_options *o = r->o;

	fprintf(out, "%s: %u guest%s, port %s, chunk %llu", r->mode, r->n_guests,
		r->n_guests == 1 ? "" : "s", o->port, (unsigned long long)o->chunk);
	if (o->chain > 1 || o->indirect)
		fprintf(out, " in %llu%s", (unsigned long long)o->chain,
			o->indirect ? " indirect" : "");
	fprintf(out, ", ring %llu%s%s, depth %llu", (unsigned long long)o->ring,
		o->ring_words ? " " : "", o->ring_words ? o->ring_words : "",
		(unsigned long long)o->depth);
	if (o->rate > 0)
		fprintf(out, ", %llu/s", (unsigned long long)o->rate);
	fprintf(out, ", driver %s%s%s\n", o->wait == LOAD_WAIT_POLL ? "polling" : "sleeping",
		o->event_idx == LOAD_EVENT_IDX_ON ? "" : ", no EVENT_IDX",
		o->asleep ? ", back-end asleep" : "");
}

static void put_label(FILE *out, const char *label)
{
	fprintf(out, "  %-*s", LABEL_COLUMNS, label);
}

static void put_measured(FILE *out, const struct load_report *r)
{
	put_label(out, "measured");
	put_value(out, report_number(r, REPORT_seconds));
	fputs(" s", out);
	if (r->f->n_messages > 0)
		fprintf(out, ", %llu messages", (unsigned long long)r->f->n_messages);
	if (r->f->n_bytes > 0)
		fprintf(out, ", %llu bytes", (unsigned long long)r->f->n_bytes);
	fputc('\n', out);
}

/* Lines without any number are left out. */
static void put_cells(FILE *out, const struct load_report *r)
{
	const char *label = NULL;
	bool begun = false;

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		double value = report_number(r, cells[i].key);

		if (cells[i].label) {
			fputs(begun ? "\n" : "", out);
			label = cells[i].label;
			begun = false;
		}
		if (!isfinite(value))
			continue;
		if (begun)
			fputs(", ", out);
		else
			put_label(out, label);
		begun = true;
		fputs(cells[i].before, out);
		put_value(out, value * cells[i].scale);
		fputs(cells[i].after, out);
	}
	fputs(begun ? "\n" : "", out);
}

static void put_limit(FILE *out, const struct load_report *r)
{
	bool latency = strcmp(r->limit->unit, "ns") == 0;
	double limit = report_number(r, latency ? REPORT_limit_p50_ns : REPORT_limit_mb_per_s);
	double ratio = report_number(r, REPORT_ratio), cpu = report_number(r, REPORT_cpu_ratio);

	if (!isfinite(limit) || !isfinite(ratio))
		return;
	put_label(out, "limit");
	fprintf(out, "%s ", r->limit->name);
	put_value(out, latency ? limit / 1e3 : limit);
	fprintf(out, " %s; this is %.3f of it", latency ? "us" : "MB/s", ratio);
	if (isfinite(cpu))
		fprintf(out, ", with %.3f of its CPU a MB", cpu);
	fputc('\n', out);
}

void report_print(FILE *out, const struct load_report *r, bool json)
{
	if (json) {
		report_print_json(out, r);
		return;
	}
	put_title(out, r);
	put_measured(out, r);
	put_cells(out, r);
	if (r->limit && r->limit_figures)
		put_limit(out, r);
}

/* A column of the table of limits: a number or nothing. */
static void put_column(FILE *out, double value)
{
	char text[32] = "-";

	if (isfinite(value))
		snprintf(text, sizeof(text), "%.*f", value >= 100 ? 1 : 3, value);
	fprintf(out, " %10s", text);
}

static void put_limit_row(FILE *out, const struct load_options *o,
			  const struct load_limit_report *limit)
{
	const struct load_report r = { .o = o, .f = &limit->figures };

	fprintf(out, "%-12s", limit->limit->name);
	put_column(out, report_number(&r, REPORT_p50_ns) / 1e3);
	put_column(out, report_number(&r, REPORT_p99_ns) / 1e3);
	put_column(out, report_number(&r, REPORT_max_ns) / 1e3);
	put_column(out, report_number(&r, REPORT_mb_per_s));
	put_column(out, report_number(&r, REPORT_cpu_ms_per_mb));
	fputc('\n', out);
}

void report_print_limits(FILE *out, const struct load_options *o,
			 const struct load_limit_report *limits, unsigned int n_limits, bool json)
{
	if (json) {
		report_print_limits_json(out, o, limits, n_limits);
		return;
	}
	fprintf(out, "%-12s %10s %10s %10s %10s %10s\n", "limit", "p50 us", "p99 us", "max us",
		"MB/s", "CPU ms/MB");
	for (unsigned int i = 0; i < n_limits; i++)
		put_limit_row(out, o, &limits[i]);
}

void report_man(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(report_rows); i++) {
		const struct report_row *row = &report_rows[i];

		fprintf(out, "%s %s\n", row->help ? ".TP\n.B" : ".SS", row->name);
		if (!row->help)
			continue;
		options_man_text(out, row->help);
		fputs(".\n", out);
	}
}
