/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rings, looked at from outside while they are in use: guest memory is mapped to
 * be read only, and copies of the eventfds are watched, never read. It touches
 * nothing that front-end and back-end touch. What happens faster than we look is
 * seen in one picture; calls that go straight into a guest (KVM's irqfd) are
 * noticed by what was returned.
 */
#ifndef VHU_TRACE_RINGS_H
#define VHU_TRACE_RINGS_H

#include "loop.h"
#include "trace/record.h"
#include "vhu/rules.h"

struct trace_rings;

struct trace_rings_options {
	bool pictures; /* when something happens; else only when asked */
	unsigned int data;
};

/* Of one session. Pictures go to sink with this session's number. NULL: no memory. */
struct trace_rings *rings_new(struct loop *loop, struct trace_sink *sink, uint32_t session,
			      const struct trace_rings_options *options);

/*
 * A message of the main socket is on its way, with its descriptors (lent: what
 * is needed is duplicated).
 */
void rings_message(struct trace_rings *r, const struct vhu_msg *msg, const int *fds, size_t n_fds);

/* A picture of every ring there is; FINISH: the last, nothing is watched any more. */
void rings_look(struct trace_rings *r, enum trace_cause cause);

/*
 * Tells the last pictures (FINISH) at once; stops watching, unmaps, then calls
 * closed(arg), always later. Frees r.
 */
void rings_close(struct trace_rings *r, void (*closed)(void *arg), void *arg);

#endif
