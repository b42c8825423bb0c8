/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the played back-end does wrong, as an honest front-end sees it. */
#include "played_rig.h"

#include <errno.h>

static int get_queue_num_with(enum played_fault fault, uint64_t arg, struct played_rig *rig)
{
	const struct played_script script = {
		.fault = fault,
		.message = VHU_FE_GET_QUEUE_NUM,
		.arg = arg,
	};
	uint64_t value;
	int err;

	rig_open(rig, "rng", &script);
	rig_handshake(rig);
	assert_false(rig->p.fault_done);
	rig->fe.timeout_ms = 100;
	err = vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_QUEUE_NUM, &value);
	assert_true(rig->p.fault_done);
	rig_close(rig);
	return err;
}

static void replies_when_wrong_are_seen_as_such(void **state)
{
	static const struct {
		enum played_fault fault;
		uint64_t arg;
		int err;
	} rows[] = {
		{ FAULT_REPLY_SHORT, 0, -EPROTO },  { FAULT_REPLY_LONG, 0, -EPROTO },
		{ FAULT_REPLY_FLAGS, 1, -EPROTO },  { FAULT_REPLY_ID, 0, -EPROTO },
		{ FAULT_REPLY_FDS, 0, -EPROTO },    { FAULT_REPLY_HUGE, 1 << 20, -EPROTO },
		{ FAULT_REPLY_CUT, 0, -ETIMEDOUT }, { FAULT_DIE, 0, -ECONNRESET },
		{ FAULT_REPLY_PIECES, 0, 0 },	    { FAULT_SLOW, 20, 0 },
		{ FAULT_REPLY_VALUE, 7, 0 },	    { FAULT_REPLY_TWICE, 0, 0 },
	};
	struct played_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(get_queue_num_with(rows[i].fault, rows[i].arg, &rig), rows[i].err);
}

static void message_when_to_be_refused_is_refused_once(void **state)
{
	const struct played_script script = { .fault = FAULT_NACK,
					      .message = VHU_FE_SET_VRING_NUM };
	struct played_rig rig;

	(void)state;
	rig_open(&rig, "rng", &script);
	rig_handshake(&rig);
	rig_memory(&rig);
	assert_int_equal(vhu_frontend_vring(&rig.fe, VHU_FE_SET_VRING_NUM, 0, RIG_RING, true),
			 -EREMOTEIO);
	rig_start(&rig);
	assert_int_equal(rig_exchange(&rig, 0, 8), 8);
	rig_close(&rig);
}

static void used_entry_with(enum played_fault fault, enum driverq_result expected)
{
	const struct played_script script = { .fault = fault };
	struct played_rig rig;
	struct driverq *q;
	struct driverq_buf buf;
	enum driverq_result result = DRIVERQ_EMPTY;
	uint32_t len;
	void *token;

	rig_boot(&rig, "rng", &script);
	q = &rig.fe.rings[0].q;
	buf = (struct driverq_buf){ rig.buf_addr, 64 };
	assert_int_equal(driverq_add(q, &buf, 0, 1, false, &rig), 0);
	assert_int_equal(vhu_frontend_publish(&rig.fe, 0), 0);
	rig_settle(&rig);
	assert_true(rig.p.fault_done);
	for (int i = 0; i < 2 && (result == DRIVERQ_EMPTY || result == DRIVERQ_USED); i++)
		result = driverq_get(q, &token, &len);
	assert_int_equal(result, expected);
	rig_close(&rig);
}

static void used_entries_when_wrong_are_seen_as_such(void **state)
{
	(void)state;
	used_entry_with(FAULT_USED_RANGE, DRIVERQ_BAD_ID);
	used_entry_with(FAULT_USED_FREE, DRIVERQ_BAD_ID);
	used_entry_with(FAULT_USED_LEN, DRIVERQ_BAD_LEN);
	used_entry_with(FAULT_USED_TWICE, DRIVERQ_BAD_IDX);
	used_entry_with(FAULT_USED_JUMP, DRIVERQ_BAD_IDX);
	used_entry_with(FAULT_USED_NEVER, DRIVERQ_EMPTY);
}

static void connection_when_to_die_ends_while_running(void **state)
{
	const struct played_script script = { .fault = FAULT_DIE_RUNNING };
	struct played_rig rig;

	(void)state;
	rig_boot(&rig, "rng", &script);
	played_fault_running(&rig.p);
	assert_true(rig.p.fault_done);
	assert_int_equal(rig.p.fd, -1);
	assert_int_equal(vhu_frontend_await_close(&rig.fe, RIG_MS), 0);
	rig_close(&rig);
}

static void channel_fault_when_there_is_no_channel_waits(void **state)
{
	const struct played_script script = { .fault = FAULT_CHANNEL_GARBAGE };
	struct played_rig rig;

	(void)state;
	rig_boot(&rig, "rng", &script);
	played_fault_running(&rig.p);
	assert_false(rig.p.fault_done);
	assert_int_equal(vhu_frontend_open_channel(&rig.fe, true), 0);
	played_fault_running(&rig.p);
	assert_true(rig.p.fault_done);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(replies_when_wrong_are_seen_as_such),
	UNIT_TEST(message_when_to_be_refused_is_refused_once),
	UNIT_TEST(used_entries_when_wrong_are_seen_as_such),
	UNIT_TEST(connection_when_to_die_ends_while_running),
	UNIT_TEST(channel_fault_when_there_is_no_channel_waits),
};

UNIT_MAIN(tests)
