/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace_rings_rig.h"

#include <sys/socket.h>

#include "clock.h"
#include "virtio/driverq-packed.h"

static void kick_when_written_brings_a_picture(void **state)
{
	const struct seen *seen;
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	offer(&s);
	bump(s.kick);
	seen = next(&s, 1);
	assert_int_equal(seen->cause, TRACE_KICK);
	assert_int_equal(seen->avail_idx, 1);
	assert_int_equal(seen->used_idx, 0);
	/* Nobody but the back-end takes the kick. */
	assert_int_equal(drain(s.kick), 1);
	close_session(&s);
}

/* An eventfd that stays readable tells of every kick, and not of none all the time. */
static void kick_when_never_read_brings_a_picture_each(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	for (unsigned int i = 1; i < 6; i++) {
		offer(&s);
		bump(s.kick);
		assert_int_equal(next(&s, i)->cause, TRACE_KICK);
		assert_int_equal(s.seen[i].avail_idx, i);
	}
	assert_int_equal(drain(s.kick), 5);
	close_session(&s);
}

static void kick_when_never_read_leaves_the_loop_asleep(void **state)
{
	struct session s;
	uint64_t before;
	int64_t start_ms;

	(void)state;
	open_session(&s);
	start(&s);
	offer(&s);
	bump(s.kick);
	next(&s, 1);
	/* What was hurried is over after some 40 looks; from then on there are 50 a second. */
	for (int i = 0; i < 80; i++)
		step(&s);
	before = loop_counters(s.loop).n_completions;
	start_ms = monotonic_ms();
	for (int i = 0; i < 500; i++)
		assert_int_equal(loop_step(s.loop, false), 0);
	assert_true(loop_counters(s.loop).n_completions - before <=
		    (uint64_t)(monotonic_ms() - start_ms) / 20 + 2);
	close_session(&s);
}

static void kick_when_read_at_once_brings_a_picture(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	step(&s);
	offer(&s);
	bump(s.kick);
	assert_int_equal(drain(s.kick), 1);
	assert_int_equal(next(&s, 1)->cause, TRACE_KICK);
	close_session(&s);
}

static void kick_when_nothing_is_new_brings_nothing(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	for (int i = 0; i < 10; i++) {
		bump(s.kick);
		step(&s);
	}
	assert_int_equal(s.n_seen, 1);
	close_session(&s);
}

static void return_when_no_call_comes_is_seen(void **state)
{
	const struct seen *seen;
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	offer(&s);
	bump(s.kick);
	next(&s, 1);
	give_back(&s);
	seen = next(&s, 2);
	assert_int_equal(seen->cause, TRACE_USED);
	assert_int_equal(seen->used_idx, 1);
	assert_string_equal(seen->data, "answer");
	assert_true(seen->ns >= s.seen[1].ns);
	close_session(&s);
}

/* Where the machine takes its time, the timer may be the first to see one, not all of them. */
static void return_when_called_is_seen_with_the_call(void **state)
{
	unsigned int n_called = 0;
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	for (unsigned int i = 0; i < 5; i++) {
		offer(&s);
		bump(s.kick);
		next(&s, 2 * i + 1);
		/* Until what is hurried is over: then the call comes first by far. */
		for (int k = 0; k < 60; k++)
			step(&s);
		give_back(&s);
		bump(s.call);
		n_called += next(&s, 2 * i + 2)->cause == TRACE_CALL;
	}
	assert_true(n_called > 0);
	assert_int_equal(drain(s.call), 5);
	close_session(&s);
}

static void ring_when_kicked_in_band_brings_a_picture(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	pass_memory(&s);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_ring_addr(&s);
	pass_state(&s, VHU_FE_VRING_KICK, 0, 0);
	assert_int_equal(s.n_seen, 1);
	offer(&s);
	pass_state(&s, VHU_FE_VRING_KICK, 0, 0);
	assert_int_equal(s.n_seen, 2);
	assert_int_equal(s.seen[1].cause, TRACE_KICK);
	close_session(&s);
}

static void ring_when_stopped_is_shown_once_more(void **state)
{
	struct vhu_vring_state state_of = { 0, 1 };
	struct vhu_msg request, reply;
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	offer(&s);
	pass_state(&s, VHU_FE_GET_VRING_BASE, 0, 0);
	assert_int_equal(s.n_seen, 1);
	vhu_msg_init(&request, VHU_FE, VHU_FE_GET_VRING_BASE);
	vhu_msg_init_reply(&reply, &request);
	vhu_msg_put(&reply, &state_of, sizeof(state_of));
	rings_message(s.rings, &reply, NULL, 0);
	assert_int_equal(s.n_seen, 2);
	assert_int_equal(s.seen[1].cause, TRACE_FINISH);
	offer(&s);
	bump(s.kick);
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_step(s.loop, false), 0);
	assert_int_equal(s.n_seen, 2);
	pass_start(&s);
	assert_int_equal(s.seen[2].cause, TRACE_BEGIN);
	close_session(&s);
	assert_int_equal(s.seen[s.n_seen - 1].cause, TRACE_FINISH);
}

static void kick_when_no_eventfd_is_noted_and_not_kept(void **state)
{
	struct session s;
	int pair[2];
	char byte;

	(void)state;
	open_session(&s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pass_u64(&s, VHU_FE_SET_VRING_KICK, 0, pair[0]);
	assert_int_equal(s.n_notes, 1);
	assert_non_null(strstr(s.note, "socket"));
	close(pair[0]);
	assert_int_equal(read(pair[1], &byte, 1), 0);
	close(pair[1]);
	close_session(&s);
}

static void packed_ring_when_kicked_brings_a_picture(void **state)
{
	const struct driverq_buf buf = { GUEST + DATA, 16 };
	struct driverq_packed q;
	struct session s;
	static int token;

	(void)state;
	open_session(&s);
	assert_int_equal(driverq_packed_init(&q, s.mem + 0x4000, GUEST + 0x4000, SIZE, 0), 0);
	pass_u64(&s, VHU_FE_SET_FEATURES, BIT(VIRTIO_F_RING_PACKED_BIT), -1);
	pass_memory(&s);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_state(&s, VHU_FE_SET_VRING_BASE, 0, driverq_packed_base(&q));
	pass_addr(&s, q.desc_addr, q.driver_addr, q.device_addr);
	pass_start(&s);
	assert_int_equal(s.n_seen, 1);
	assert_int_equal(driverq_packed_add(&q, &buf, 1, 0, &token), 0);
	driverq_packed_publish(&q);
	bump(s.kick);
	assert_int_equal(next(&s, 1)->cause, TRACE_KICK);
	assert_int_equal(s.seen[1].n_chains, 1);
	packed_desc_store_flags(&q.ring, 0, packed_used_flags(true));
	assert_int_equal(next(&s, 2)->cause, TRACE_USED);
	assert_int_equal(s.seen[2].used_idx, s.seen[2].avail_idx);
	driverq_packed_fini(&q);
	close_session(&s);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(kick_when_written_brings_a_picture),
	UNIT_TEST(kick_when_never_read_brings_a_picture_each),
	UNIT_TEST(kick_when_never_read_leaves_the_loop_asleep),
	UNIT_TEST(kick_when_read_at_once_brings_a_picture),
	UNIT_TEST(kick_when_nothing_is_new_brings_nothing),
	UNIT_TEST(return_when_no_call_comes_is_seen),
	UNIT_TEST(return_when_called_is_seen_with_the_call),
	UNIT_TEST(ring_when_kicked_in_band_brings_a_picture),
	UNIT_TEST(ring_when_stopped_is_shown_once_more),
	UNIT_TEST(kick_when_no_eventfd_is_noted_and_not_kept),
	UNIT_TEST(packed_ring_when_kicked_brings_a_picture),
};

UNIT_MAIN(tests)
