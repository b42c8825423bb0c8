/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A load generator for console back-ends: it plays guests on one side and the
 * ports' peers on the other, in one thread, and measures what is between. What
 * the machine itself can do is measured by the same program in the same run.
 */
#ifndef VHU_LOAD_LOAD_H
#define VHU_LOAD_LOAD_H

#include <time.h>

#include "load/latency.h"
#include "options.h"

enum load_limit_id {
#define LIMIT(ident, ...) LOAD_LIMIT_##ident,
#include "load/load-limits.def"
#undef LIMIT
	LOAD_N_LIMITS
};

enum load_mode_id {
#define MODE(ident, ...) LOAD_MODE_##ident,
#include "load/load-modes.def"
#undef MODE
	LOAD_N_MODES
};

enum load_wait { LOAD_WAIT_POLL, LOAD_WAIT_CALL };
enum load_event_idx { LOAD_EVENT_IDX_ON, LOAD_EVENT_IDX_OFF };
enum load_syscalls {
	LOAD_SYSCALLS_NONE,
	LOAD_SYSCALLS_AUTO,
	LOAD_SYSCALLS_PERF,
	LOAD_SYSCALLS_STRACE
};

/* The command line after its first word. */
struct load_options {
#define HEADING(title)
#define OPT(field, s, l, type, ...) OPTION_FIELD(field, type);
#include "load/load-options.def"
#undef HEADING
#undef OPT
	/* Not on the command line: */
	uint64_t ns; /* length of a measurement, unless messages is set: it then ends with them */
	uint64_t ring_features; /* virtio features that ring_words name */
};

/* What a mode or a limit has measured. Fields that mean nothing to it are 0. */
struct load_figures {
	uint64_t ns; /* that the measurement took */
	uint64_t n_messages, n_bytes;
	uint64_t n_kicks, n_calls;
	uint64_t n_violations; /* used entries that a driver must not get */
	uint64_t starved_ns;   /* many: the longest any guest went without progress */
	uint64_t cpu_ns;       /* limits: CPU time of the other side */
	uint64_t listen_ns;    /* start: from --exec until a socket accepted a connection */
	uint64_t serve_ns;     /* start: from --exec until the first reply on it */
	uint64_t first_ns;     /* start: handshake of the first guest, which is in latency, too */
	struct latency latency;
};

/* What a process used between two looks at it, or has at the second one. */
struct load_usage {
	uint64_t cpu_ns;
	uint64_t n_switches;	     /* context switches, of all threads */
	int64_t n_syscalls;	     /* -1: not counted */
	uint64_t n_wakeups;	     /* voluntary context switches: it slept and was woken */
	uint64_t rss, private_bytes; /* at the end */
	unsigned int n_fds;
};

struct load_limit_row {
	const char *name, *unit, *help;
	/* Zero, or -errno with a sentence on standard error. */
	int (*measure)(const struct load_options *o, struct load_figures *ret_figures);
};

/* By enum load_limit_id; measure of the first is NULL. */
extern const struct load_limit_row load_limit_rows[LOAD_N_LIMITS];

/* One sentence on standard error; returns err. */
PRINTF_LIKE(2, 3) int load_fail(int err, const char *fmt, ...);

/* Adds what was measured in another part of the run. */
void load_figures_merge(struct load_figures *sum, const struct load_figures *part);

static inline double load_mb_per_s(const struct load_figures *f)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): was measured */
	return f->ns > 0 ? (double)f->n_bytes * 1e3 / (double)f->ns : 0;
}

#endif
