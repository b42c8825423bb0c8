/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One client of each port, whose bytes are compared. */
#ifndef VHU_TESTS_SOAK_CLIENTS_H
#define VHU_TESTS_SOAK_CLIENTS_H

#include "soak.h"

enum client_state {
	NONE,	 /* there is no such port */
	ABSENT,	 /* until due_at */
	HERE,	 /* until due_at */
	LEAVING, /* has sent its last byte, and reads on until that has come */
	GOING,	 /* its port is unplugged: the daemon will close the connection */
	OVER,	 /* and has */
};

enum pace { FAST, SLOW, STOPPED };

struct client {
	unsigned int guest, port, stream, generation;
	enum client_state state;
	int fd;			  /* -1: none */
	int64_t due_at, deadline; /* of its state */
	enum pace pace;
	int64_t pace_until, read_at, send_at;
	struct check out;
	struct pattern in;
	uint64_t in_sent, tail_from;
	bool after_cut; /* the one before may not be gone yet for the daemon: see live() */
};

#endif
