/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "played_rig.h"

#include <errno.h>

static const struct played_script good = { .fault = FAULT_NONE };

static void session_when_good_breaks_nothing(void **state)
{
	struct played_rig rig;

	(void)state;
	rig_boot(&rig, "rng", &good);
	assert_int_equal(rig_exchange(&rig, 0, 64), 64);
	played_judge_end(&rig.p);
	assert_int_equal(rig_n_broken(&rig), 0);
	assert_int_equal(rig.p.n_chains, 1);
	assert_true(rig.p.duties[DUTY_START_NEEDS].n_applied > 0);
	assert_true(rig.p.duties[DUTY_RING_MAPPED].n_applied > 0);
	assert_true(rig.p.duties[DUTY_KICK_SENT].n_applied > 0);
	assert_true(rig.p.rules[VHU_RULE_VERSION].n_applied > 0);
	assert_int_equal(rig.p.rules[VHU_RULE_LOG_SIZE].n_applied, 0);
	rig_close(&rig);
}

static void block_when_written_gives_it_back(void **state)
{
	struct played_rig rig;
	uint32_t head[4] = { 1, 0, 3, 0 }; /* write sector 3 */

	(void)state;
	rig_boot(&rig, "block", &good);
	memcpy(rig.buf, head, 16);
	memset(rig.buf + 16, 0x5a, 512);
	assert_int_equal(rig_exchange(&rig, 16 + 512, 1), 1);
	assert_int_equal(rig.buf[16 + 512], 0);
	head[0] = 0;
	memset(rig.buf, 0, 1024);
	memcpy(rig.buf, head, 16);
	assert_int_equal(rig_exchange(&rig, 16, 513), 513);
	assert_int_equal(rig.buf[16], 0x5a);
	assert_int_equal(rig.buf[16 + 511], 0x5a);
	assert_int_equal(rig.buf[16 + 512], 0);
	rig_close(&rig);
}

static void block_when_beyond_the_end_reports_an_error(void **state)
{
	struct played_rig rig;
	const uint32_t head[4] = { 0, 0, 2048, 0 };

	(void)state;
	rig_boot(&rig, "block", &good);
	memcpy(rig.buf, head, 16);
	assert_int_equal(rig_exchange(&rig, 16, 513), 1);
	assert_int_equal(rig.buf[16 + 512], 1);
	rig_close(&rig);
}

static void channel_when_asked_is_answered(void **state)
{
	struct played_rig rig;

	(void)state;
	rig_boot(&rig, "block", &good);
	assert_int_equal(vhu_frontend_open_channel(&rig.fe, true), 0);
	assert_true(played_config_change(&rig.p));
	assert_int_equal(vhu_frontend_pass_time(&rig.fe, 20), 0);
	assert_int_equal(rig.fe.heard.n_config_changes, 1);
	assert_int_equal(rig.p.duties[DUTY_CHANNEL_ACK].n_applied, 1);
	assert_int_equal(rig.p.rules[VHU_RULE_REPLY_FLAGS].n_applied, 1);
	assert_int_equal(rig_n_broken(&rig), 0);
	rig_close(&rig);
}

static void start_when_nothing_is_set_is_a_broken_duty(void **state)
{
	struct played_rig rig;

	(void)state;
	rig_open(&rig, "rng", &good);
	rig_handshake(&rig);
	rig_memory(&rig);
	assert_int_equal(vhu_frontend_vring_fd(&rig.fe, VHU_FE_SET_VRING_KICK, 0,
					       rig.fe.rings[0].kick_fd, true),
			 0);
	assert_int_equal(rig.p.duties[DUTY_START_NEEDS].n_broken, 1);
	assert_int_equal(rig_n_broken(&rig), 1);
	rig_close(&rig);
}

static void features_when_not_asked_for_are_a_broken_duty(void **state)
{
	struct played_rig rig;
	struct vhu_msg m;

	(void)state;
	rig_open(&rig, "rng", &good);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&m, BIT(VIRTIO_F_VERSION_1_BIT));
	rig_send(&rig, &m);
	assert_int_equal(rig.p.duties[DUTY_FEATURES_ASKED].n_broken, 1);
	rig_close(&rig);
}

static void features_when_not_offered_break_the_rule(void **state)
{
	struct played_rig rig;
	struct vhu_msg m;

	(void)state;
	rig_open(&rig, "rng", &good);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_FEATURES);
	vhu_msg_put_u64(&m, BIT(50));
	rig_send(&rig, &m);
	assert_int_equal(rig.p.rules[VHU_RULE_FEATURES_OFFERED].n_broken, 1);
	assert_non_null(strstr(rig.p.rules[VHU_RULE_FEATURES_OFFERED].broken, "SET_FEATURES"));
	assert_true(rig.p.died); /* no acknowledgement was asked for */
	rig_close(&rig);
}

static void descriptors_when_late_break_the_rule(void **state)
{
	struct played_rig rig;
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg m;
	size_t len;
	int fd;

	(void)state;
	rig_open(&rig, "rng", &good);
	rig_handshake(&rig);
	fd = dup(rig.fe.fd);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&m, 0);
	len = vhu_msg_pack(&m, bytes);
	assert_int_equal(vhu_frontend_send_raw(&rig.fe, bytes, VHU_HDR_LEN, NULL, 0), 0);
	assert_int_equal(
		vhu_frontend_send_raw(&rig.fe, bytes + VHU_HDR_LEN, len - VHU_HDR_LEN, &fd, 1), 0);
	rig_settle(&rig);
	assert_int_equal(rig.p.rules[VHU_RULE_FDS_PLACE].n_broken, 1);
	fd_close(fd);
	rig_close(&rig);
}

static void message_when_cut_breaks_the_rule(void **state)
{
	struct played_rig rig;
	const uint32_t half[2] = { VHU_FE_SET_OWNER, VHU_VERSION };

	(void)state;
	rig_open(&rig, "rng", &good);
	assert_int_equal(vhu_frontend_send_raw(&rig.fe, half, sizeof(half), NULL, 0), 0);
	vhu_frontend_disconnect(&rig.fe);
	rig_settle(&rig);
	assert_int_equal(rig.p.rules[VHU_RULE_TRUNCATED].n_broken, 1);
	rig_close(&rig);
}

static void ring_index_when_told_is_judged_by_it(void **state)
{
	struct played_rig rig;
	struct vhu_vring_state s = { .index = 1, .num = 16 };
	uint64_t n;
	struct vhu_msg m;

	(void)state;
	rig_open(&rig, "rng", &good);
	rig_handshake(&rig);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_VRING_NUM);
	m.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&m, &s, sizeof(s));
	rig_send(&rig, &m);
	assert_int_equal(rig.p.rules[VHU_RULE_RING_INDEX].n_broken, 0);
	assert_int_equal(vhu_frontend_receive(&rig.fe, &m, RIG_MS), 0);
	assert_int_equal(vhu_msg_u64(&m), 1);
	assert_int_equal(vhu_frontend_get_u64(&rig.fe, VHU_FE_GET_QUEUE_NUM, &n), 0);
	assert_int_equal(n, 1);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put(&m, &s, sizeof(s));
	rig_send(&rig, &m);
	assert_int_equal(rig.p.rules[VHU_RULE_RING_INDEX].n_broken, 1);
	rig_close(&rig);
}

static void chain_when_a_loop_is_a_broken_duty(void **state)
{
	struct played_rig rig;
	const struct vring *ring;

	(void)state;
	rig_boot(&rig, "rng", &good);
	ring = &rig.fe.rings[0].q.ring;
	vring_desc_store(
		ring, 0,
		(struct vring_desc){ rig.buf_addr, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0 });
	vring_set_avail_entry(ring, 0, 0);
	vring_set_avail_idx(ring, 1);
	assert_int_equal(vhu_frontend_kick(&rig.fe, 0), 0);
	rig_settle(&rig);
	assert_int_equal(rig.p.duties[DUTY_RING_CHAIN_LONG].n_broken, 1);
	assert_int_equal(rig_n_broken(&rig), 1);
	rig_close(&rig);
}

static void status_when_driver_is_not_ok_is_a_broken_duty(void **state)
{
	struct played_rig rig;
	struct vhu_msg m;

	(void)state;
	rig_open(&rig, "rng", &good);
	rig_handshake(&rig);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_PROTOCOL_FEATURES);
	vhu_msg_put_u64(&m, BIT(VHU_PF_STATUS_BIT));
	rig_send(&rig, &m);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_STATUS);
	vhu_msg_put_u64(&m, 0x07);
	rig_send(&rig, &m);
	assert_int_equal(rig.p.duties[DUTY_STATUS_FEATURES_OK].n_broken, 1);
	vhu_msg_put_u64(&m, 0x08);
	rig_send(&rig, &m);
	assert_int_equal(rig.p.duties[DUTY_STATUS_KEEPS].n_broken, 1);
	rig_close(&rig);
}

static void ring_when_the_status_is_reset_stops(void **state)
{
	struct played_rig rig;
	struct vhu_msg m;

	(void)state;
	rig_boot(&rig, "rng", &good);
	assert_true(played_ring_runs(&rig.p, 0));
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_PROTOCOL_FEATURES);
	vhu_msg_put_u64(&m, BIT(VHU_PF_STATUS_BIT));
	rig_send(&rig, &m);
	vhu_msg_init(&m, VHU_FE, VHU_FE_SET_STATUS);
	vhu_msg_put_u64(&m, 0);
	rig_send(&rig, &m);
	assert_false(played_ring_runs(&rig.p, 0));
	assert_true(rig.p.rings[0].call_fd >= 0);
	assert_int_equal(rig.p.duties[DUTY_STATUS_DRIVER_OK].n_applied, 0);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(session_when_good_breaks_nothing),
	UNIT_TEST(block_when_written_gives_it_back),
	UNIT_TEST(block_when_beyond_the_end_reports_an_error),
	UNIT_TEST(channel_when_asked_is_answered),
	UNIT_TEST(start_when_nothing_is_set_is_a_broken_duty),
	UNIT_TEST(features_when_not_asked_for_are_a_broken_duty),
	UNIT_TEST(features_when_not_offered_break_the_rule),
	UNIT_TEST(descriptors_when_late_break_the_rule),
	UNIT_TEST(message_when_cut_breaks_the_rule),
	UNIT_TEST(ring_index_when_told_is_judged_by_it),
	UNIT_TEST(chain_when_a_loop_is_a_broken_duty),
	UNIT_TEST(ring_when_the_status_is_reset_stops),
	UNIT_TEST(status_when_driver_is_not_ok_is_a_broken_duty),
};

UNIT_MAIN(tests)
