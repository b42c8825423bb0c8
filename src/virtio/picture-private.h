/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Between the files of picture.h: a picture that is being made. */
#ifndef VHU_VIRTIO_PICTURE_PRIVATE_H
#define VHU_VIRTIO_PICTURE_PRIVATE_H

#include "virtio/picture.h"

struct picture_maker {
	const struct picture_source *source;
	const struct picture_want *want;
	struct ring_picture *p;
	size_t cap_chains, cap_used, cap_descs, cap_data;
	bool failed;	     /* no memory */
	uint32_t n_followed; /* descriptors, of all chains */
	/* Of the chain that is being made. */
	uint32_t most;	  /* descriptors that it can have */
	bool is_unmapped; /* a buffer is not in guest memory */
};

/* How many entries are wanted at least, at most. */
unsigned int picture_want_slots(const struct picture_want *want);

/* The chain's descriptors come next, of which the ring has size. */
void picture_begin_chain(struct picture_maker *m, struct picture_chain *chain, uint32_t size);

/* Appends d to the chain that was begun, or counts it; false: it has enough. */
bool picture_add_desc(struct picture_maker *m, struct picture_chain *chain,
		      const struct picture_desc *d);

/* A table of n entries is part of the chain. */
void picture_add_table(struct picture_maker *m, const struct picture_chain *chain, uint32_t n);

/* Entry number of the indirect table d, of which there are as many as its length says. */
bool picture_load_entry(struct picture_maker *m, struct picture_chain *chain,
			const struct picture_desc *d, uint32_t number, struct vring_desc *ret_desc);

/* The descriptors are complete: whether they are wrong. Says how in chain->fault. */
bool picture_judge_chain(const struct picture_maker *m, struct picture_chain *chain);

/* PICTURE_REUSED: without what was found. */
void picture_drop_chain(struct picture_maker *m, struct picture_chain *chain);

/* Copies what is in the buffers, and makes the chain part of the picture. */
void picture_add_chain(struct picture_maker *m, struct picture_chain *chain);
void picture_add_used(struct picture_maker *m, const struct picture_used *used);

/* The two kinds of rings. */
void picture_take_split(struct picture_maker *m);
void picture_take_packed(struct picture_maker *m);

/* Whether something comes after the positions that are known. */
bool picture_packed_offered(const struct picture_source *source);
bool picture_packed_used(const struct picture_source *source);

#endif
