/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "floods.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "flooders.h"
#include "guests.h"

enum {
	ROUNDS_MAX = 64,
	SETTLE_MS = 30, /* a flood is in full flow then */
	LOOK_MS = 1,
	DAEMON_CPU = 0,
	OTHERS_CPU = 1,
	NS_PER_S = 1000 * 1000 * 1000,
};

/* What is seen of a window. */
struct window {
	double rate; /* bytes of innocents a second that the daemon has worked */
	double busy; /* part of the time in which it could have */
	double ops;  /* of the flood, a second */
};

static struct {
	struct run_daemon busy, idle;
	struct intruder at_busy, at_idle;
	struct crowd crowd;
	struct flood_state *state;
	unsigned int window_ms;
} f;

/* How long a process has had a core, ns. */
static uint64_t cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) < 0)
		die("the daemon's use of its core cannot be read");
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* How long its only thread has waited for one, ns. */
static uint64_t waited_ns(pid_t pid)
{
	unsigned long long ran, waited = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%llu %llu", &ran, &waited) != 2)
		die("%s cannot be read", path);
	fclose(file);
	return waited;
}

/* One flood, as a process. */

static pid_t begin_flood(const struct flooder *flooder, const struct intruder *in)
{
	struct intruder mine = *in;
	pid_t pid;

	memset(f.state, 0, sizeof(*f.state));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("no process: %s", strerror(errno));
	if (pid == 0) {
		guests_end_with_parent();
		crowd_pin(OTHERS_CPU);
		flooder->run(&mine, f.state);
		_exit(0);
	}
	while (!__atomic_load_n(&f.state->ready, __ATOMIC_SEQ_CST)) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			die("\"%s\" could not begin", flooder->text);
		poll(NULL, 0, LOOK_MS);
	}
	return pid;
}

static void end_flood(pid_t pid, const char *text, const struct intruder *in)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) == pid)
		die("\"%s\" has ended by itself", text);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	intruder_await_turn(in);
}

static struct window measure(void)
{
	uint64_t begin = monotonic_ns(), bytes = crowd_bytes(&f.crowd);
	uint64_t ops = __atomic_load_n(&f.state->n, __ATOMIC_RELAXED);
	uint64_t ran = cpu_ns(f.busy.pid), waited = waited_ns(f.busy.pid), took;

	poll(NULL, 0, (int)f.window_ms);
	ran = cpu_ns(f.busy.pid) - ran;
	bytes = crowd_bytes(&f.crowd) - bytes;
	ops = __atomic_load_n(&f.state->n, __ATOMIC_RELAXED) - ops;
	waited = waited_ns(f.busy.pid) - waited;
	took = monotonic_ns() - begin;
	return (struct window){
		.rate = (double)bytes * NS_PER_S / (double)(ran + 1),
		.busy = (double)ran / (double)(took - min_u64(waited, took - 1)),
		.ops = (double)ops * NS_PER_S / (double)took,
	};
}

static struct window run_window(const struct flooder *flooder, const struct intruder *in)
{
	pid_t pid = begin_flood(flooder, in);
	struct window w;

	poll(NULL, 0, SETTLE_MS);
	w = measure();
	end_flood(pid, flooder->text, in);
	return w;
}

/* Figures */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Of one member of the windows. */
#define MEDIAN(windows, n, member)                                                                 \
	({                                                                                         \
		double values_[ROUNDS_MAX];                                                        \
		for (unsigned int i_ = 0; i_ < (n); i_++)                                          \
			values_[i_] = (windows)[i_].member;                                        \
		median(values_, n);                                                                \
	})

static void measure_flood(const struct flooder *flooder, unsigned int n)
{
	struct window with[ROUNDS_MAX], without[ROUNDS_MAX];
	double left[ROUNDS_MAX];

	for (unsigned int i = 0; i < n; i++) {
		without[i] = run_window(flooder, &f.at_idle);
		with[i] = run_window(flooder, &f.at_busy);
		left[i] = with[i].rate / without[i].rate;
	}
	printf("%8.2f %8.2f %6.1f %% %5.0f %% %4.0f %% %9.0f %9.0f  %s\n",
	       MEDIAN(without, n, rate) / 1e9, MEDIAN(with, n, rate) / 1e9,
	       100 * (1 - median(left, n)), 100 * MEDIAN(without, n, busy),
	       100 * MEDIAN(with, n, busy), MEDIAN(without, n, ops), MEDIAN(with, n, ops),
	       flooder->text);
	fflush(stdout);
}

static void print_head(const struct floods_plan *plan)
{
	printf("# %u innocent guests, %u windows of %u ms each by turns; daemon on core %d, all "
	       "else on core %d\n",
	       plan->n_innocents, plan->n_rounds, plan->window_ms, DAEMON_CPU, OTHERS_CPU);
	printf("# GB of the innocents a second of their daemon's CPU, while the flood is at "
	       "another "
	       "daemon and\n# at theirs; what they lose; how busy theirs is; floods a second\n");
	printf("# other    theirs     loss    busy   busy     other    theirs  flood\n");
}

static void start_daemon(struct run_daemon *d, const char *program, unsigned int n, int cpu,
			 struct intruder *ret_intruder)
{
	d->program = program;
	crowd_pin(cpu); /* it inherits that */
	guests_start(d, n, true);
	guests_intruder(d, ret_intruder);
}

void floods_measure(const struct floods_plan *plan)
{
	unsigned int n = plan->n_rounds < ROUNDS_MAX ? plan->n_rounds : ROUNDS_MAX;

	f.window_ms = plan->window_ms;
	f.state = mmap(NULL, sizeof(*f.state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (f.state == MAP_FAILED)
		die("no memory to share: %s", strerror(errno));
	start_daemon(&f.busy, plan->program, plan->n_innocents, DAEMON_CPU, &f.at_busy);
	start_daemon(&f.idle, plan->program, 1, OTHERS_CPU, &f.at_idle);
	f.crowd = (struct crowd){ &f.busy, plan->n_innocents, true, OTHERS_CPU, 0, NULL };
	crowd_start(&f.crowd);
	print_head(plan);
	for (const struct flooder *flooder = flooders; flooder->text; flooder++)
		if (!plan->only || strstr(flooder->text, plan->only))
			measure_flood(flooder, n);
	crowd_end(&f.crowd);
	daemon_signal(&f.busy, SIGTERM);
	daemon_signal(&f.idle, SIGTERM);
	daemon_remove(&f.busy);
	daemon_remove(&f.idle);
}
