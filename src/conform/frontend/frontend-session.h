/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One session of a front-end under test with the played back-end, from its start to its end. */
#ifndef VHU_CONFORM_FRONTEND_SESSION_H
#define VHU_CONFORM_FRONTEND_SESSION_H

#include "conform/frontend/frontend-process.h"
#include "conform/frontend/played.h"

struct frontend_setup {
	const char *socket; /* path, or NULL: one of the tester's own */
	const char *exec;   /* or NULL: it is started by somebody else */
	const struct played_device *device;
	unsigned int n_rings; /* 0: the device's */
	int wait_ms, settle_ms, after_ms;
	uint64_t run_ms; /* how long it took to use its rings, in the good session */
	int listen_fd;	 /* with a path: kept between sessions; else -1 */
	FILE *trace;	 /* all that passes is written there; or NULL */
	char *dir;	 /* of the tester's own, for {dir}; NULL: none yet */
	char error[256];
};

struct frontend_session {
	struct played *p; /* NULL: nobody connected */
	struct frontend_process process;
	bool watched;	  /* process is one that we started */
	bool ended_early; /* it ended by itself */
	bool after_close; /* it was well until we closed a connection that was open */
	bool excused; /* what came of it then comes of every such end: fe/fault/die/running tells */
	bool spins;   /* afterwards its first thread used a processor without a break */
	/* As it stood when nothing was left but to ask the front-end to end. */
	bool left_early, channel_closed, fault_late;
	uint64_t n_messages;
	uint32_t last_id;
	bool again;	 /* it connected again after the fault */
	bool again_ran;	 /* and its rings were used */
	char said[2048]; /* the end of its output */
};

/* 0 or a negative errno with a sentence in error. */
int frontend_setup_open(struct frontend_setup *setup);
void frontend_setup_close(struct frontend_setup *setup);

/*
 * Runs one session. 0, and frontend_session_end() is due; or a negative errno
 * with a sentence in setup->error: the tester's own failure. A front-end that
 * did not connect is no error: p is NULL.
 */
int frontend_session_run(struct frontend_setup *setup, const struct played_script *script,
			 struct frontend_session *ret_session);
void frontend_session_end(struct frontend_session *s);

#endif
