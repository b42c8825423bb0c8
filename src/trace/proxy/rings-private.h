/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Between the files of rings.h: what messages say, what is looked at, what wakes us. */
#ifndef VHU_TRACE_RINGS_PRIVATE_H
#define VHU_TRACE_RINGS_PRIVATE_H

#include "trace/proxy/rings.h"

enum watched {
	WATCHED_KICK,
	WATCHED_CALL,
	N_WATCHED,
};

/* A ring as messages have described it. */
struct trace_ring {
	uint32_t idx;
	uint32_t num; /* entries; 0: not said, or not possible */
	struct vhu_vring_addr addr;
	bool has_addr;
	bool started;
	bool noted; /* why it cannot be looked at; until something about it changes */

	bool mapped; /* one of these two */
	struct vring split;
	struct packed_ring packed;
	struct packed_position avail, used; /* packed: where each side was seen last */
	uint16_t *lists;		    /* packed; see picture.h */

	bool from_zero; /* split: its indices began there, and have not been seen to wrap */
	bool seen;	/* a picture has been told since it was started */
	uint16_t seen_avail, seen_used;

	int fd[N_WATCHED]; /* our copies; -1: none */
};

struct trace_rings {
	struct loop *loop;
	struct trace_sink *sink;
	uint32_t session;
	struct trace_rings_options options;

	uint64_t features;
	struct gmem *mem;
	bool postcopy; /* pages may be missing, and must stay so */
	bool noted_platform;
	struct trace_ring *ring[VHU_MAX_RINGS]; /* NULL: no message has named it */

	struct scope scope;
	int epoll_fd; /* edges of all eventfds */
	struct op edges;
	struct timer timer; /* looks at used indices */
	uint64_t delay_ns;  /* of the timer */
	uint64_t woken_ns;  /* when something happened last */

	void (*closed)(void *arg);
	void *arg;
};

/* A line of the tracer's own. */
PRINTF_LIKE(2, 3) void rings_note(const struct trace_rings *r, const char *fmt, ...);

/* Memory. Descriptors are lent. */
void rings_set_memory(struct trace_rings *r, const struct vhu_msg *msg, const int *fds,
		      size_t n_fds);
void rings_add_memory(struct trace_rings *r, const struct vhu_msg *msg, const int *fds,
		      size_t n_fds);
void rings_remove_memory(struct trace_rings *r, const struct vhu_msg *msg);

/* Forgets all memory; rings are looked up anew when there is some again. */
void rings_drop_memory(struct trace_rings *r);

/* Whether the ring can be looked at by now; if its areas are wrong, a note says so once. */
bool ring_map(struct trace_rings *r, struct trace_ring *ring);
void ring_unmap(struct trace_ring *ring);

/* What has happened in a ring that is mapped since its last picture. */
bool ring_was_offered(struct trace_rings *r, struct trace_ring *ring);
bool ring_was_used(struct trace_rings *r, struct trace_ring *ring);

/* A picture of the ring if it can be had; where nothing has changed, only if the cause asks. */
void ring_look(struct trace_rings *r, struct trace_ring *ring, enum trace_cause cause);

/* The first picture of a ring that was started, as soon as it can be had; true: it was. */
bool ring_begin(struct trace_rings *r, struct trace_ring *ring);

/* What wakes us. */
void rings_watch_init(struct trace_rings *r);
void rings_watch_fini(struct trace_rings *r);
void ring_watch(struct trace_rings *r, struct trace_ring *ring, enum watched which, int fd);
void ring_unwatch(struct trace_rings *r, struct trace_ring *ring, enum watched which);

/* Something is under way in a ring: used indices are looked at often for a while. */
void rings_hasten(struct trace_rings *r);

#endif
