/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps that cases of several files share. As those of trial.h: 0, or a
 * negative errno after the trial has been given a verdict.
 */
#ifndef VHU_CONFORM_CASE_STEPS_H
#define VHU_CONFORM_CASE_STEPS_H

#include "conform/trial/trial.h"

/* How a request that may be refused was taken. */
enum step_outcome {
	STEP_TAKEN,   /* acknowledged, or answered as if in order */
	STEP_REFUSED, /* a negative acknowledgement, or a reply that reports an error */
	STEP_SILENT,  /* no answer was due, and the connection goes on */
	STEP_CLOSED,  /* the connection has ended; t->closed is set */
};

/* Sends fds with all the bytes at once, at most 253 of them. -ECONNRESET is no failure: t->closed.
 */
int step_send_raw(struct trial *t, const void *bytes, size_t len, const int *fds, size_t n_fds);

/* After a request was sent: its answer, if one is due, and whether the connection goes on. */
int step_outcome(struct trial *t, const struct vhu_msg *msg, enum step_outcome *ret_outcome,
		 const char *what);

/*
 * Sends a request that has an answer of its own and breaks a rule: the
 * connection ends, or the answer reports an error in one of its ways.
 */
PRINTF_LIKE(3, 4)
int step_own_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...);

/* trial_refused(), or step_own_refused() if the request has an answer of its own. */
PRINTF_LIKE(3, 4)
int step_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...);

/*
 * trial_reconnect() until the back-end serves the connection: one that still
 * ends an earlier one may close the next.
 */
int step_reconnect(struct trial *t);

/* The process comes to have none of fd's open file. Passes where the process cannot be seen. */
int step_not_kept(struct trial *t, int fd, const char *what);

/* A file in memory of len bytes: its descriptor in *ret_fd, the caller's. */
int step_memfd(struct trial *t, size_t len, int *ret_fd);

/* Requests through the rings, if the tester knows what device it is and the connection stands. */
int step_traffic(struct trial *t, unsigned int n);

/* The lowest index that is no ring's, as far as can be known: a network device may count pairs. */
uint32_t step_first_no_ring(const struct trial *t);

/* GET_CONFIG: *ret_len bytes come, 0 if it reports an error. The end of the connection: *ret_len
 * -1. */
int step_get_config(struct trial *t, uint32_t off, uint32_t len, uint32_t flags, void *ret_bytes,
		    int *ret_len);

#endif
