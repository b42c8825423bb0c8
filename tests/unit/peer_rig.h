/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end and, at the other end of its socket, a back-end of few words that
 * the test scripts: it answers what it must, keeps what it was sent, and leaves
 * the rest to the test's own handler. One thread: the front-end's pump runs it.
 */
#ifndef VHU_TESTS_PEER_RIG_H
#define VHU_TESTS_PEER_RIG_H

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhu/codec.h"
#include "vhu/frontend-rings.h"
#include "virtio/features.h"

enum { PEER_MS = 2000, PEER_MEM = 1 << 20, PEER_KEPT = 64, PEER_RING = 8 };

struct peer_rig;

/* What the test says to a message; true: it is dealt with. */
typedef bool peer_fn(struct peer_rig *rig, struct vhu_msg *msg);

struct peer_rig {
	struct vhu_frontend fe;
	struct vhu_frontend peer;    /* the back-end's end, for bytes alone */
	int channel;		     /* the back-end's end of its channel, or -1 */
	uint64_t features, protocol; /* offered */
	peer_fn *handle;
	void (*idle)(struct peer_rig *rig); /* what it does when no message is there; or NULL */
	uint32_t kept[PEER_KEPT];	    /* ids of what came */
	unsigned int n_kept;
	struct vhu_msg last; /* its descriptors are closed */
	void *arg;
};

static inline void peer_reply(struct peer_rig *rig, const struct vhu_msg *msg, const void *payload,
			      size_t len, int fd)
{
	struct vhu_msg reply;

	vhu_msg_init_reply(&reply, msg);
	vhu_msg_put(&reply, payload, len);
	if (fd >= 0)
		reply.fds.fd[reply.fds.n_fds++] = fd;
	assert_int_equal(vhu_frontend_send_unchecked(&rig->peer, &reply), 0);
}

static inline void peer_reply_u64(struct peer_rig *rig, const struct vhu_msg *msg, uint64_t value)
{
	peer_reply(rig, msg, &value, sizeof(value), -1);
}

static inline void peer_answer(struct peer_rig *rig, struct vhu_msg *msg)
{
	switch (msg->id) {
	case VHU_FE_GET_FEATURES:
		peer_reply_u64(rig, msg, rig->features);
		break;
	case VHU_FE_GET_PROTOCOL_FEATURES:
		peer_reply_u64(rig, msg, rig->protocol);
		break;
	case VHU_FE_SET_BACKEND_REQ_FD:
		rig->channel = fdset_take(&msg->fds, 0);
		/* fall through */
	default:
		if (msg->flags & VHU_FLAG_NEED_REPLY)
			peer_reply_u64(rig, msg, 0);
	}
}

static inline int peer_pump(void *arg)
{
	struct peer_rig *rig = arg;
	struct vhu_msg msg;
	int err = vhu_frontend_receive(&rig->peer, &msg, 0);

	if (err < 0) {
		if (rig->idle)
			rig->idle(rig);
		return 0;
	}
	assert_true(rig->n_kept < PEER_KEPT);
	rig->kept[rig->n_kept++] = msg.id;
	if (!rig->handle || !rig->handle(rig, &msg))
		peer_answer(rig, &msg);
	fdset_close(&msg.fds);
	rig->last = msg;
	return 0;
}

/* Another connection to a back-end that knows nothing of the one before. */
static inline void peer_connect(struct peer_rig *rig)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	vhu_frontend_fini(&rig->peer);
	rig->channel = fd_close(rig->channel);
	vhu_frontend_attach(&rig->fe, fds[0]);
	vhu_frontend_init(&rig->peer, fds[1]);
	rig->n_kept = 0;
}

/* Accepts all that is offered. */
static inline void peer_negotiate(struct peer_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;
	uint64_t features, protocol;

	assert_int_equal(vhu_frontend_get_u64(fe, VHU_FE_GET_FEATURES, &features), 0);
	assert_int_equal(vhu_frontend_get_u64(fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol), 0);
	assert_int_equal(vhu_frontend_set_u64(fe, VHU_FE_SET_PROTOCOL_FEATURES, protocol, false),
			 0);
	assert_int_equal(vhu_frontend_set_u64(fe, VHU_FE_SET_FEATURES, features, true), 0);
	rig->n_kept = 0;
}

/* features and protocol are offered beside what everybody has. */
static inline void peer_open(struct peer_rig *rig, uint64_t features, uint64_t protocol)
{
	signal(SIGPIPE, SIG_IGN);
	memset(rig, 0, sizeof(*rig));
	rig->channel = -1;
	rig->features = features | BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VIRTIO_F_VERSION_1_BIT);
	rig->protocol = protocol | BIT(VHU_PF_REPLY_ACK_BIT);
	vhu_frontend_init(&rig->fe, -1);
	vhu_frontend_init(&rig->peer, -1);
	rig->fe.pump = peer_pump;
	rig->fe.pump_arg = rig;
	rig->fe.timeout_ms = PEER_MS;
	peer_connect(rig);
	peer_negotiate(rig);
}

/* Guest memory and n rings of PEER_RING. */
static inline void peer_make_guest(struct peer_rig *rig, unsigned int n)
{
	struct vhu_frontend *fe = &rig->fe;

	assert_int_equal(vhu_frontend_make_plain_memory(fe, PEER_MEM, false), 0);
	assert_int_equal(vhu_frontend_make_rings(fe, n, VHU_CALL_EVENTFD), 0);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(vhu_frontend_make_ring(fe, i, PEER_RING, fe->nego.features), 0);
}

static inline void peer_close(struct peer_rig *rig)
{
	rig->channel = fd_close(rig->channel);
	vhu_frontend_fini(&rig->fe);
	vhu_frontend_fini(&rig->peer);
}

#define assert_said(rig, expr)                                                                     \
	do {                                                                                       \
		int said_err_ = (expr);                                                            \
		if (said_err_ < 0) {                                                               \
			print_error("%s: %d, expected %s\n", #expr, said_err_, (rig)->fe.error);   \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

#endif
