/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Another program in the daemon's place, in the same process: SIGUSR2. Every
 * loop is parked, everything is written into a state (handover.h), a probe of
 * the new program loads it and says whether it could go on, and only then it is
 * started by execve(). Whatever goes wrong before that is one line in the log.
 *
 * It is done twice: at first everything goes on while the probe is awaited, for
 * a program that hangs is to hold nobody up; the second time only a good one is
 * waited for, so that the state it has found good is the very one it gets.
 */
#ifndef VHU_DAEMON_UPGRADE_H
#define VHU_DAEMON_UPGRADE_H

#include "handover.h"

struct daemon;

enum { UPGRADE_WHY_MAX = 320 };

/* The old program. */

/* At the start: where the program is now, as what is there later is the new one. */
void upgrade_init(struct daemon *d);

/*
 * Asks for it: the loop is stopped, and upgrade_now() does it, or has it done
 * later, when nothing is amid its end. Those who asked by the control socket are
 * answered by control_upgrade_failed(), or by the new program.
 */
void upgrade_ask(struct daemon *d);

/* After loop_run(): returns only if the daemon goes on. */
void upgrade_now(struct daemon *d);

/* A probe of the program with this state. 0 or -errno. */
struct upgrade_probe;
int upgrade_probe_start(const char *program, char *const *argv, int state_fd,
			const struct handover_out *out, struct upgrade_probe **ret_probe);

/* Readable when it has ended; -1: the kernel cannot tell. */
int upgrade_probe_fd(const struct upgrade_probe *p);

/* What came of it, within ms; else it is ended. Frees it. 0: it can go on; or -errno with why. */
int upgrade_probe_finish(struct upgrade_probe *p, unsigned int ms, char *ret_why, size_t why_cap);

/* The program in our place. Returns only on failure: -errno. */
int upgrade_exec(const char *program, char *const *argv, int state_fd,
		 const struct handover_out *out);

/* The new program. */

struct upgrade_from {
	struct handover_in in;
	void *bytes;
	size_t len;
	uint64_t began_ns; /* when the old program held still */
	bool check;	   /* it is a probe: nothing may be touched */
};

/*
 * Whether we were started to go on: 1, and *ret_from; 0, no; -errno with a
 * sentence. Sockets of the service manager are taken from there.
 */
int upgrade_find(struct upgrade_from *ret_from, char *ret_why, size_t why_cap);

/* Nothing comes of it. */
void upgrade_drop(struct upgrade_from *from);

/* Everything of the daemon. 0, or -EINVAL and one line in the log. */
int upgrade_load(struct daemon *d, struct upgrade_from *from);

/* It goes on: descriptors that nobody took are closed. A probe ends here. */
void upgrade_go_on(struct daemon *d, struct upgrade_from *from);

#endif
