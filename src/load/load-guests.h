/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The guests of a run, from the start of the back-end to their open ports. */
#ifndef VHU_LOAD_LOAD_GUESTS_H
#define VHU_LOAD_LOAD_GUESTS_H

#include "guest/guest.h"
#include "load/load-exec.h"
#include "load/load-line.h"
#include "load/load-peer.h"
#include "load/load.h"

struct load_guest {
	char path[108];
	struct load_peer_address peer;
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct guest driver; /* of the control queues; its fe is NULL without them */
	unsigned int port;
	int peer_fd; /* until the line has it */
	struct load_line line;
};

struct load_run {
	const struct load_options *o;
	enum load_mode_id mode;
	struct load_shape shape;
	struct load_pattern pattern;
	struct load_exec exec;
	struct load_guest *guests;
	unsigned int n_guests;
	pid_t pid;		    /* the back-end's */
	uint64_t listen_ns;	    /* from --exec until it accepted a connection */
	uint64_t serve_ns;	    /* from --exec until it replied on it */
	uint64_t first_ns;	    /* the first guest's handshake */
	struct latency *handshakes; /* of each guest: from connecting to the last reply; from the
				       first reply where the back-end was just starting */
};

/*
 * Starts the back-end if --exec says so, connects guests and peers, and opens
 * their ports. Zero or -errno after a sentence; load_run_fini() is due either
 * way, and ends what was started.
 */
int load_run_init(struct load_run *run, const struct load_options *o, enum load_mode_id mode);
void load_run_fini(struct load_run *run);

/* Whether the back-end still serves all guests; a sentence has said which it does not. */
bool load_run_lives(struct load_run *run);

/* Violations of all guests so far. */
uint64_t load_run_violations(const struct load_run *run);

#endif
