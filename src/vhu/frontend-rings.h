/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest of a front-end: memory in a file of its own, and rings in it with
 * their descriptors. What a driver does with a ring is virtio/driverq.h.
 */
#ifndef VHU_VHU_FRONTEND_RINGS_H
#define VHU_VHU_FRONTEND_RINGS_H

#include "vhu/frontend.h"
#include "virtio/driverq.h"

/* What a back-end writes its calls to. */
enum vhu_call_kind {
	VHU_CALL_EVENTFD,
	VHU_CALL_SOCKET, /* a stream socket, as UML's */
	VHU_CALL_NONE,	 /* the no-fd bit */
};

struct vhu_frontend_ring {
	struct driverq q;
	void *block; /* of q, here and for the guest */
	uint64_t guest_addr;
	unsigned int size; /* 0: the guest has not set it up */
	uint32_t base;	   /* what SET_VRING_BASE will say */
	int kick_fd;	   /* -1: none */
	int call_fd;	   /* the end that we read */
	int call_peer;	   /* the end that the back-end writes; may be call_fd */
	int err_fd;
	unsigned int calls_seen; /* in-band calls taken note of */
};

/*
 * Guest memory of n regions (at most VHU_MAX_REGIONS) in one new file, which is
 * as long as the regions need. Replaces nothing: once per front-end.
 */
int vhu_frontend_make_memory(struct vhu_frontend *fe, const struct vhu_region *regions,
			     unsigned int n);

/*
 * One region of len bytes, at an offset in its file. flat: user addresses are
 * guest addresses; else they have nothing in common.
 */
int vhu_frontend_make_plain_memory(struct vhu_frontend *fe, uint64_t len, bool flat);

/*
 * Bytes of guest memory, zeroed, never given back; align is a power of two. NULL: none left. The
 * address is as the device sees it: with iova_shift, where there is one.
 */
void *vhu_frontend_alloc(struct vhu_frontend *fe, size_t len, size_t align,
			 uint64_t *ret_guest_addr);

/*
 * Where guest memory is here, and in the address space that ring addresses use: the front-end's,
 * or the guest's with GPA_ADDRESSES, or the device's with ACCESS_PLATFORM.
 */
void *vhu_frontend_host(const struct vhu_frontend *fe, uint64_t guest_addr);
uint64_t vhu_frontend_user_addr(const struct vhu_frontend *fe, uint64_t guest_addr);

/* SET_MEM_TABLE of all regions, to be sent; descriptors are lent. */
void vhu_frontend_mem_table_message(const struct vhu_frontend *fe, struct vhu_msg *ret_msg);

/* SET_MEM_TABLE of all regions; payload_len 0: as long as it needs, else padded to that. */
int vhu_frontend_set_mem_table(struct vhu_frontend *fe, size_t payload_len, bool need_reply);

/* ADD_MEM_REG and REM_MEM_REG of region i. with_fd: a descriptor comes even with REM. */
int vhu_frontend_add_region(struct vhu_frontend *fe, unsigned int i, bool need_reply);
int vhu_frontend_remove_region(struct vhu_frontend *fe, unsigned int i, bool with_fd,
			       bool need_reply);

/*
 * n rings with descriptors, none of them set up. Once per front-end. More than
 * VHU_MAX_FD_RINGS have none: all of them are for in-band notifications.
 */
int vhu_frontend_make_rings(struct vhu_frontend *fe, unsigned int n, enum vhu_call_kind call);

/*
 * Sets up ring idx in guest memory with size entries, for the features accepted
 * or about to be: packed with RING_PACKED, in order with IN_ORDER. Again: in new
 * memory.
 */
int vhu_frontend_make_ring(struct vhu_frontend *fe, unsigned int idx, unsigned int size,
			   uint64_t features);

/* As a driver that starts anew: the same memory, empty, from the first position. */
void vhu_frontend_reset_ring(struct vhu_frontend *fe, unsigned int idx);

/* SET_VRING_ADDR of ring idx. */
int vhu_frontend_vring_addr(struct vhu_frontend *fe, unsigned int idx, uint32_t flags, uint64_t log,
			    bool need_reply);

/* Kicks: through the descriptor or, if that was agreed on and there is none, in-band. */
int vhu_frontend_kick(struct vhu_frontend *fe, unsigned int idx);

/* Waits for a call of ring idx, on its descriptor or in-band; takes all that are there. */
int vhu_frontend_await_call(struct vhu_frontend *fe, unsigned int idx, int timeout_ms);

/* Waits for a call of any ring, and takes none. */
int vhu_frontend_await_any_call(struct vhu_frontend *fe, int timeout_ms);

/* Takes all calls that are there already; whether there was one. */
bool vhu_frontend_take_calls(struct vhu_frontend *fe, unsigned int idx);

/* Publishes what was added to ring idx and kicks if the device wants that. */
int vhu_frontend_publish(struct vhu_frontend *fe, unsigned int idx);

/*
 * Waits for the next chain that comes back on ring idx, asking for calls only
 * to wait. A device that breaks the rules of the ring: -EPROTO.
 */
int vhu_frontend_await_used(struct vhu_frontend *fe, unsigned int idx, void **ret_token,
			    uint32_t *ret_len, int timeout_ms);

#endif
