/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The processes of guests, seen from the one that started them. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../restart/side.h"
#include "clock.h"
#include "soak.h"

enum { NICER = 10, AWAY_MS = 1500 }; /* of a guest that was killed, at most */

static struct {
	pid_t pid; /* 0: it is away */
	int64_t back_at;
} fronts[SOAK_MAX_GUESTS];

static void start(unsigned int id)
{
	struct soak_guest *g = &soak.shared->guests[id];
	pid_t pid = fork();

	if (pid < 0)
		die("no process: %s", strerror(errno));
	if (pid == 0) {
		/* What the parent closes is to be closed. */
		close_range(3, ~0U, 0);
		/* So many of them would leave the daemon no time. */
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER);
		guest_process(g);
	}
	fronts[id].pid = pid;
}

void fronts_start(void)
{
	for (unsigned int id = 0; id < soak.o.n_guests; id++)
		start(id);
}

void fronts_end(void)
{
	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		if (fronts[id].pid == 0)
			continue;
		kill(fronts[id].pid, SIGKILL);
		waitpid(fronts[id].pid, NULL, 0);
		fronts[id].pid = 0;
	}
}

/* What it has offered may have been taken; what was in its buffers is gone. */
static void note_death(struct soak_stream *s)
{
	check_gap_note(&s->out.gaps, s->out.returned, s->out.offered);
	s->in.slack += SIDE_PAGES * GUEST_PAGE + CHECK_HELD;
}

void front_kill(unsigned int id)
{
	struct soak_guest *g = &soak.shared->guests[id];

	if (fronts[id].pid == 0)
		return;
	fronts_watch(false);
	kill(fronts[id].pid, SIGKILL);
	waitpid(fronts[id].pid, NULL, 0);
	for (unsigned int i = 0; i < SOAK_STREAMS; i++)
		note_death(&g->streams[i]);
	memset(g->opened, 0, sizeof(g->opened));
	g->phase = SOAK_LOAD;
	g->incarnation++;
	fronts[id].pid = 0;
	fronts[id].back_at = monotonic_ms() + (int64_t)(run_random() % AWAY_MS);
}

static void check_lives(unsigned int id)
{
	int status;

	if (waitpid(fronts[id].pid, &status, WNOHANG) == 0)
		return;
	fronts[id].pid = 0;
	if (soak.shared->guests[id].sentence[0])
		die("guest %u: %s", id, soak.shared->guests[id].sentence);
	die("the process of guest %u has ended with status 0x%x", id, status);
}

void fronts_watch(bool all)
{
	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		if (fronts[id].pid > 0)
			check_lives(id);
		else if (all || monotonic_ms() >= fronts[id].back_at)
			start(id);
	}
}

bool fronts_are_in(enum soak_phase phase)
{
	for (unsigned int id = 0; id < soak.o.n_guests; id++)
		if (fronts[id].pid == 0 || soak.shared->guests[id].phase != phase)
			return false;
	return true;
}
