/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record of requests in flight, as the front-end has it. Split rings alone. */
#ifndef VHU_CONFORM_INFLIGHT_H
#define VHU_CONFORM_INFLIGHT_H

#include "conform/trial/trial.h"

/* Heads of the two requests of trial_inflight_forge(), and of one more. */
enum { INFLIGHT_FIRST = 3, INFLIGHT_SECOND = 1, INFLIGHT_THIRD = 5 };

/* Of one split ring. */
struct split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct split_record {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct split_entry desc[];
};

/* The whole buffer, as the back-end described it. */
struct trial_inflight {
	struct vhu_inflight wire;
	int fd;
	uint8_t *map;
};

#define AUTO_INFLIGHT AUTO(trial_inflight_fini) struct trial_inflight
#define INFLIGHT_NONE                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

void trial_inflight_fini(struct trial_inflight *r);

/* What is accepted: without the device's own features, so that it needs no handshake of its own. */
uint64_t trial_inflight_features(const struct trial *t);
uint64_t trial_inflight_protocol(const struct trial *t);

/* GET_INFLIGHT_FD, which must bring a description and one descriptor. Fini is due in any case. */
void trial_inflight_get_message(struct vhu_msg *ret_msg, unsigned int n_queues,
				unsigned int queue_size);
int trial_inflight_get(struct trial *t, struct trial_inflight *r);
int trial_inflight_map(struct trial *t, struct trial_inflight *r);

/* Handshake, guest memory and rings of ours, a record. */
int trial_inflight_begin(struct trial *t, struct trial_inflight *r);

/* Bytes that a ring of size entries needs. */
size_t trial_inflight_bytes(unsigned int size);

/* The part of ring idx: all parts are of one length. */
struct split_record *trial_inflight_of(const struct trial *t, const struct trial_inflight *r,
				       unsigned int idx);

/* A request in descriptors of the case's own, from head on; not kicked. */
int trial_inflight_make_request(struct trial *t, uint16_t head);

/* SET_INFLIGHT_FD as r->wire says; and in order. */
void trial_inflight_set_message(const struct trial *t, const struct trial_inflight *r,
				struct vhu_msg *ret_msg);
int trial_inflight_set(struct trial *t, const struct trial_inflight *r);

/*
 * All that trial_inflight_begin() does, then a ring and a record as a back-end that
 * died left them: two requests fetched, none done.
 */
int trial_inflight_forge(struct trial *t, struct trial_inflight *r);

#endif
