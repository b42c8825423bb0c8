/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A front-end of ours and the played back-end, in one thread. */
#ifndef VHU_PLAYED_RIG_H
#define VHU_PLAYED_RIG_H

#include "unit.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "conform/frontend/played.h"
#include "vhu/codec.h"
#include "vhu/frontend-rings.h"

enum { RIG_RING = 16, RIG_MEM = 1 << 20, RIG_MS = 2000 };

struct played_rig {
	struct vhu_frontend fe;
	struct played p;
	uint8_t *buf; /* a page of guest memory */
	uint64_t buf_addr;
};

static inline int rig_pump(void *arg)
{
	struct played_rig *rig = arg;

	played_step(&rig->p, 1, -1);
	return 0;
}

static inline void rig_open(struct played_rig *rig, const char *device,
			    const struct played_script *script)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	vhu_frontend_init(&rig->fe, fds[0]);
	rig->fe.pump = rig_pump;
	rig->fe.pump_arg = rig;
	rig->fe.timeout_ms = RIG_MS;
	rig->fe.ack_all = true;
	assert_int_equal(played_init(&rig->p, fds[1], played_device_find(device), script), 0);
}

static inline void rig_close(struct played_rig *rig)
{
	vhu_frontend_fini(&rig->fe);
	played_fini(&rig->p);
}

/* What every back-end of ours offers, accepted. */
static inline void rig_handshake(struct played_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;
	uint64_t features, protocol;

	assert_int_equal(vhu_frontend_simple(fe, VHU_FE_SET_OWNER, false), 0);
	assert_int_equal(vhu_frontend_get_u64(fe, VHU_FE_GET_FEATURES, &features), 0);
	assert_int_equal(vhu_frontend_get_u64(fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol), 0);
	/* The status has tests of its own. */
	protocol &= ~BIT(VHU_PF_STATUS_BIT);
	assert_int_equal(vhu_frontend_set_u64(fe, VHU_FE_SET_PROTOCOL_FEATURES, protocol, false),
			 0);
	assert_int_equal(vhu_frontend_set_u64(fe, VHU_FE_SET_FEATURES, features, true), 0);
}

/* Memory and ring 0, not started. */
static inline void rig_memory(struct played_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;

	assert_int_equal(vhu_frontend_make_plain_memory(fe, RIG_MEM, false), 0);
	assert_int_equal(vhu_frontend_make_rings(fe, rig->p.n_rings, VHU_CALL_EVENTFD), 0);
	assert_int_equal(vhu_frontend_make_ring(fe, 0, RIG_RING, fe->nego.features), 0);
	assert_int_equal(vhu_frontend_set_mem_table(fe, 0, true), 0);
	rig->buf = vhu_frontend_alloc(fe, 4096, 4096, &rig->buf_addr);
	assert_non_null(rig->buf);
}

static inline void rig_start(struct played_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;

	assert_int_equal(vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, 0, RIG_RING, true), 0);
	assert_int_equal(vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, 0, 0, true), 0);
	assert_int_equal(vhu_frontend_vring_addr(fe, 0, 0, 0, true), 0);
	assert_int_equal(
		vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, 0, fe->rings[0].call_peer, true),
		0);
	assert_int_equal(
		vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, 0, fe->rings[0].kick_fd, true), 0);
	assert_int_equal(vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, 0, 1, true), 0);
}

static inline void rig_boot(struct played_rig *rig, const char *device,
			    const struct played_script *script)
{
	rig_open(rig, device, script);
	rig_handshake(rig);
	rig_memory(rig);
	rig_start(rig);
}

/* One request of n_out and n_in bytes, both in the page; how many bytes were written. */
static inline uint32_t rig_exchange(struct played_rig *rig, uint32_t n_out, uint32_t n_in)
{
	const struct driverq_buf bufs[] = { { rig->buf_addr, n_out },
					    { rig->buf_addr + n_out, n_in } };
	struct driverq *q = &rig->fe.rings[0].q;
	uint32_t len = 0;
	void *token;

	assert_int_equal(driverq_add(q, n_out ? bufs : bufs + 1, n_out > 0, n_in > 0, false, rig),
			 0);
	assert_int_equal(vhu_frontend_publish(&rig->fe, 0), 0);
	assert_int_equal(vhu_frontend_await_used(&rig->fe, 0, &token, &len, RIG_MS), 0);
	return len;
}

/* Lets the played back-end deal with what is there. */
static inline void rig_settle(struct played_rig *rig)
{
	for (int i = 0; i < 5; i++)
		played_step(&rig->p, 0, -1);
}

/* The message as it is, whatever it breaks. */
static inline void rig_send(struct played_rig *rig, const struct vhu_msg *m)
{
	assert_int_equal(vhu_frontend_send_unchecked(&rig->fe, m), 0);
	rig_settle(rig);
}

/* How many points of the session are broken. */
static inline unsigned int rig_n_broken(const struct played_rig *rig)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_DUTIES; i++)
		n += rig->p.duties[i].n_broken > 0;
	for (unsigned int i = 0; i < VHU_N_RULES; i++)
		n += rig->p.rules[i].n_broken > 0;
	return n;
}

#endif
