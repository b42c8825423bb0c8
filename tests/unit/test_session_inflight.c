/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record of requests in flight: VU-041, VU-169 to VU-176. */
#include "session_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vhu/frontend-migrate.h"

enum { SIZE = 64, SPLIT_HEAD = 16, SPLIT_DESC = 16, SPLIT_NEXT = 6, SPLIT_COUNTER = 8 };

static struct guest guest;
static struct vhu_frontend_inflight record = VHU_FRONTEND_INFLIGHT_NONE;

static const uint64_t split_features =
	BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
	BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(CONSOLE_F_SIZE_BIT) | BIT(CONSOLE_F_MULTIPORT_BIT);
static const uint64_t packed_features = split_features | BIT(VIRTIO_F_RING_PACKED_BIT);

/* A connection with features and protocol features accepted. */
static void negotiate(struct session_rig *rig, uint64_t features)
{
	rig_connect(rig);
	rig_plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features,
		.protocol = ~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT)),
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT) |
				  BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) |
				  BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT),
		.n_set_up = rig->con.vdev.n_queues,
		.n_rings = rig->con.vdev.n_queues,
	};
	assert_fe_ok(rig, vhu_style_begin(&rig->fe, &rig_plan));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_FEATURES,
					       vhu_style_features(&rig->fe, &rig_plan), true));
}

/* A new guest whose rings have a record, not started yet. */
static void begin_rings(struct session_rig *rig, uint64_t features)
{
	rig_forget_guest(rig);
	negotiate(rig, features);
	assert_fe_ok(rig, vhu_frontend_inflight_get(&rig->fe, &record, GUEST_N_RINGS, SIZE));
	assert_fe_ok(rig, vhu_frontend_inflight_set(&rig->fe, &record));
	if (!rig->joined)
		rig_join(rig);
	rig->output_len = 0;
}

/* The same, with a driver that talks. */
static void begin(struct session_rig *rig, uint64_t features)
{
	begin_rings(rig, features);
	assert_fe_ok(rig, vhu_style_boot(&rig->fe, &rig_plan, SIZE));
	assert_fe_ok(rig, guest_init(&guest, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&guest, RIG_TIMEOUT_MS));
	rig_settle(rig);
}

/* The back-end dies, another takes its place with the record. wrong: bases say nothing true. */
static void begin_again(struct session_rig *rig, uint64_t features, bool wrong)
{
	rig_disconnect(rig);
	vhu_frontend_recover_bases(&rig->fe);
	for (unsigned int i = 0; wrong && i < GUEST_N_RINGS; i++)
		rig->fe.rings[i].base = 0x7;
	negotiate(rig, features);
	assert_fe_ok(rig, vhu_frontend_inflight_set(&rig->fe, &record));
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
}

static void end(struct session_rig *rig)
{
	guest_fini(&guest);
	vhu_frontend_inflight_fini(&record);
	rig_disconnect(rig);
	rig_expect_service(rig);
}

static uint8_t *part(unsigned int idx)
{
	return vhu_frontend_inflight_part(&record, idx);
}

static uint16_t word(const uint8_t *at, size_t off)
{
	uint16_t v;

	memcpy(&v, at + off, sizeof(v));
	return v;
}

static void set_word(uint8_t *at, size_t off, uint16_t v)
{
	memcpy(at + off, &v, sizeof(v));
}

/* As if a split ring's back-end had died with the head taken. */
static void forge(uint8_t *at, unsigned int head, uint64_t counter)
{
	set_word(at, 8, 1);
	set_word(at, 10, SIZE);
	at[SPLIT_HEAD + SPLIT_DESC * head] = 1;
	memcpy(at + SPLIT_HEAD + SPLIT_DESC * head + SPLIT_COUNTER, &counter, sizeof(counter));
}

static unsigned int n_in_flight(unsigned int idx, bool packed)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIZE; i++)
		n += part(idx)[packed ? 32 + 32 * i : 16 + 16 * i] != 0;
	return n;
}

/* VU-041, VU-033 */
static void stopping_without_draining_is_offered_with_what_it_needs(void **state)
{
	const uint64_t needs =
		BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT);
	struct session_rig *rig = *state;
	uint64_t offered;

	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &offered));
	assert_int_equal(offered & needs, needs);
	assert_true(offered & BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT));
}

/* VU-169, VU-170 */
static void record_for_each_layout_is_zeroes_with_room_for_all(void **state)
{
	static const struct {
		uint64_t features;
		unsigned int n, size;
		size_t at_least;
	} asks[] = {
		{ split_features, 4, 256, 16 + 16 * 256 },
		{ packed_features, 4, 256, 32 + 32 * 256 },
		{ split_features, 1, 1, 32 },
		{ packed_features, 1024, 100, 32 + 32 * 100 },
	};
	struct session_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		struct stat st;

		rig_forget_guest(rig);
		negotiate(rig, asks[i].features);
		assert_fe_ok(rig,
			     vhu_frontend_inflight_get(&rig->fe, &record, asks[i].n, asks[i].size));
		assert_int_equal(fstat(record.fd, &st), 0);
		assert_true((uint64_t)st.st_size >= record.wire.mmap_size);
		assert_true(vhu_frontend_inflight_part_len(&record) >= asks[i].at_least);
		for (uint64_t k = 0; k < record.wire.mmap_size; k++)
			assert_int_equal(record.map[k], 0);
	}
	vhu_frontend_inflight_fini(&record);
}

/* VU-175: no record that large; the session goes on. */
static void record_for_more_rings_than_can_be_is_refused(void **state)
{
	struct session_rig *rig = *state;

	negotiate(rig, split_features);
	assert_int_equal(vhu_frontend_inflight_get(&rig->fe, &record, 1025, SIZE), -EREMOTEIO);
	assert_int_equal(vhu_frontend_inflight_get(&rig->fe, &record, 1, 32769), -EREMOTEIO);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-171 */
static void record_follows_what_the_rings_do(void **state)
{
	struct session_rig *rig = *state;
	char byte;

	for (unsigned int packed = 0; packed < 2; packed++) {
		begin(rig, packed ? packed_features : split_features);
		assert_int_equal(port_input(&rig->port, "i", 1), 1);
		assert_fe_ok(rig, guest_read(&guest, &byte, 1, RIG_TIMEOUT_MS));
		assert_fe_ok(rig, guest_write(&guest, "o", 1, RIG_TIMEOUT_MS));
		assert_fe_ok(rig, guest_write(&guest, "o", 1, RIG_TIMEOUT_MS));
		for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
			assert_int_equal(word(part(i), 8), 1);
			assert_int_equal(word(part(i), 10), SIZE);
			assert_int_equal(n_in_flight(i, packed), 0);
		}
		assert_int_equal(word(part(GUEST_RX), packed ? 16 : 14), 1);
		assert_int_equal(word(part(GUEST_TX), packed ? 16 : 14), 2);
		end(rig);
	}
}

/* Four chains on the transmit ring, heads 0 to 3, before any device is there. */
static void offer_four(struct session_rig *rig)
{
	static const char *const texts[] = { "zero ", "one ", "two ", "three " };

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++)
		rig_offer_output(rig, texts[i]);
}

/* Rings made and filled; a device finds what is in the record. */
static void start_on(struct session_rig *rig, void (*doctor)(struct session_rig *rig))
{
	const uint64_t single = split_features & ~BIT(CONSOLE_F_MULTIPORT_BIT);

	begin_rings(rig, single);
	rig_plan.n_set_up = 2;
	assert_fe_ok(rig, vhu_frontend_make_plain_memory(&rig->fe, 1 << 20, false));
	for (unsigned int i = 0; i < 2; i++)
		assert_fe_ok(rig, vhu_frontend_make_ring(&rig->fe, i, SIZE, single));
	offer_four(rig);
	doctor(rig);
	assert_fe_ok(rig, vhu_style_start(&rig->fe, &rig_plan));
}

static void end_rings(struct session_rig *rig)
{
	rig_settle(rig);
	vhu_frontend_inflight_fini(&record);
	rig_disconnect(rig);
	rig_expect_service(rig);
}

static void doctor_order(struct session_rig *rig)
{
	(void)rig;
	forge(part(GUEST_TX), 1, 5);
	forge(part(GUEST_TX), 0, 7);
}

/* VU-172: by the counters, not by the ring. */
static void chains_in_flight_are_served_first_and_once(void **state)
{
	static const char expected[] = "one zero two three ";
	struct session_rig *rig = *state;

	start_on(rig, doctor_order);
	rig_expect_output(rig, expected, strlen(expected));
	rig_settle(rig);
	assert_int_equal(rig->output_len, 0);
	assert_int_equal(vring_used_idx(&rig->fe.rings[GUEST_TX].q.ring), 4);
	assert_int_equal(n_in_flight(GUEST_TX, false), 0);
	end_rings(rig);
}

/* Three were returned in one batch, of which the record does not know yet. */
static void doctor_batch(struct session_rig *rig)
{
	const struct vring *ring = &rig->fe.rings[GUEST_TX].q.ring;
	uint8_t *at = part(GUEST_TX);

	for (uint16_t head = 0; head < 3; head++) {
		forge(at, head, head);
		vring_set_used_entry(ring, head, head, 0);
		set_word(at, SPLIT_HEAD + SPLIT_DESC * (size_t)head + SPLIT_NEXT,
			 (uint16_t)(head ? head - 1 : 0));
	}
	set_word(at, 12, 2);
	vring_set_used_idx(ring, 3);
}

/* VU-173 */
static void chains_that_were_published_are_not_served_again(void **state)
{
	struct session_rig *rig = *state;

	start_on(rig, doctor_batch);
	rig_expect_output(rig, "three ", 6);
	rig_settle(rig);
	assert_int_equal(rig->output_len, 0);
	assert_int_equal(word(part(GUEST_TX), 14), 4);
	end_rings(rig);
}

static unsigned int forgery;

static void doctor_forgery(struct session_rig *rig)
{
	uint8_t *at = part(GUEST_TX);

	(void)rig;
	switch (forgery) {
	case 0: /* another ring's size */
		forge(at, 0, 0);
		set_word(at, 10, SIZE * 2);
		break;
	case 1: /* a batch that begins outside the table */
		forge(at, 0, 0);
		set_word(at, 12, 0xffff);
		set_word(at, 14, 0xffff);
		break;
	case 2: /* a batch that is longer than the ring */
		forge(at, 0, 0);
		set_word(at, 14, 1000);
		break;
	case 3: /* everything in flight, with one counter: the ring has offered less */
		for (unsigned int head = 0; head < SIZE; head++)
			forge(at, head, 1);
		break;
	default: /* a version of the future */
		forge(at, 0, 0);
		set_word(at, 8, 2);
		break;
	}
}

/* VU-174 */
static void forged_record_harms_its_own_ring_at_most(void **state)
{
	struct session_rig *rig = *state;

	for (forgery = 0; forgery < 5; forgery++) {
		start_on(rig, doctor_forgery);
		rig_settle(rig);
		assert_non_null(rig->b);
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
		end_rings(rig);
		rig->output_len = 0;
	}
}

static void begin_refusing(struct session_rig *rig)
{
	rig_forget_guest(rig);
	negotiate(rig, split_features);
}

#define BAD_RECORD(fd_kind, n, ...)                                                                \
	{                                                                                          \
		.clause = "VU-175", .id = VHU_FE_SET_INFLIGHT_FD, .size = 24, .n_fds = (n),        \
		.kind = (fd_kind), .words = {                                                      \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define SHAPE(n, size) (uint32_t)(n) | (uint32_t)(size) << 16

/* VU-175 */
static void record_of_a_bad_size_or_file_is_refused(void **state)
{
	static const struct rig_refusal refusals[] = {
		BAD_RECORD(RIG_FD_SMALL, 1, 0, 0, 0, 0, SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1088), 0, 0, SHAPE(0, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1088), 0, 0, SHAPE(1, 0), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1024), 0, 0, SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(4096), 0, 0, SHAPE(4, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1088), RIG_U64(4096), SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1088), RIG_U64(2), SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 1, RIG_U64(1088), RIG_U64(UINT64_MAX - 5), SHAPE(1, 64),
			   0),
		BAD_RECORD(RIG_FD_READ_ONLY, 1, RIG_U64(1088), 0, 0, SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SOCKET, 1, RIG_U64(1088), 0, 0, SHAPE(1, 64), 0),
		BAD_RECORD(RIG_FD_SMALL, 0, RIG_U64(1088), 0, 0, SHAPE(1, 64), 0),
		{ .clause = "VU-175",
		  .id = VHU_FE_GET_INFLIGHT_FD,
		  .size = 24,
		  .words = { 0, 0, 0, 0, SHAPE(0, 64), 0 },
		  .closes = true },
		{ .clause = "VU-041",
		  .id = VHU_FE_SET_PROTOCOL_FEATURES,
		  .size = 8,
		  .words = { BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT) |
			     BIT(VHU_PF_REPLY_ACK_BIT) } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		rig_expect_refusal(*state, &refusals[i], begin_refusing);
}

/* VU-176 */
static void record_may_be_asked_for_and_given_back_again_and_again(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_fds = 0;

	begin(rig, split_features);
	for (unsigned int i = 0; i < 100; i++) {
		assert_fe_ok(rig,
			     vhu_frontend_inflight_get(&rig->fe, &record, GUEST_N_RINGS, SIZE));
		assert_fe_ok(rig, vhu_frontend_inflight_set(&rig->fe, &record));
		if (i == 0)
			n_fds = fd_count_open(); /* the session keeps the one in force */
		assert_int_equal(fd_count_open(), n_fds);
		assert_fe_ok(rig, guest_write(&guest, "x", 1, RIG_TIMEOUT_MS));
	}
	end(rig);
}

/* A device that is reset knows nothing of what was in flight before. */
static void record_when_the_device_is_reset_is_dropped(void **state)
{
	struct session_rig *rig = *state;

	begin(rig, split_features);
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_RESET_DEVICE, true));
	assert_null(rig->b->inflight.record);
	assert_int_equal(rig->b->inflight.fd, -1);
	assert_null(rig->b->vqs[0].q.vq.record);
	end(rig);
}

/* The front-end is told where to go on, and need not keep the record. */
static void ring_when_stopped_with_nothing_in_flight_gives_up_its_part(void **state)
{
	struct session_rig *rig = *state;
	uint32_t base, base_now;

	begin(rig, split_features);
	assert_fe_ok(rig, guest_write(&guest, "x", 1, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, GUEST_TX, &base));
	assert_int_equal(base, 1);
	assert_int_equal(word(part(GUEST_TX), 8), 0);
	assert_fe_ok(rig, vhu_frontend_vring_base_now(&rig->fe, GUEST_RX, &base_now));
	assert_int_equal(base_now, 0);
	assert_int_equal(word(part(GUEST_RX), 8), 0);
	assert_int_equal(word(part(GUEST_CTRL_RX), 8), 1);
	end(rig);
}

/* VU-172: whatever bases say, nothing is lost or doubled in either direction. */
static void restart(struct session_rig *rig, uint64_t features, bool wrong)
{
	begin(rig, features);
	for (unsigned int i = 0; i < 30; i++) {
		char text[64], got[64];
		size_t len = (size_t)snprintf(text, sizeof(text), "message %u of many", i);

		rig->output_len = 0;
		assert_int_equal(guest_try_write_port(&guest, 0, text, len), len);
		assert_int_equal(port_input(&rig->port, text, len), len);
		if (i % 2)
			rig_step(rig);
		begin_again(rig, features, wrong);
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		assert_fe_ok(rig, guest_await_taken(&guest, 0, RIG_TIMEOUT_MS));
		assert_fe_ok(rig, guest_read(&guest, got, len, RIG_TIMEOUT_MS));
		assert_memory_equal(got, text, len);
		rig_expect_output(rig, text, len);
	}
	end(rig);
}

static void back_end_when_started_again_goes_on_by_the_record(void **state)
{
	restart(*state, split_features, true);
	restart(*state, split_features, false);
}

static void back_end_of_packed_rings_when_started_again_goes_on_by_the_record(void **state)
{
	restart(*state, packed_features, true);
	restart(*state, packed_features, false);
}

/*
 * The driver has opened its port and will not say so again, but another process
 * finds it open: input flows, the other way as well.
 */
static void driver_is_not_asked_again_after_a_restart(void **state)
{
	struct session_rig *rig = *state;
	char got[5];

	for (unsigned int packed = 0; packed < 2; packed++) {
		uint64_t features = packed ? packed_features : split_features;

		begin(rig, features);
		rig_disconnect(rig);
		console_ctrl_reset(&rig->con.ctrl);
		assert_int_equal(port_input(&rig->port, "input", 5), 5);
		begin_again(rig, features, false);
		assert_fe_ok(rig, guest_read(&guest, got, 5, RIG_TIMEOUT_MS));
		assert_memory_equal(got, "input", 5);
		assert_fe_ok(rig, guest_write(&guest, "out", 3, RIG_TIMEOUT_MS));
		rig_expect_output(rig, "out", 3);
		end(rig);
	}
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(stopping_without_draining_is_offered_with_what_it_needs),
	RIG_TEST(record_for_each_layout_is_zeroes_with_room_for_all),
	RIG_TEST(record_for_more_rings_than_can_be_is_refused),
	RIG_TEST(record_follows_what_the_rings_do),
	RIG_TEST(chains_in_flight_are_served_first_and_once),
	RIG_TEST(chains_that_were_published_are_not_served_again),
	RIG_TEST(forged_record_harms_its_own_ring_at_most),
	RIG_TEST(record_of_a_bad_size_or_file_is_refused),
	RIG_TEST(record_may_be_asked_for_and_given_back_again_and_again),
	RIG_TEST(record_when_the_device_is_reset_is_dropped),
	RIG_TEST(ring_when_stopped_with_nothing_in_flight_gives_up_its_part),
	RIG_TEST(back_end_when_started_again_goes_on_by_the_record),
	RIG_TEST(driver_is_not_asked_again_after_a_restart),
	RIG_TEST(back_end_of_packed_rings_when_started_again_goes_on_by_the_record),
};
UNIT_MAIN(tests)
