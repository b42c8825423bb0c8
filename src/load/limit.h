/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the limits of the machine share: when a measurement ends, how a failure
 * is told, and the measure of each row of load-limits.def.
 */
#ifndef VHU_LOAD_LIMIT_H
#define VHU_LOAD_LIMIT_H

#include "load/load-pattern.h"
#include "load/load.h"

/* A measurement under way; it ends with n_messages, or, when that is 0, at end_ns. */
struct limit_run {
	uint64_t start_ns, end_ns;
	uint64_t n_messages;
};

/* Begins now. */
struct limit_run limit_run_start(const struct load_options *o);

/* Whether a measurement ends now, with n messages done. */
static inline bool limit_run_over(const struct limit_run *run, uint64_t now_ns, uint64_t n)
{
	return run->n_messages > 0 ? n >= run->n_messages : now_ns >= run->end_ns;
}

/* Bytes of a message: those of --chunk, or dflt when it is not given. */
static inline size_t limit_chunk(const struct load_options *o, size_t dflt)
{
	return o->chunk > 0 ? (size_t)o->chunk : dflt;
}

/*
 * Slots of chunk bytes: those of --ring, but fewer when they would need very
 * much memory, and made up to a multiple of n.
 */
uint32_t limit_n_slots(const struct load_options *o, size_t chunk, size_t n);

/*
 * Whether these are the bytes from position pos of the stream on. Zero, or
 * -EBADMSG after a sentence that names the stream and the first wrong byte.
 */
int limit_check(const struct load_pattern *pattern, const char *stream, uint64_t pos,
		const unsigned char *bytes, size_t len);

/* Says the sentence, and what err means. Returns err. */
int limit_error(int err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Zero, or -errno after limit_error(). */
#define LIMIT(ident, ...)                                                                          \
	int limit_measure_##ident(const struct load_options *o, struct load_figures *ret_figures);
#include "load/load-limits.def"
#undef LIMIT

#endif
