/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a front-end carries from one back-end to the next: the record of requests
 * in flight, the device's state, positions of rings, guest memory. The dirty log
 * is frontend-log.h, memory that comes late frontend-postcopy.h.
 */
#ifndef VHU_VHU_FRONTEND_MIGRATE_H
#define VHU_VHU_FRONTEND_MIGRATE_H

#include "vhu/frontend-rings.h"

/* The record of requests in flight: the front-end keeps it while back-ends come and go. */
struct vhu_frontend_inflight {
	int fd;			  /* -1: none */
	struct vhu_inflight wire; /* as the back-end described it */
	uint8_t *map;		  /* wire.mmap_size bytes; NULL: not mapped */
};

#define VHU_FRONTEND_INFLIGHT_NONE                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * GET_INFLIGHT_FD for n rings of size entries: a new record, mapped; an older
 * one of ours is given up. A refusal, no descriptor, is -EREMOTEIO.
 */
int vhu_frontend_inflight_get(struct vhu_frontend *fe, struct vhu_frontend_inflight *inflight,
			      unsigned int n, unsigned int size);

/* SET_INFLIGHT_FD: before rings are set up, on each connection. */
int vhu_frontend_inflight_set(struct vhu_frontend *fe,
			      const struct vhu_frontend_inflight *inflight);

/*
 * As QEMU before rings are set up: SET_FEATURES, on which the record's layout
 * depends; GET_INFLIGHT_FD unless there is a record; SET_INFLIGHT_FD. Between
 * vhu_style_begin() and vhu_style_boot(), or negotiate and start.
 */
int vhu_frontend_inflight_ready(struct vhu_frontend *fe, struct vhu_frontend_inflight *inflight,
				uint64_t features, unsigned int n, unsigned int size);

/* Bytes of one ring's part, all of one length; and where that of ring idx begins. */
size_t vhu_frontend_inflight_part_len(const struct vhu_frontend_inflight *inflight);
void *vhu_frontend_inflight_part(const struct vhu_frontend_inflight *inflight, unsigned int idx);

void vhu_frontend_inflight_fini(struct vhu_frontend_inflight *inflight);

/* GET_VRING_BASE_SKIP_DRAIN: the ring stops at once; the record has what was under way. */
int vhu_frontend_vring_base_now(struct vhu_frontend *fe, uint32_t idx, uint32_t *ret_base);

/*
 * After a back-end died: rings go on behind what it returned (driverq_base()),
 * for SET_VRING_BASE of the next one. All rings that are made.
 */
void vhu_frontend_recover_bases(struct vhu_frontend *fe);

/* A device's state as bytes. */
struct vhu_frontend_state {
	uint8_t *bytes; /* NULL: none */
	size_t len;
};

/* How state travels. */
enum vhu_state_way {
	VHU_STATE_PIPE,	  /* as QEMU, crosvm */
	VHU_STATE_SOCKET, /* as cloud-hypervisor */
};

/*
 * SET_DEVICE_STATE_FD to save, everything up to its end, CHECK_DEVICE_STATE.
 * What state held goes; it is the caller's to fini in any case. The back-end's
 * own descriptor is used if it sends one. -EREMOTEIO: it said that it failed.
 */
int vhu_frontend_save_state(struct vhu_frontend *fe, enum vhu_state_way way,
			    struct vhu_frontend_state *state);

/*
 * SET_DEVICE_STATE_FD to load, len bytes and their end, CHECK_DEVICE_STATE. A
 * back-end that stops reading is not yet an error: it says so afterwards.
 */
int vhu_frontend_load_state(struct vhu_frontend *fe, enum vhu_state_way way, const void *bytes,
			    size_t len);

void vhu_frontend_state_fini(struct vhu_frontend_state *state);

/* Another machine's memory for the same guest: a file of its own, filled before the guest moves. */
struct vhu_frontend_memory {
	int fd; /* -1: none */
	uint8_t *map;
	size_t len;
};

#define VHU_FRONTEND_MEMORY_NONE                                                                   \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* As long as fe's guest memory, and empty. Fini is due either way. */
int vhu_frontend_memory_make(struct vhu_frontend *fe, struct vhu_frontend_memory *memory);
void vhu_frontend_memory_fini(struct vhu_frontend_memory *memory);

/* Copies the page of guest memory with this guest address into memory's place for it. */
void vhu_frontend_memory_copy_page(const struct vhu_frontend *fe,
				   struct vhu_frontend_memory *memory, uint64_t guest_addr);

/* The same for every page of it. */
void vhu_frontend_memory_copy(const struct vhu_frontend *fe, struct vhu_frontend_memory *memory);

/*
 * The guest moves: memory becomes fe's at the addresses that it has here, so that
 * rings and buffers stay where the driver knows them, and what was fe's becomes
 * memory's. No back-end learns of it: the next SET_MEM_TABLE tells.
 */
int vhu_frontend_memory_swap(struct vhu_frontend *fe, struct vhu_frontend_memory *memory);

/*
 * The guest moves, seen from the protocol: each of the two front-ends goes on over
 * the other's connection, with what was agreed on there. Memory and rings stay.
 */
void vhu_frontend_swap_connection(struct vhu_frontend *a, struct vhu_frontend *b);

#endif
