/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session that can be broken off anywhere, and what is left of it. */
#ifndef VHU_CONFORM_CASE_LIFE_H
#define VHU_CONFORM_CASE_LIFE_H

#include "conform/trial/trial.h"

enum { SCRIPT_MAX = 32 };

/* Messages, with descriptors that are lent. */
struct script {
	struct vhu_msg msgs[SCRIPT_MAX];
	unsigned int n;
};

/* All messages of a session with the request ring of t's memory: NULL: no memory. free() is due. */
struct script *script_new(struct trial *t);

/*
 * A new connection that has answered GET_FEATURES; vhu_frontend_fini() is due.
 * One that is closed instead is tried again for a while: a back-end that serves
 * one front-end at a time may not have noticed that the last one has left.
 */
int life_connect(struct trial *t, struct vhu_frontend *ret_fe);

/* The same in place of t->fe's. */
int life_reconnect(struct trial *t);

/* Gives the back-end a moment to read all that was sent. */
void life_let_read(const struct vhu_frontend *fe);

/* A connection beside t's, without waiting; -1: it is refused at once. */
int life_dial(const struct trial *t);

/* A new session, a request, and no more descriptors than before (-1: not known). */
int life_goes_on(struct trial *t, int fds_before, const char *after);

/* The process comes to have no more descriptors than before. */
int life_expect_fds(struct trial *t, int before, const char *after);

#endif
