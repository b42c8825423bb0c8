/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The messages that set a ring up: their order, indices, and setting up again. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"
#include "virtio/features.h"

/* One message of a ring's set-up. */
static int send_step(struct trial *t, enum vhu_fe_id id)
{
	unsigned int ring = trial_ring(t);
	const struct vhu_frontend_ring *r = &t->fe.rings[ring];

	switch (id) {
	case VHU_FE_SET_VRING_NUM:
		return setup_num(t, ring, r->size);
	case VHU_FE_SET_VRING_BASE:
		return setup_base(t, ring, 0);
	case VHU_FE_SET_VRING_ADDR:
		return setup_addr(t, ring);
	case VHU_FE_SET_VRING_CALL:
		return setup_fd(t, id, ring, r->call_peer);
	case VHU_FE_SET_VRING_ERR:
		return setup_fd(t, id, ring, r->err_fd);
	case VHU_FE_SET_VRING_KICK:
		return setup_fd(t, id, ring, r->kick_fd);
	case VHU_FE_SET_VRING_ENABLE:
		return setup_enable(t, ring, true);
	default:
		return trial_error(t, "%s is not of a ring's set-up", vhu_msg_name(VHU_FE, id));
	}
}

static int runs_in_order(struct trial *t, const enum vhu_fe_id *ids, size_t n)
{
	int err = setup_all_but_ring(t, NULL);

	for (size_t i = 0; i < n && err == 0; i++)
		err = send_step(t, ids[i]);
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 ? err : trial_exchange(t, 4);
}

#define IN_ORDER(name, ...)                                                                        \
	int case_vring_order_##name(struct trial *t)                                               \
	{                                                                                          \
		static const enum vhu_fe_id ids[] = { __VA_ARGS__ };                               \
                                                                                                   \
		return runs_in_order(t, ids, ARRAY_SIZE(ids));                                     \
	}

IN_ORDER(base_first, VHU_FE_SET_VRING_NUM, VHU_FE_SET_VRING_BASE, VHU_FE_SET_VRING_ADDR,
	 VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_CALL, VHU_FE_SET_VRING_ENABLE)
IN_ORDER(addr_first, VHU_FE_SET_VRING_NUM, VHU_FE_SET_VRING_ADDR, VHU_FE_SET_VRING_BASE,
	 VHU_FE_SET_VRING_CALL, VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_ENABLE)
IN_ORDER(enable_first, VHU_FE_SET_VRING_CALL, VHU_FE_SET_VRING_ENABLE, VHU_FE_SET_VRING_NUM,
	 VHU_FE_SET_VRING_BASE, VHU_FE_SET_VRING_ADDR, VHU_FE_SET_VRING_KICK)

/* All sizes long before the rest, as a front-end that loops over messages, not rings. */
int case_vring_order_num_early(struct trial *t)
{
	static const enum vhu_fe_id ids[] = {
		VHU_FE_SET_VRING_BASE, VHU_FE_SET_VRING_ADDR,	VHU_FE_SET_VRING_CALL,
		VHU_FE_SET_VRING_KICK, VHU_FE_SET_VRING_ENABLE,
	};
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = setup_num(t, i, t->fe.rings[i].size);
	if (err == 0)
		err = trial_send_memory(t);
	if (err == 0)
		err = setup_start_others(t, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ids) && err == 0; i++)
		err = send_step(t, ids[i]);
	if (err == 0)
		err = trial_driver_ready(t, NULL);
	return err < 0 ? err : trial_exchange(t, 4);
}

/* What a ring needs beside its size and its address. */
static int send_rest(struct trial *t, unsigned int ring)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[ring];
	int err = setup_base(t, ring, 0);

	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, ring, r->call_peer);
	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_KICK, ring, r->kick_fd);
	return err < 0 ? err : setup_enable(t, ring, true);
}

int case_vring_before_memory(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct vhu_vring_addr addr;
	struct vhu_msg msg;
	bool accepted;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_make_memory(t, NULL);
	if (err == 0)
		err = setup_num(t, ring, TRIAL_RING);
	if (err < 0)
		return err;
	setup_addr_msg(t, &msg, ring, &addr);
	err = trial_survives(t, &msg, &accepted, "SET_VRING_ADDR before any memory");
	if (err < 0)
		return err;
	if (t->closed || ((msg.flags & VHU_FLAG_NEED_REPLY) && !accepted))
		return trial_remark(t, "SET_VRING_ADDR before any memory is refused");
	err = trial_send_memory(t);
	if (err == 0)
		err = setup_start_others(t, NULL);
	if (err == 0)
		err = send_rest(t, ring);
	if (err == 0)
		err = trial_driver_ready(t, NULL);
	return err < 0 ? err : trial_exchange(t, 2);
}

/* Indices. */

/* A device that runs but for the ring of requests, whose indices in memory are base. */
static int boot_to_base(struct trial *t, uint16_t base)
{
	unsigned int ring = trial_ring(t);
	uint16_t stopped;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_stop_ring(t, ring, &stopped);
	if (err < 0)
		return err;
	vhu_frontend_reset_ring(&t->fe, ring);
	driverq_set_base(&t->fe.rings[ring].q, base);
	return 0;
}

/* The ring's index is put to base in memory and in SET_VRING_BASE, as after a migration. */
static int runs_from(struct trial *t, uint16_t base, unsigned int n)
{
	unsigned int ring = trial_ring(t);
	struct vring *vring;
	int err = boot_to_base(t, base);

	if (err == 0)
		err = setup_resume(t, ring, base);
	if (err == 0)
		err = trial_exchange(t, n);
	if (err < 0)
		return err;
	vring = trial_vring(t, ring);
	if (vring_used_idx(vring) != (uint16_t)(base + n))
		err = trial_fail(t,
				 "%u requests from index %u: expected the used index %u, but it is "
				 "%u",
				 n, base, (uint16_t)(base + n), vring_used_idx(vring));
	return err;
}

int case_vring_base_5(struct trial *t)
{
	return runs_from(t, 5, 1);
}

int case_vring_base_wraps(struct trial *t)
{
	return runs_from(t, 65534, 5);
}

int case_vring_base_upper(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct vhu_msg msg;
	int err = boot_to_base(t, 5);

	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_BASE, ring, 0x10005);
	err = trial_survives(t, &msg, NULL, "SET_VRING_BASE of 0x10005");
	if (err < 0 || t->closed)
		return err;
	err = setup_resume(t, ring, 5);
	return err < 0 ? err : trial_exchange(t, 2);
}

/* Both halves of a packed ring's base come back as they were given, as long as it never ran. */
int case_vring_base_packed(struct trial *t)
{
	static const uint32_t given = 0x80058005;
	struct vhu_vring_state state = { .index = trial_ring(t) };
	struct vhu_msg msg, reply;
	int err = trial_handshake_with(t, trial_features(t) | BIT(VIRTIO_F_RING_PACKED_BIT),
				       trial_protocol(t));

	if (err < 0)
		return err;
	trial_msg_vring(t, &msg, VHU_FE_SET_VRING_BASE, state.index, given);
	err = trial_request(t, &msg, NULL);
	trial_msg_vring(t, &msg, VHU_FE_GET_VRING_BASE, state.index, 0);
	msg.flags &= ~VHU_FLAG_NEED_REPLY;
	if (err == 0)
		err = trial_request(t, &msg, &reply);
	if (err < 0)
		return err;
	vhu_msg_get(&reply, &state, sizeof(state));
	fdset_close(&reply.fds);
	if (state.num == given)
		return 0;
	if (state.num == (given & UINT16_MAX))
		return trial_warn(t, "a packed ring's base %#x comes back without its upper half",
				  given);
	return trial_fail(t, "a packed ring's base: expected %#x back, but %#x came", given,
			  state.num);
}

/* The log. */

int case_vring_log_address(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = setup_all_but_ring(t, NULL);

	if (err == 0)
		err = setup_num(t, ring, TRIAL_RING);
	if (err == 0)
		err = trial_step(t, vhu_frontend_vring_addr(&t->fe, ring, 0, UINT64_MAX, true),
				 "SET_VRING_ADDR, not logged, with a log address of 2^64 - 1");
	if (err == 0)
		err = send_rest(t, ring);
	if (err == 0)
		err = trial_prepare(t);
	return err < 0 || !t->device ? err : trial_exchange(t, 2);
}

int case_vring_addr_again(struct trial *t)
{
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 4 && err == 0; i++) {
		err = trial_exchange(t, 3);
		if (err == 0)
			err = setup_addr(t, trial_ring(t));
	}
	return err < 0 ? err : trial_exchange(t, 3);
}

static int start_logging(struct trial *t)
{
	static const struct vhu_log log = { .mmap_size = 0x10000 };
	AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);
	struct vhu_msg msg, reply;
	int err;

	if (fd < 0 || ftruncate(fd, (off_t)log.mmap_size) < 0)
		return trial_error(t, "a file for the log: %s", strerror(errno));
	trial_msg(t, &msg, VHU_FE_SET_LOG_BASE);
	msg.flags &= ~VHU_FLAG_NEED_REPLY; /* it has a reply of its own */
	vhu_msg_put(&msg, &log, sizeof(log));
	msg.fds.fd[msg.fds.n_fds++] = fd;
	err = trial_request(t, &msg, &reply);
	if (err < 0)
		return err;
	fdset_close(&reply.fds);
	return trial_step(t,
			  vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES,
					       t->fe.nego.features | BIT(VHOST_F_LOG_ALL_BIT),
					       true),
			  "SET_FEATURES with LOG_ALL while rings run");
}

int case_vring_log_flag(struct trial *t)
{
	static const struct trial_plan plan = { .with_protocol = BIT(VHU_PF_LOG_SHMFD_BIT) };
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = start_logging(t);
	for (uint32_t on = 0; on < 4 && err == 0; on++) {
		err = trial_step(t,
				 vhu_frontend_vring_addr(&t->fe, ring, ~on & 1,
							 t->fe.rings[ring].q.used_addr, true),
				 "SET_VRING_ADDR with the log flag %u", ~on & 1);
		if (err == 0)
			err = trial_exchange(t, 3);
	}
	return err;
}

/* Setting up again. */

/* A ring in new memory takes the place of the one that runs, without GET_VRING_BASE. */
static int replaced_by_new(struct trial *t, bool disabled_first)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	for (unsigned int i = 1; i <= 3 && err == 0; i++) {
		err = trial_exchange(t, 5 * i);
		if (err == 0 && disabled_first)
			err = setup_enable(t, ring, false);
		if (err == 0)
			err = trial_step(t,
					 vhu_frontend_make_ring(&t->fe, ring, TRIAL_RING,
								t->fe.nego.features),
					 "a new ring");
		vhu_frontend_take_calls(&t->fe, ring);
		if (err == 0)
			err = setup_resume(t, ring, 0);
	}
	return err < 0 ? err : trial_exchange(t, 5);
}

int case_vring_replaced(struct trial *t)
{
	return replaced_by_new(t, false);
}

int case_vring_replaced_disabled(struct trial *t)
{
	return replaced_by_new(t, true);
}

/* The first completion of a new ring has a call, whatever was agreed about calls before. */
int case_vring_first_call(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		struct trial_request request;
		struct driverq *q = &t->fe.rings[ring].q;

		driverq_calls_off(q);
		err = setup_exchange_uncalled(t, 5 + i);
		if (err == 0)
			err = trial_restart_ring(t, ring);
		if (err < 0)
			return err;
		err = trial_pass(t, trial_ms(t, 20)); /* a call for nothing may come of the start */
		vhu_frontend_take_calls(&t->fe, ring);
		if (err == 0)
			err = trial_offer(t, NULL, &request);
		driverq_calls_on(q);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0)
			err = trial_step(
				t,
				vhu_frontend_await_call(&t->fe, ring, trial_ms(t, TRIAL_ANSWER_MS)),
				"the first request of a ring that was set up again");
		if (err == 0)
			err = trial_answered(t, &request);
	}
	return err;
}
