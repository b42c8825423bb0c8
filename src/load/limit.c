/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define NS_PER_S UINT64_C(1000000000)
/* As much memory as slots may take. */
#define SLOTS_MAX_BYTES (UINT64_C(256) << 20)

enum {
	RING_DEFAULT = 256,
	BETWEEN_LOOKS = 256 * 1024, /* bytes copied between looks at the clock */
};

struct limit_run limit_run_start(const struct load_options *o)
{
	uint64_t now_ns = monotonic_ns();

	return (struct limit_run){
		.start_ns = now_ns,
		.end_ns = now_ns + o->ns,
		.n_messages = o->messages,
	};
}

uint32_t limit_n_slots(const struct load_options *o, size_t chunk, size_t n)
{
	uint64_t n_slots = min_u64(o->ring > 0 ? o->ring : RING_DEFAULT, SLOTS_MAX_BYTES / chunk);

	return (uint32_t)((n_slots + n - 1) / n * n);
}

int limit_error(int err, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return load_fail(err, "limit: %s: %s", text, strerror(-err));
}

int limit_check(const struct load_pattern *pattern, const char *stream, uint64_t pos,
		const unsigned char *bytes, size_t len)
{
	size_t n = load_pattern_match(pattern, pos, bytes, len);

	if (n == len)
		return 0;
	return limit_error(-EBADMSG, "byte %" PRIu64 " of %s is 0x%02x, expected 0x%02x", pos + n,
			   stream, bytes[n], *load_pattern_at(pattern, pos + n));
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int limit_measure_none(const struct load_options *o, struct load_figures *ret_figures)
{
	(void)o;
	*ret_figures = (struct load_figures){ 0 };
	return 0;
}

/* From slot to slot, so that as much memory is touched as by a ring of buffers. */
static void copy_slots(const struct load_options *o, unsigned char *to, const unsigned char *from,
		       uint32_t n_slots, struct load_figures *f)
{
	size_t chunk = limit_chunk(o, 4096);
	struct limit_run run = limit_run_start(o);

	do {
		uint64_t n = BETWEEN_LOOKS / chunk + 1;

		if (run.n_messages > 0)
			n = min_u64(n, run.n_messages - f->n_messages);
		for (; n > 0; n--) {
			size_t off = f->n_messages++ % n_slots * chunk;

			memcpy(to + off, from + off, chunk);
			__asm__ volatile("" : : "r"(to) : "memory");
		}
		f->ns = monotonic_ns() - run.start_ns;
	} while (!limit_run_over(&run, run.start_ns + f->ns, f->n_messages));
	f->n_bytes = f->n_messages * chunk;
}

int limit_measure_memcpy(const struct load_options *o, struct load_figures *ret_figures)
{
	size_t chunk = limit_chunk(o, 4096);
	uint32_t n_slots = limit_n_slots(o, chunk, 1);
	struct load_figures f = { 0 };
	unsigned char *from = malloc(n_slots * chunk);
	unsigned char *to = malloc(n_slots * chunk);
	uint64_t cpu_ns;
	int err = 0;

	if (from && to) {
		memset(from, 1, n_slots * chunk);
		memset(to, 2, n_slots * chunk);
		cpu_ns = own_cpu_ns();
		copy_slots(o, to, from, n_slots, &f);
		f.cpu_ns = own_cpu_ns() - cpu_ns;
		*ret_figures = f;
	} else {
		err = limit_error(-ENOMEM, "two rings of %u chunks of %zu bytes", n_slots, chunk);
	}
	free(from);
	free(to);
	return err;
}

#define LIMIT(ident, word, value_unit, text)                                                       \
	[LOAD_LIMIT_##ident] = { .name = (word),                                                   \
				 .unit = (value_unit),                                             \
				 .help = (text),                                                   \
				 .measure = LOAD_LIMIT_##ident == LOAD_LIMIT_none                  \
						    ? NULL                                         \
						    : limit_measure_##ident },
const struct load_limit_row load_limit_rows[LOAD_N_LIMITS] = {
#include "load/load-limits.def"
};
#undef LIMIT
