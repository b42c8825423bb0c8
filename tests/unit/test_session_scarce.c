/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory, mappings or descriptors run out in the middle of a session, on either
 * side, each call in turn: it costs that session at most, whoever is short says
 * so, and the next session works. A request that is not carried out is refused, or
 * the connection ends (NoC of the clauses); a guest hears of no trouble of others.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "session_rig.h"

#include "fail_rig.h"
#include "vhu/frontend-iotlb.h"
#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"
#include "virtio/features.h"

enum { SIZE = 64, MEMORY = 1 << 20, SHORT_MS = 60 };

#define SHIFT UINT64_C(0x5500000000)

/* All that a session may take, so that it can be given up at any point. */
static struct talk {
	struct guest guest;
	struct vhu_frontend_inflight record;
	struct vhu_frontend_log dirty;
	struct vhu_frontend_state device;
	struct vhu_frontend_memory memory;
	struct vhu_frontend_iotlb table;
	bool guest_there;
	int timeout_ms;
} talk;

static const uint64_t ring_features =
	BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
	BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(CONSOLE_F_SIZE_BIT) | BIT(CONSOLE_F_MULTIPORT_BIT);

static void talk_init(int timeout_ms)
{
	talk = (struct talk){
		.record = VHU_FRONTEND_INFLIGHT_NONE,
		.dirty = VHU_FRONTEND_LOG_NONE,
		.memory = VHU_FRONTEND_MEMORY_NONE,
		.timeout_ms = timeout_ms,
	};
}

static void talk_fini(struct session_rig *rig)
{
	if (talk.guest_there)
		guest_fini(&talk.guest);
	vhu_frontend_inflight_fini(&talk.record);
	vhu_frontend_log_fini(&talk.dirty);
	vhu_frontend_state_fini(&talk.device);
	vhu_frontend_memory_fini(&talk.memory);
	vhu_frontend_iotlb_fini(&rig->fe);
}

static int connect_to(struct session_rig *rig)
{
	rig_connect(rig);
	rig->fe.timeout_ms = talk.timeout_ms;
	return 0;
}

static void plan(struct session_rig *rig, uint64_t features)
{
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features,
		.protocol = ~BIT(VHU_PF_STATUS_BIT),
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
}

/* A driver, and bytes of it. */
static int drive(struct session_rig *rig)
{
	uint64_t features = vhu_style_features(&rig->fe, &rig_plan);
	int err = guest_init(&talk.guest, &rig->fe, features);

	talk.guest_there = true;
	if (err == 0)
		err = guest_start(&talk.guest, talk.timeout_ms);
	if (err == 0)
		err = guest_write(&talk.guest, "hello", 5, talk.timeout_ms);
	return err;
}

static int begin(struct session_rig *rig, uint64_t features)
{
	plan(rig, features);
	return vhu_style_begin(&rig->fe, &rig_plan);
}

/* Rings with a record of what is in flight, and a dirty log. */
static int talk_with_record(struct session_rig *rig, uint64_t features)
{
	struct vhu_frontend *fe = &rig->fe;
	int err = begin(rig, features);

	if (err == 0)
		err = vhu_frontend_inflight_ready(
			fe, &talk.record, vhu_style_features(fe, &rig_plan), GUEST_N_RINGS, SIZE);
	if (err == 0)
		err = vhu_style_boot(fe, &rig_plan, SIZE);
	if (err == 0)
		err = drive(rig);
	if (err == 0)
		err = vhu_frontend_log_make(fe, &talk.dirty, 0);
	if (err == 0)
		err = vhu_frontend_log_give(fe, &talk.dirty);
	if (err == 0)
		err = vhu_frontend_log_fd(fe, fe->rings[0].call_fd);
	if (err == 0)
		err = vhu_frontend_log_switch(fe, GUEST_N_RINGS, true);
	return err < 0 ? err : guest_write(&talk.guest, "there", 5, talk.timeout_ms);
}

static int talk_split(struct session_rig *rig)
{
	return talk_with_record(rig, ring_features);
}

static int talk_packed(struct session_rig *rig)
{
	return talk_with_record(rig, ring_features | BIT(VIRTIO_F_RING_PACKED_BIT));
}

/* The device's state goes out and comes in again; memory moves to another file. */
static int talk_moving(struct session_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;
	int err = begin(rig, ring_features);

	if (err == 0)
		err = vhu_style_boot(fe, &rig_plan, SIZE);
	if (err == 0)
		err = drive(rig);
	if (err == 0)
		err = vhu_style_stop(fe, &rig_plan);
	if (err == 0)
		err = vhu_frontend_save_state(fe, VHU_STATE_PIPE, &talk.device);
	if (err == 0)
		err = vhu_frontend_memory_make(fe, &talk.memory);
	if (err == 0)
		err = vhu_frontend_memory_swap(fe, &talk.memory);
	if (err == 0)
		err = vhu_frontend_load_state(fe, VHU_STATE_SOCKET, talk.device.bytes,
					      talk.device.len);
	return err;
}

/* Guest memory behind an IOMMU. */
static int talk_translated(struct session_rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;
	int err;

	fe->iova_shift = SHIFT;
	err = begin(rig, ~(BIT(VIRTIO_F_RING_PACKED_BIT) | BIT(VIRTIO_F_IN_ORDER_BIT)));
	if (err == 0)
		err = vhu_frontend_make_plain_memory(fe, MEMORY, false);
	if (err == 0) {
		vhu_frontend_iotlb_init(fe, &talk.table);
		err = vhu_frontend_iotlb_map_memory(fe, VHU_IOTLB_READ | VHU_IOTLB_WRITE);
	}
	if (err == 0)
		err = vhu_style_boot(fe, &rig_plan, SIZE);
	return err < 0 ? err : drive(rig);
}

typedef int talk_fn(struct session_rig *rig);

/* One session in which the n-th call fails. Returns what became of it. */
static int talk_once(struct session_rig *rig, talk_fn *say, unsigned int nth, unsigned int *ret_n)
{
	int err;

	rig_forget_guest(rig);
	talk_init(n_failed > 0 || nth != UINT_MAX ? SHORT_MS : RIG_TIMEOUT_MS);
	err = connect_to(rig);
	fail_begin(nth);
	if (err == 0)
		err = say(rig);
	*ret_n = fail_end();
	talk_fini(rig);
	rig_disconnect(rig);
	return err;
}

/* Each call that a good session makes fails in a session of its own. */
static void expect_survival(struct session_rig *rig, talk_fn *say)
{
	unsigned int n_calls, n;

	assert_int_equal(talk_once(rig, say, UINT_MAX, &n_calls), 0);
	assert_true(n_calls > 10 && n_calls < 5000);
	for (unsigned int nth = 1; nth <= n_calls; nth++) {
		int err = talk_once(rig, say, nth, &n);

		if (err < 0 && err != -ENOMEM)
			assert_string_not_equal(rig->fe.error, "");
	}
	assert_int_equal(talk_once(rig, say, UINT_MAX, &n), 0);
	rig->fe.timeout_ms = RIG_TIMEOUT_MS;
	rig_forget_guest(rig);
	rig_expect_service(rig);
}

static void session_with_a_record_when_short_of_anything_ends_alone(void **state)
{
	expect_survival(*state, talk_split);
}

static void packed_session_when_short_of_anything_ends_alone(void **state)
{
	expect_survival(*state, talk_packed);
}

static void moving_session_when_short_of_anything_ends_alone(void **state)
{
	expect_survival(*state, talk_moving);
}

static void translated_session_when_short_of_anything_ends_alone(void **state)
{
	struct session_rig *rig = *state;

	rig->iommu = true;
	expect_survival(rig, talk_translated);
	rig->fe.iova_shift = 0;
}

/* A session that cannot begin takes the connection's descriptor, and nothing else. */
static void session_when_it_cannot_begin_says_so(void **state)
{
	struct vhu_backend_options options = { .who = "rig", .max_queue_size = RIG_QUEUE_MAX };
	struct session_rig *rig = *state;
	struct vhu_backend *b = NULL;
	int fds[2], err = -1;

	for (unsigned int nth = 1; err < 0; nth++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		fail_begin(nth);
		err = vhu_backend_new(rig->loop, &rig->con.vdev, fds[0], &options, rig_ended, rig,
				      &b);
		fail_end();
		assert_true(err == -ENOMEM || err == 0);
		if (err == 0) {
			rig->b = b;
			assert_int_equal(n_failed, 0);
		}
		close(fds[1]);
	}
	rig_await_end(rig);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(session_with_a_record_when_short_of_anything_ends_alone),
	RIG_TEST(packed_session_when_short_of_anything_ends_alone),
	RIG_TEST(moving_session_when_short_of_anything_ends_alone),
	RIG_TEST(translated_session_when_short_of_anything_ends_alone),
	RIG_TEST(session_when_it_cannot_begin_says_so),
};
UNIT_MAIN(tests)
