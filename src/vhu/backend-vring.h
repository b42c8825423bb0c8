/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtqueue bound to its kick, call and error descriptors: when it runs,
 * what wakes it, whom it wakes. (vhost-user text, "Ring states")
 *
 * Facts are kept apart and the rest follows: a ring is *started* by a kick
 * descriptor or message, *live* once size, addresses and memory allow the
 * engine to start, and *running* when it is live, enabled, sound, not silenced
 * and the session lets devices act.
 */
#ifndef VHU_VHU_BACKEND_VRING_H
#define VHU_VHU_BACKEND_VRING_H

#include "loop.h"
#include "vhu/backend-iommu.h"
#include "vhu/proto.h"
#include "virtio/device.h"

struct vhu_backend;

enum {
	VQIO_BUDGET = 256,		 /* chain_cost() spent before others get a turn */
	VQIO_TURN_NS = 1000 * 1000,	 /* of all rings of a session before others get theirs */
	VQIO_VAIN_MAX = 4096,		 /* kicks for nothing of a descriptor that stays readable */
	VQIO_POLL_NS = 10 * 1000 * 1000, /* a ring without a kick descriptor is looked at */
};

struct vqio {
	struct vqueue q; /* the device's view */
	struct vhu_backend *b;
	char who[48];

	/* As configured; kept across stops. */
	uint32_t num;
	struct vhu_vring_addr addr;
	bool num_set, addr_set;
	uint32_t base; /* as SET_VRING_BASE carries it, while not live */
	bool enabled;

	bool started;  /* between SET_VRING_KICK and GET_VRING_BASE */
	bool live;     /* the engine has been started */
	bool mapped;   /* live, and its memory is in the table */
	bool silenced; /* quiesce: no side effects until resumed */
	bool polled;   /* started without a kick descriptor */

	int kick_fd, call_fd, err_fd; /* -1: none */
	uint64_t kick_value, call_value;
	bool call_again;     /* a call became due while one was under way */
	bool kicked;	     /* since it was served last */
	unsigned int n_vain; /* kicks by one in a row that were for nothing */
	uint64_t kicked_ns;  /* when the oldest kick came whose buffers are not back; 0: none */

	struct scope scope;
	struct op kick, call, err;
	struct timer poll;
	struct list_node ready_link; /* in b->ready_rings: it is to be served */
	bool fetching;		     /* it waits for a page of memory that comes late */
	struct vqio_lack lack;	     /* a translation that it waits for */
	struct loop_watch watch;     /* no kick is asked for while it is on */
};

/*
 * Stopped, disabled, without descriptors, for up to max_size entries. 0 or
 * -ENOMEM; vqio_fini() is allowed either way.
 */
int vqio_init(struct vqio *v, struct vhu_backend *b, unsigned int idx, unsigned int max_size);

/* Frees what the ring holds. Its scope is idle. */
void vqio_fini(struct vqio *v);

/* No service and no new operation from now on; the caller cancels the scope. */
void vqio_silence(struct vqio *v);

/* Ends the silence: what was cancelled is armed or made again. The scope is idle. */
void vqio_resume(struct vqio *v);

/* Recomputes whether the ring runs, after a change of anything that decides it. */
void vqio_update(struct vqio *v);

/* The memory table has changed: the ring's addresses are looked up again. */
void vqio_remap(struct vqio *v);

/* Started or restarted by a kick descriptor or message. */
void vqio_start(struct vqio *v);

/* A started ring whose settings are complete goes live as soon as memory allows. */
void vqio_go_live(struct vqio *v);

/* The driver has kicked. The clock is read for queues that somebody wants to know of alone. */
void vqio_note_kick(struct vqio *v);

/* Stops; the configured base becomes the next available index. The ring is silenced. */
void vqio_stop(struct vqio *v);

/* Serves the session's rings that are ready, each in turn; a task. */
void vqio_serve_ready(struct task *task);

/* Serves the ring now, as far as there is work, instead of soon. */
void vqio_service_now(struct vqio *v);

/*
 * Whether the message's descriptor, if it has one, carries notifications: what is
 * always readable would keep us busy, and a terminal or a file is somebody's
 * mistake. Says so if not.
 */
bool vqio_takes_fd(struct vhu_backend *b, const struct vhu_msg *msg);

/*
 * Whether operations on it are to be done apart: all but an eventfd has a lock that its
 * other users can hold for as long as they like, as by writing from memory that is not there.
 */
bool vqio_fd_can_wait(int fd);

/* Its descriptors are others than before: how operations on them are to be done. */
void vqio_note_fds(struct vqio *v);

/*
 * Where the configured ring lies in the session's memory; false: not there. An
 * area that lacks its translation is asked for before the next one is looked up.
 */
bool vqio_map_ring(struct vqio *v, struct virtq_ring *ret_ring);

/* Notifies the driver. */
void vqio_call(struct vqio *v);

#endif
