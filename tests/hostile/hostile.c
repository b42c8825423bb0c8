/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One daemon, many guests, one of which means harm. The traffic of the others goes on
 * all the while, and every byte of it is compared.
 *
 *   hostile [--innocents N] [--seed N] [--only TEXT] [--conform VHU-CONFORM] DAEMON
 *   hostile --floods [--innocents N] [--rounds N] [--window MS] [--only TEXT] DAEMON
 *
 * The intruder cuts off the memory that it shares, in each phase of its use, with rings
 * of either kind; then vhu-conform, if it is given, runs its hostile cases on the same
 * socket. --floods measures instead: see floods.h. --only: attacks with TEXT in their
 * description.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "clock.h"
#include "crowd.h"
#include "floods.h"
#include "guests.h"

enum { LAYOUTS = 2 };

static struct {
	struct run_daemon daemon;
	struct crowd crowd;
	struct intruder intruder;
	const char *conform, *only;
	bool measures; /* floods, by that plan */
	struct floods_plan floods;
	uint64_t seed;
	unsigned int n_tried, n_points;
} t;

static void point(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void point(const char *fmt, ...)
{
	va_list args;

	printf("ok %u - ", ++t.n_points);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* The others have noticed nothing, and the next guest of that device does not, either. */
static void aftermath(void)
{
	crowd_await_progress(&t.crowd);
	intruder_try_service(&t.intruder);
	t.n_tried++;
}

static void attack(const struct attack *a)
{
	if (t.only && !strstr(a->text, t.only))
		return;
	for (unsigned int i = 0; i < LAYOUTS; i++) {
		t.intruder.packed = i == 1;
		a->run(&t.intruder);
		aftermath();
	}
	t.intruder.packed = false;
	point("%s", a->text);
}

/* One line of vhu-conform's TAP. Whether it is a case that has passed. */
static bool take_line(const char *line)
{
	if (strncmp(line, "ok ", 3) == 0 && !strstr(line, "# SKIP"))
		return true;
	if (strncmp(line, "not ok ", 7) == 0)
		die("vhu-conform: %s", line);
	return false;
}

static FILE *start_conform(void)
{
	char peer[160], command[1024];
	FILE *f;

	snprintf(peer, sizeof(peer), "unix:%s/intruder-{port}", t.daemon.dir);
	snprintf(command, sizeof(command),
		 "exec '%s' --hostile --tag hostile --strict --format tap --device console "
		 "--timeout-scale 4 --socket '%s' --peer '%s'",
		 t.conform, t.intruder.socket, peer);
	fflush(stdout);
	f = popen(command, "re");
	if (!f)
		die("%s: %s", t.conform, strerror(errno));
	return f;
}

/* The hostile pack of vhu-conform, on the intruder's socket. */
static void conform(void)
{
	unsigned int n = 0;
	char line[1024];
	FILE *f = start_conform();

	while (fgets(line, sizeof(line), f)) {
		if (!take_line(line))
			continue;
		n++;
		crowd_await_progress(&t.crowd);
	}
	if (pclose(f) != 0 || n == 0)
		die("vhu-conform has failed after %u cases", n);
	t.n_tried += n;
	intruder_try_service(&t.intruder);
	point("%u hostile cases of vhu-conform", n);
}

static void end_held_up(void)
{
	struct run_daemon d = { .program = t.daemon.program };
	struct intruder in;

	guests_start(&d, 1, false);
	guests_intruder(&d, &in);
	attack_end(&d, &in);
	daemon_forget(&d);
	t.n_tried++;
	point("an operation that cannot be taken back holds up the end no longer than it may");
}

static void run(void)
{
	guests_start(&t.daemon, t.crowd.n, false);
	crowd_start(&t.crowd);
	guests_intruder(&t.daemon, &t.intruder);
	intruder_try_service(&t.intruder);
	for (const struct attack *a = attacks; a->text; a++)
		attack(a);
	if (t.conform && !t.only)
		conform();
	crowd_end(&t.crowd);
	daemon_signal(&t.daemon, SIGTERM);
	if (!t.only || strcmp(t.only, "end") == 0)
		end_held_up();
	point("%u guests, and what they and their clients have sent", t.crowd.n);
	printf("# seed %" PRIu64
	       ": attacks tried %u, survived %u; guests %u; bytes compared %" PRIu64 "; lost 0\n",
	       t.seed, t.n_tried, t.n_tried, t.crowd.n, crowd_bytes(&t.crowd));
	daemon_remove(&t.daemon);
	printf("1..%u\n", t.n_points);
}

static void usage(void)
{
	fprintf(stderr, "usage: hostile [--innocents N] [--seed N] [--only TEXT] "
			"[--conform VHU-CONFORM] DAEMON\n"
			"       hostile --floods [--innocents N] [--rounds N] [--window MS] "
			"[--only TEXT] DAEMON\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "innocents", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "conform", required_argument, NULL, 'c' },
		{ "floods", no_argument, NULL, 'f' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "window", required_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	t.crowd.n = CROWD_MAX;
	t.seed = monotonic_ns();
	t.floods.n_rounds = 9;
	t.floods.window_ms = 100;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			t.crowd.n = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 's')
			t.seed = strtoull(optarg, NULL, 10);
		else if (c == 'o')
			t.only = optarg;
		else if (c == 'c')
			t.conform = optarg;
		else if (c == 'f')
			t.measures = true;
		else if (c == 'r')
			t.floods.n_rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'w')
			t.floods.window_ms = (unsigned int)strtoul(optarg, NULL, 10);
		else
			usage();
	}
	if (optind + 1 != argc || t.crowd.n < 1 || t.crowd.n > CROWD_MAX || t.seed == 0)
		usage();
	t.daemon.program = t.floods.program = argv[optind];
	t.floods.n_innocents = t.crowd.n;
	t.floods.only = t.only;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	run_begin(t.seed);
	t.crowd.daemon = &t.daemon;
	t.crowd.cpu = -1;
	if (t.measures)
		floods_measure(&t.floods);
	else
		run();
	return 0;
}
