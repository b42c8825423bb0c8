/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The daemon as /proc has it: memory, descriptors, wake-ups. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"
#include "soak.h"

enum {
	SETTLED_MAX = 4096,
	NAME = 64,
	GUEST_KIB = 16,
	COMERS_KIB = 1536, /* buffers of 24 clients who come and go at once */
	LISTENING = 8,	   /* sockets of a guest: for its front-end and for clients of its ports */
};

enum memory { RSS, ANON, N_MEMORY };

struct sample {
	uint64_t rss, anon, pss; /* KiB */
	uint64_t threads, switches;
	uint64_t kernel_switches; /* of threads that the kernel keeps for io_uring */
	unsigned int fds, sockets, eventfds, memory, rings;
};

static struct {
	FILE *file;
	int64_t began;
	struct sample base; /* before the first front-end and the first client */
	uint64_t filled[N_MEMORY], settled[N_MEMORY][SETTLED_MAX]; /* KiB */
	double settled_at[SETTLED_MAX];				   /* seconds */
	unsigned int n_settled;
	uint64_t idle_switches;
	struct sample max;
} s;

static void add_value(const char *name, const char *key, uint64_t *sum)
{
	char line[512];
	uint64_t value;
	FILE *f = proc_open(soak.daemon.pid, name);

	while (f && fgets(line, sizeof(line), f))
		if (proc_line_value(line, key, 10, &value))
			*sum += value;
	if (f)
		fclose(f);
}

static int count_fd(pid_t pid, int fd, void *arg)
{
	char path[64], to[NAME] = "";
	struct sample *x = arg;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	if (readlink(path, to, sizeof(to) - 1) < 0)
		return 0; /* closed meanwhile */
	x->fds++;
	x->sockets += strncmp(to, "socket:", 7) == 0;
	x->eventfds += strcmp(to, "anon_inode:[eventfd]") == 0;
	x->rings += strcmp(to, "anon_inode:[io_uring]") == 0;
	x->memory += strncmp(to, "/memfd:", 7) == 0;
	return 0;
}

/* io_uring's own threads look every few seconds whether they are still wanted. */
static bool is_kernels(pid_t pid, const char *task)
{
	char name[NAME], comm[NAME] = "";
	FILE *f;

	snprintf(name, sizeof(name), "%s/comm", task);
	f = proc_open(pid, name);
	if (!f)
		return true; /* it has ended: no thread of the program does */
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	return strncmp(comm, "iou-", 4) == 0;
}

static int add_switches(pid_t pid, int tid, void *arg)
{
	struct sample *x = arg;
	char task[NAME / 2], name[NAME];
	uint64_t *sum;

	snprintf(task, sizeof(task), "task/%d", tid);
	snprintf(name, sizeof(name), "%s/status", task);
	sum = is_kernels(pid, task) ? &x->kernel_switches : &x->switches;
	add_value(name, "voluntary_ctxt_switches", sum);
	add_value(name, "nonvoluntary_ctxt_switches", sum);
	x->threads++;
	return 0;
}

static struct sample look(void)
{
	struct sample x = { 0 };

	add_value("status", "VmRSS", &x.rss);
	add_value("status", "RssAnon", &x.anon);
	add_value("smaps_rollup", "Pss", &x.pss);
	proc_each_number(soak.daemon.pid, "task", add_switches, &x);
	proc_each_number(soak.daemon.pid, "fd", count_fd, &x);
	return x;
}

void samples_open(void)
{
	s.began = monotonic_ms();
	while (s.base = look(), s.base.sockets != 1 + LISTENING * soak.o.n_guests) {
		if (s.base.sockets > 0 && monotonic_ms() - s.began > RUN_WAIT_MS)
			die("the daemon listens on %u sockets", s.base.sockets);
		poll(NULL, 0, 10);
	}
	if (!soak.o.samples)
		return;
	s.file = fopen(soak.o.samples, "we");
	if (!s.file)
		die("%s cannot be written: %s", soak.o.samples, strerror(errno));
	fprintf(s.file,
		"seconds,what,rss_kib,anon_kib,pss_kib,fds,sockets,eventfds,memory,io_urings,"
		"threads,switches,kernel_switches\n");
}

static void note(const char *what, const struct sample *x)
{
	if (x->rss > s.max.rss)
		s.max.rss = x->rss;
	if (x->fds > s.max.fds)
		s.max.fds = x->fds;
	if (!s.file)
		return;
	fprintf(s.file,
		"%.1f,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%u,%u,%u,%u,%u,%" PRIu64 ",%" PRIu64
		",%" PRIu64 "\n",
		(double)(monotonic_ms() - s.began) / 1000, what, x->rss, x->anon, x->pss, x->fds,
		x->sockets, x->eventfds, x->memory, x->rings, x->threads, x->switches,
		x->kernel_switches);
	fflush(s.file);
}

void sample_take(const char *what)
{
	struct sample x = look();

	note(what, &x);
}

/* What must be there: what was at the beginning, and what has been given and made since. */
static struct sample due(void)
{
	struct sample x = s.base;
	unsigned int generation;

	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		const struct soak_guest *g = &soak.shared->guests[id];

		x.sockets += g->n_sockets + clients_due(id);
		x.eventfds += g->n_eventfds;
		x.memory += g->n_mappings;
		for (unsigned int hot = 0; hot < SOAK_HOT; hot++)
			x.sockets += ports_is_plugged(id, hot, &generation);
	}
	x.fds += x.sockets - s.base.sockets + x.eventfds - s.base.eventfds + x.memory -
		 s.base.memory;
	return x;
}

static bool same_fds(const struct sample *a, const struct sample *b)
{
	return a->fds == b->fds && a->sockets == b->sockets && a->eventfds == b->eventfds &&
	       a->memory == b->memory && a->rings == b->rings;
}

static void remember(const struct sample *x, bool filled)
{
	const uint64_t memory[N_MEMORY] = { [RSS] = x->rss, [ANON] = x->anon };

	for (unsigned int m = 0; m < N_MEMORY && s.n_settled < SETTLED_MAX; m++)
		*(filled ? &s.filled[m] : &s.settled[m][s.n_settled]) = memory[m];
	s.settled_at[s.n_settled] = (double)(monotonic_ms() - s.began) / 1000;
	s.n_settled += !filled && s.n_settled < SETTLED_MAX - 1;
}

/* What was closed last may be on its way. */
void sample_settled(const char *what)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	struct sample want = due(), x = look();

	while (!same_fds(&want, &x)) {
		if (monotonic_ms() > deadline)
			die("descriptors: expected %u (sockets %u, eventfds %u, memory %u, rings "
			    "%u), are %u (%u, %u, %u, %u)",
			    want.fds, want.sockets, want.eventfds, want.memory, want.rings, x.fds,
			    x.sockets, x.eventfds, x.memory, x.rings);
		poll(NULL, 0, 10);
		x = look();
	}
	note(what, &x);
	remember(&x, strcmp(what, "filled") == 0);
}

bool sample_idle(unsigned int seconds)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	struct sample before = look(), after;

	/* What lingers, and what looks once more before it sleeps, ends by itself. */
	for (;;) {
		poll(NULL, 0, 1000);
		after = look();
		if (after.switches == before.switches)
			break;
		if (monotonic_ms() > deadline)
			die("the daemon does not come to rest");
		before = after;
	}
	sleep(seconds);
	after = look();
	note("idle", &after);
	s.idle_switches = after.switches - before.switches;
	return s.idle_switches == 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(enum memory m, unsigned int from, unsigned int n)
{
	uint64_t x[SETTLED_MAX];

	memcpy(x, s.settled[m] + from, n * sizeof(*x));
	qsort(x, n, sizeof(*x), compare);
	return x[n / 2];
}

/*
 * At the beginning all memory of all ports was touched: what is there then, or in the first
 * quarter of the rounds after a fifth for warming up, whichever is more, is what a daemon of
 * this size takes. The median of the last quarter may be 2 % and 16 KiB for each guest more,
 * which is what an allocator keeps here or there, and what was not yet touched of buffers; and
 * 1.5 MiB, which is what as many rude clients as there may be at once have had for a moment.
 */
static bool is_flat(const char *what, enum memory m)
{
	unsigned int from = s.n_settled / 5, n = (s.n_settled - from) / 4;
	uint64_t first = s.filled[m], last, limit;

	if (n == 0)
		die("too few rounds to tell whether memory grows: %u", s.n_settled);
	for (unsigned int i = from; i < from + n; i++)
		first = s.settled[m][i] > first ? s.settled[m][i] : first;
	last = median(m, s.n_settled - n, n);
	limit = first + first / 50 + (uint64_t)GUEST_KIB * soak.o.n_guests + COMERS_KIB;
	printf("# %s when settled: at most %" PRIu64 " KiB in the beginning, %" PRIu64
	       " KiB in the last quarter; %" PRIu64 " KiB are allowed\n",
	       what, first, last, limit);
	return last <= limit;
}

bool samples_are_flat(void)
{
	bool rss = is_flat("RSS", RSS), anon = is_flat("anonymous memory", ANON);

	return rss && anon;
}

/* KiB an hour, of the line that fits the samples after the warm-up best. */
static double slope(enum memory m)
{
	unsigned int from = s.n_settled / 5, n = s.n_settled - from;
	double mean_x = 0, mean_y = 0, xy = 0, xx = 0;

	for (unsigned int i = from; i < s.n_settled; i++) {
		mean_x += s.settled_at[i] / n;
		mean_y += (double)s.settled[m][i] / n;
	}
	for (unsigned int i = from; i < s.n_settled; i++) {
		xy += (s.settled_at[i] - mean_x) * ((double)s.settled[m][i] - mean_y);
		xx += (s.settled_at[i] - mean_x) * (s.settled_at[i] - mean_x);
	}
	return xx > 0 ? 3600 * xy / xx : 0;
}

void samples_summary(FILE *f)
{
	static const char *const names[N_MEMORY] = { "rss", "anon" };
	unsigned int from = s.n_settled / 5, n = (s.n_settled - from) / 4;

	for (unsigned int m = 0; m < N_MEMORY; m++) {
		fprintf(f, "%s_filled_kib=%" PRIu64 "\n", names[m], s.filled[m]);
		fprintf(f, "%s_first_kib=%" PRIu64 "\n", names[m], median(m, from, n));
		fprintf(f, "%s_last_kib=%" PRIu64 "\n", names[m], median(m, s.n_settled - n, n));
		fprintf(f, "%s_slope_kib_per_hour=%.0f\n", names[m], slope(m));
	}
	fprintf(f, "rss_max_kib=%" PRIu64 "\nfds_max=%u\nfds_base=%u\nsettled=%u\n", s.max.rss,
		s.max.fds, s.base.fds, s.n_settled);
	fprintf(f, "idle_switches=%" PRIu64 "\n", s.idle_switches);
}
