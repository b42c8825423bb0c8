/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end session over a connected socket: requests and awaited replies,
 * and the back-end's channel, whose requests are answered while we wait. It
 * blocks, always with a deadline; it serves tests, testers and load
 * generators, never a daemon.
 *
 * What it sends is honest: a request that breaks a rule is not sent. Dishonest
 * bytes go through vhu_frontend_send_raw() alone.
 *
 * Functions return 0 or a negative errno; error then says in one sentence what
 * was expected:
 *   -ETIMEDOUT   the deadline passed
 *   -ECONNRESET  the back-end closed the connection
 *   -EREMOTEIO   the back-end refused (a negative acknowledgement)
 *   -EPROTO      the back-end broke a rule of the protocol
 *   -EINVAL      the request itself breaks one; nothing was sent
 *   -ECANCELED   max_sent messages have been sent; nothing was sent
 */
#ifndef VHU_VHU_FRONTEND_H
#define VHU_VHU_FRONTEND_H

#include "vhu/proto.h"
#include "vhu/rules.h"

enum {
	VHU_FRONTEND_TIMEOUT_MS = 5000, /* deadline of a request unless set otherwise */
};

struct vhu_frontend_ring;
struct vhu_frontend_iotlb;

/*
 * Does some of the other side's work while the front-end waits, for a back-end
 * in the same process, and returns soon (0 or a negative errno).
 */
typedef int vhu_pump_fn(void *arg);

/* What the back-end said on its channel. */
struct vhu_frontend_heard {
	unsigned int n_messages;
	unsigned int n_config_changes;
	unsigned int n_calls[VHU_MAX_RINGS];
	unsigned int n_errs[VHU_MAX_RINGS];
	unsigned int n_unanswered; /* wanted an answer, did not get one yet */
};

/* Hears what passes on the two sockets, and kicks: to show it. Any member may be NULL. */
struct vhu_frontend_ear {
	void (*sent)(void *arg, bool channel, const void *bytes, size_t len, const int *fds,
		     size_t n_fds);
	void (*received)(void *arg, bool channel, const struct vhu_msg *msg);
	void (*kicked)(void *arg, unsigned int idx);
	void (*ended)(void *arg); /* the back-end closed the connection */
	void *arg;
};

/* A stretch of guest memory; all stretches lie in one file. */
struct vhu_frontend_region {
	struct vhu_region wire;
	uint8_t *host;
	size_t n_taken; /* bytes given out by vhu_frontend_alloc() */
	bool added;	/* by ADD_MEM_REG, on this connection */
};

struct vhu_frontend {
	int fd; /* -1: not connected */
	int timeout_ms;
	vhu_pump_fn *pump; /* NULL: the back-end needs no help of ours */
	void *pump_arg;
	const struct vhu_frontend_ear *ear; /* NULL: nobody listens */
	struct vhu_nego nego;
	unsigned int n_sent;   /* messages of this connection */
	unsigned int max_sent; /* 0: no limit */
	bool ack_all;	       /* every request asks for a reply once that is agreed */
	bool seal_memory;      /* memory made from now on cannot be cut off under us */
	bool empty_control;    /* messages without descriptors carry an empty SCM_RIGHTS */
	char error[256];

	int channel_fd;		    /* our end of the back-end channel, or -1 */
	bool channel_silent;	    /* requests on it are not answered for now */
	struct vhu_msg *unanswered; /* of them, the first; NULL: none. The others are its like */
	struct vhu_frontend_heard heard;
	unsigned int n_busy; /* uses of the main socket under way: no request may come between */
	struct vhu_frontend_iotlb
		*iotlb; /* frontend-iotlb.h; NULL: misses are acknowledged alone */

	/* frontend-rings.h */
	uint64_t iova_shift; /* from guest addresses to the device's; not 0: with ACCESS_PLATFORM */
	int mem_fd;
	uint8_t *mem_map;
	size_t mem_len;
	struct vhu_frontend_region regions[VHU_MAX_REGIONS];
	unsigned int n_regions;
	struct vhu_frontend_ring *rings;
	unsigned int n_rings;
};

/* Takes fd, a connected socket (-1: none yet). Memory and rings come later. */
void vhu_frontend_init(struct vhu_frontend *fe, int fd);

/* As init, on a new connection to the listening socket at path. */
int vhu_frontend_connect(struct vhu_frontend *fe, const char *path);

/* Drops the connection and the channel. Memory and rings stay, as a guest's do. */
void vhu_frontend_disconnect(struct vhu_frontend *fe);

/* Connects again, with everything to be negotiated again. Takes fd. */
void vhu_frontend_attach(struct vhu_frontend *fe, int fd);

/* Releases everything. */
void vhu_frontend_fini(struct vhu_frontend *fe);

/* Writes the sentence of fe->error; returns err. */
PRINTF_LIKE(3, 4)
int vhu_frontend_fail(struct vhu_frontend *fe, int err, const char *fmt, ...);

bool vhu_frontend_has_protocol(const struct vhu_frontend *fe, unsigned int bit);

/*
 * Sends msg and, if it is due, awaits its reply, which is checked against every
 * rule. The descriptors in msg are lent: duplicates travel. reply (or NULL)
 * receives it; its descriptors are the caller's then, else closed. Negotiation
 * follows what was accepted.
 */
int vhu_frontend_request(struct vhu_frontend *fe, const struct vhu_msg *msg, struct vhu_msg *reply,
			 int timeout_ms);

/* Sends msg and awaits nothing. Its descriptors are lent. */
int vhu_frontend_send(struct vhu_frontend *fe, const struct vhu_msg *msg);

/* Any bytes with any descriptors (lent) on the first of them: no rule applies. */
int vhu_frontend_send_raw(struct vhu_frontend *fe, const void *bytes, size_t len, const int *fds,
			  size_t n_fds);

/* Sends msg as it stands, honest or not. Its descriptors are lent. */
int vhu_frontend_send_unchecked(struct vhu_frontend *fe, const struct vhu_msg *msg);

/* The next message, whatever it is; its descriptors are the caller's. */
int vhu_frontend_receive(struct vhu_frontend *fe, struct vhu_msg *ret_msg, int timeout_ms);

/* Until the back-end closes the connection; a message instead is -EPROTO. */
int vhu_frontend_await_close(struct vhu_frontend *fe, int timeout_ms);

/*
 * Waits until one of at most VHU_MAX_FD_RINGS + 1 descriptors is readable or the back-end has
 * said something on the channel, which is served. The pump runs meanwhile.
 */
int vhu_frontend_await_readable(struct vhu_frontend *fe, const int *fds, size_t n_fds,
				int timeout_ms);

/* Waits until a descriptor is writable, or its other side is gone. */
int vhu_frontend_await_writable(struct vhu_frontend *fe, int fd, int timeout_ms);

/* Lets ms pass, while the channel is served and the pump runs. */
int vhu_frontend_pass_time(struct vhu_frontend *fe, int ms);

/* Requests by their payload. need_reply is set only if it was agreed on. */
int vhu_frontend_simple(struct vhu_frontend *fe, enum vhu_fe_id id, bool need_reply);
int vhu_frontend_set_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t value,
			 bool need_reply);
int vhu_frontend_get_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t *ret_value);
int vhu_frontend_vring(struct vhu_frontend *fe, enum vhu_fe_id id, uint32_t idx, uint32_t num,
		       bool need_reply);

/* GET_VRING_BASE. *ret_base is as SET_VRING_BASE takes it: packed rings have both positions. */
int vhu_frontend_vring_base(struct vhu_frontend *fe, uint32_t idx, uint32_t *ret_base);

/* Gives ring idx a descriptor (lent; -1: the no-fd bit). id: SET_VRING_KICK, _CALL or _ERR. */
int vhu_frontend_vring_fd(struct vhu_frontend *fe, enum vhu_fe_id id, uint32_t idx, int fd,
			  bool need_reply);

/* Config space. A refusal of GET_CONFIG, an empty reply, is -EREMOTEIO. */
int vhu_frontend_get_config(struct vhu_frontend *fe, uint32_t off, uint32_t len, uint32_t flags,
			    void *ret_bytes);
int vhu_frontend_set_config(struct vhu_frontend *fe, uint32_t off, const void *bytes, uint32_t len,
			    uint32_t flags, bool need_reply);

/* Opens a channel for the back-end's requests; an older one of ours is closed. */
int vhu_frontend_open_channel(struct vhu_frontend *fe, bool need_reply);

/* Handles what has come on the channel; waits for nothing. */
int vhu_frontend_serve_channel(struct vhu_frontend *fe);

/* Answers a request of the back-end's, on its channel. */
int vhu_frontend_answer(struct vhu_frontend *fe, const struct vhu_msg *msg, uint64_t value);

/* Answers the requests left over while channel_silent was set, and clears that. */
int vhu_frontend_speak(struct vhu_frontend *fe);

/* GET_FEATURES as a barrier: everything before it has been handled. */
int vhu_frontend_ping(struct vhu_frontend *fe);

#endif
