/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring that goes on in another process: handed over at rest, or finished by a
 * mark that the process before had left when it was killed (VU-171 to VU-175).
 */
#include "packed_rig.h"

#include "virtio/inflight.h"
#include "virtio/virtq-handover.h"

enum { SIZE = 8, TAG = 1 };

static struct rig rig;
static struct inflight *record;

static const uint64_t kinds[] = { RIG_V1, RIG_V1 | RIG_PACKED };

static void begin(uint64_t features)
{
	int fd;

	rig_open(&rig, SIZE, features);
	assert_int_equal(inflight_new(1, SIZE, rig.driver.packed, &record, &fd), 0);
	close(fd);
	virtq_set_inflight(&rig.device, record, 0);
	rig_start(&rig, rig.driver.packed ? RIG_FRESH_PACKED : 0);
}

static void end(void)
{
	rig_close(&rig);
	inflight_unref(record);
}

static void offer(unsigned int n)
{
	static int tokens[2 * SIZE];

	for (unsigned int i = 0; i < n; i++) {
		const struct driverq_buf buf = { rig.data + 8 * (uint64_t)i, 8 };

		assert_int_equal(driverq_add(&rig.driver, &buf, 0, 1, false, &tokens[i]), 0);
	}
	driverq_publish(&rig.driver);
}

/* A device that is killed, and another one that has not started yet. */
static void kill_device(void)
{
	virtq_fini(&rig.device);
	assert_int_equal(virtq_init(&rig.device, SIZE, rig.features), 0);
	virtq_set_inflight(&rig.device, record, 0);
}

static void save(struct handover_out *out)
{
	handover_out_init(out);
	virtq_save(&rig.device, out, TAG);
	assert_int_equal(state_finish(&out->state), 0);
}

/* In the other process, which has the record and the memory. Its sentence, or "". */
static const char *load(const struct handover_out *out)
{
	static char why[STATE_WHY_MAX];
	struct virtq_ring ring = driver_ring(&rig.driver, rig.mem);
	struct handover_in in;

	assert_int_equal(handover_in_init(&in, out->state.buf, out->state.len), 0);
	virtq_load(&rig.device, &in.state, TAG, SIZE);
	if (!in.state.failed)
		virtq_set_memory(&rig.device, &ring, rig.mem);
	memcpy(why, in.state.why, sizeof(why));
	handover_in_fini(&in);
	return why;
}

/* Three were out when the device died; what is new comes after them. */
static void leave_three(uint16_t *heads)
{
	offer(5);
	for (unsigned int i = 0; i < 5; i++)
		heads[i] = rig_pop(&rig).head;
	virtq_push(&rig.device, heads[4], 0);
	virtq_push(&rig.device, heads[1], 0);
	virtq_publish(&rig.device);
	kill_device();
	rig_start(&rig, rig.driver.packed ? RIG_FRESH_PACKED : 0);
}

/* VU-172: what an earlier device left, and was not taken yet, goes along, in its order. */
static void chains_when_left_by_an_earlier_device_go_along(void **state)
{
	struct handover_out out;
	uint16_t heads[5];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		begin(kinds[i]);
		leave_three(heads);
		assert_int_equal(rig_pop(&rig).head, heads[0]);
		virtq_push(&rig.device, heads[0], 0);
		virtq_publish(&rig.device);
		save(&out);
		assert_string_equal(out.why, "");
		kill_device();
		assert_string_equal(load(&out), "");
		assert_int_equal(rig_pop(&rig).head, heads[2]);
		assert_int_equal(rig_pop(&rig).head, heads[3]);
		virtq_push(&rig.device, heads[2], 0);
		virtq_push(&rig.device, heads[3], 0);
		virtq_publish(&rig.device);
		assert_false(virtq_has_avail(&rig.device));
		for (unsigned int n = 0; n < 5; n++) {
			void *token;
			uint32_t len;

			assert_int_equal(driverq_get(&rig.driver, &token, &len), DRIVERQ_USED);
		}
		handover_out_fini(&out);
		end();
	}
}

/* VU-174: by then it makes no sense any more; nobody else is harmed. */
static void chain_when_left_and_changed_breaks_its_ring(void **state)
{
	struct chain chain;
	uint16_t heads[5];

	(void)state;
	begin(RIG_V1);
	leave_three(heads);
	assert_int_equal(rig_pop(&rig).head, heads[0]);
	rig_desc(&rig, heads[2], RIG_NOWHERE, 8, 0, 0);
	assert_int_equal(virtq_pop(&rig.device, &chain), POP_BROKEN);
	end();
}

static void ring_when_it_holds_chains_cannot_go(void **state)
{
	struct handover_out out;

	(void)state;
	begin(RIG_V1);
	offer(1);
	rig_pop(&rig);
	save(&out);
	assert_non_null(strstr(out.why, "holds chains"));
	handover_out_fini(&out);
	end();
}

/* A new record counts from the next start on: a ring that runs has the one before. */
static void ring_when_its_record_was_replaced_cannot_go(void **state)
{
	struct handover_out out;
	struct inflight *other;
	int fd;

	(void)state;
	begin(RIG_V1);
	assert_int_equal(inflight_new(1, SIZE, false, &other, &fd), 0);
	close(fd);
	virtq_set_inflight(&rig.device, other, 0);
	save(&out);
	assert_non_null(strstr(out.why, "another record"));
	handover_out_fini(&out);
	inflight_unref(other);
	end();
}

static void ring_without_its_record_is_refused(void **state)
{
	struct handover_out out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		begin(kinds[i]);
		save(&out);
		kill_device();
		virtq_set_inflight(&rig.device, NULL, 0);
		assert_non_null(strstr(load(&out), "no such record"));
		handover_out_fini(&out);
		end();
	}
}

/* The lists and positions of a state, each as large as can be: said, and never used. */
static void state_when_it_names_what_is_not_in_the_ring_is_refused(void **state)
{
	enum { TAG_POSITIONS = 5, TAG_LEFT = 7, CHECK = 8 };
	struct handover_out out;
	uint16_t heads[5];
	unsigned int n_refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (unsigned int tag = TAG_POSITIONS; tag <= TAG_LEFT; tag++) {
			uint64_t sum = UINT64_C(0xcbf29ce484222325);
			uint8_t *b;

			begin(kinds[i]);
			leave_three(heads);
			save(&out);
			b = out.state.buf;
			/* Fields of the group, which is the first field of the state. */
			for (size_t at = STATE_HEADER_LEN + STATE_FIELD_LEN;
			     at < out.state.len - CHECK;) {
				uint32_t len;

				memcpy(&len, b + at + 4, sizeof(len));
				if (b[at] == tag)
					memset(b + at + STATE_FIELD_LEN, 0xff, len);
				at += STATE_FIELD_LEN + len;
			}
			for (size_t k = 0; k < out.state.len - CHECK; k++)
				sum = (sum ^ b[k]) * UINT64_C(0x100000001b3);
			memcpy(b + out.state.len - CHECK, &sum, CHECK);
			kill_device();
			n_refused += load(&out)[0] != '\0';
			handover_out_fini(&out);
			end();
		}
	}
	assert_true(n_refused >= 4);
}

/* VU-173: what was returned and not shown when the process died is shown, once. */
static void returns_when_marked_are_shown_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct virtq_ring ring;
		struct ring_mark mark;
		void *token;
		uint32_t len;

		begin(kinds[i]);
		offer(3);
		for (unsigned int n = 0; n < 3; n++)
			virtq_push(&rig.device, rig_pop(&rig).head, 4);
		mark = virtq_mark(&rig.device);
		assert_int_equal(mark.n, 3);
		kill_device();
		ring = driver_ring(&rig.driver, rig.mem);
		assert_true(virtq_finish(&rig.device, &ring, &mark));
		assert_false(virtq_finish(&rig.device, &ring, &mark));
		rig_start(&rig, rig.driver.packed ? RIG_FRESH_PACKED : 0);
		assert_false(virtq_has_avail(&rig.device));
		for (unsigned int n = 0; n < 3; n++) {
			assert_int_equal(driverq_get(&rig.driver, &token, &len), DRIVERQ_USED);
			assert_int_equal(len, 4);
		}
		assert_int_equal(driverq_get(&rig.driver, &token, &len), DRIVERQ_EMPTY);
		end();
	}
}

static void mark_when_it_is_of_another_time_touches_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_mark mark, wrong;
		struct virtq_ring ring;

		begin(kinds[i]);
		offer(1);
		virtq_push(&rig.device, rig_pop(&rig).head, 4);
		mark = virtq_mark(&rig.device);
		kill_device();
		ring = driver_ring(&rig.driver, rig.mem);
		wrong = mark;
		wrong.used = 0x7fff;
		assert_false(virtq_finish(&rig.device, &ring, &wrong));
		wrong = mark;
		wrong.n = 3;
		assert_false(virtq_finish(&rig.device, &ring, &wrong));
		wrong = mark;
		wrong.head = wrong.tail = UINT16_MAX;
		assert_int_equal(virtq_finish(&rig.device, &ring, &wrong), !rig.driver.packed);
		end();
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(chains_when_left_by_an_earlier_device_go_along),
	UNIT_TEST(chain_when_left_and_changed_breaks_its_ring),
	UNIT_TEST(ring_when_it_holds_chains_cannot_go),
	UNIT_TEST(ring_when_its_record_was_replaced_cannot_go),
	UNIT_TEST(ring_without_its_record_is_refused),
	UNIT_TEST(state_when_it_names_what_is_not_in_the_ring_is_refused),
	UNIT_TEST(returns_when_marked_are_shown_once),
	UNIT_TEST(mark_when_it_is_of_another_time_touches_nothing),
};
UNIT_MAIN(tests)
