/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* --trace: what passes between the daemon and its front-ends, into one file. */
#ifndef VHU_DAEMON_TRACE_H
#define VHU_DAEMON_TRACE_H

#include "vhu/conn.h"

struct daemon_trace;

/* The ear of one guest: the sessions of its front-ends, one after the other. */
struct daemon_ear {
	struct vhu_ear ear;
	struct daemon_trace *trace;
	const char *who;
	uint32_t session; /* the number of the one under way */
};

/* path NULL: no trace. 0, or -errno and one line in the log. The path is lent. */
int daemon_trace_open(const char *path, struct daemon_trace **ret_trace);

/* After all ears have gone. NULL is allowed. */
void daemon_trace_close(struct daemon_trace *t);

/* who is lent. trace may be NULL; the ear is of no use then. */
void daemon_ear_init(struct daemon_ear *e, struct daemon_trace *trace, const char *who);

#endif
