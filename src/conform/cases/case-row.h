/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A request of any row of messages.def as it would be in order, in a session
 * in which it is: the base of the cases that generated.c makes.
 */
#ifndef VHU_CONFORM_CASE_ROW_H
#define VHU_CONFORM_CASE_ROW_H

#include "conform/trial/trial.h"

enum { STAGE_FDS = 4 };

/* What a request needs around it. */
struct stage {
	int fds[STAGE_FDS]; /* owned: what the request lends, and other ends */
	unsigned int n_fds;
	int drain_fd;  /* what the back-end writes to until it closes its end, or -1 */
	int region_fd; /* memory of a region beside the table, or -1 */
	struct vhu_inflight inflight;
	int inflight_fd; /* -1: there is none */
};

/* Whether a row's request is safe to be in order, and what its acknowledgement then says. */
enum row_safety {
	ROW_UNSAFE,   /* needs more of a session than is made here */
	ROW_ANY,      /* answered, but a device may refuse it */
	ROW_ACCEPTED, /* to be accepted */
};
enum row_safety row_safety(enum vhu_fe_id id);

/* Nothing staged yet. */
void stage_init(struct stage *s);

/* Lets the back-end finish what it writes, then closes everything. */
void stage_fini(struct stage *s);

#define AUTO_STAGE AUTO(stage_fini)

/* Protocol features without which the row's request is out of order. */
uint64_t row_protocol(const struct vhu_desc *desc);

/*
 * A session in which the row's request is in order: handshake, and memory and
 * rings as far as it needs them. Rings do not run. without: protocol features
 * not to be accepted, and those that need them.
 */
int row_prepare(struct trial *t, const struct vhu_desc *desc, uint64_t without, struct stage *s);

/* The request, in order, its descriptors lent by stage or front-end; no acknowledgement asked for.
 */
int row_make(struct trial *t, const struct vhu_desc *desc, struct stage *s,
	     struct vhu_msg *ret_msg);

#endif
