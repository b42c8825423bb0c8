/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes, descriptors, negotiation and acknowledgements: VU-001 to VU-053. */
#include "session_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

static size_t pack(uint8_t *at, uint32_t id, uint32_t flags, const void *payload, uint32_t len)
{
	uint32_t head[3] = { id, flags, len };

	memcpy(at, head, sizeof(head));
	if (len > 0)
		memcpy(at + sizeof(head), payload, len);
	return sizeof(head) + len;
}

static void receive(struct session_rig *rig, struct vhu_msg *reply, uint32_t id, uint32_t size)
{
	assert_fe_ok(rig, vhu_frontend_receive(&rig->fe, reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply->id, id);
	assert_int_equal(reply->flags, VHU_REPLY_FLAGS);
	assert_int_equal(reply->size, size);
	assert_int_equal(reply->fds.n_fds, 0);
}

/* VU-001 */
static void messages_in_one_write_are_told_apart(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	struct vhu_msg reply;
	size_t len;

	rig_connect(rig);
	len = pack(bytes, VHU_FE_SET_OWNER, 1, NULL, 0);
	len += pack(bytes + len, VHU_FE_GET_FEATURES, 1, NULL, 0);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
	receive(rig, &reply, VHU_FE_GET_FEATURES, 8);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-002 */
static void messages_byte_by_byte_are_put_together(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	struct vhu_msg reply;
	uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT);
	size_t len;

	rig_connect(rig);
	len = pack(bytes, VHU_FE_SET_FEATURES, 1, &features, 8);
	len += pack(bytes + len, VHU_FE_GET_FEATURES, 1, NULL, 0);
	for (size_t i = 0; i < len; i++) {
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes + i, 1, NULL, 0));
		rig_settle(rig);
	}
	receive(rig, &reply, VHU_FE_GET_FEATURES, 8);
	assert_true(rig->b->nego.features == features);
}

/* VU-005: header and payload are there for one recv() each, at once. */
static void reply_when_sent_is_whole(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[VHU_HDR_LEN + 8];
	size_t len;

	rig_connect(rig);
	len = pack(bytes, VHU_FE_GET_FEATURES, 1, NULL, 0);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &rig->fe.fd, 1, RIG_TIMEOUT_MS));
	assert_int_equal(recv(rig->fe.fd, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
}

/* VU-003, VU-004, VU-008, VU-047, VU-049: what may be asked at any time. */
static void questions_with_odd_flags_are_answered_once(void **state)
{
	static const uint32_t flags[] = { 0x1, 0x9, 0x11, 0xfffffff1 };
	struct session_rig *rig = *state;

	rig_connect(rig);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		uint8_t bytes[32];
		struct vhu_msg reply;
		size_t len = pack(bytes, VHU_FE_SET_OWNER, flags[i], NULL, 0);

		len += pack(bytes + len, VHU_FE_GET_FEATURES, flags[i], NULL, 0);
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
		receive(rig, &reply, VHU_FE_GET_FEATURES, 8);
	}
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

static const struct rig_refusal broken_frames[] = {
	{ .clause = "VU-006", .id = VHU_FE_GET_FEATURES, .flags = 0x2, .closes = true },
	{ .clause = "VU-007", .id = VHU_FE_GET_FEATURES, .flags = 0x4, .closes = true },
	{ .clause = "VU-011", .id = VHU_FE_SET_FEATURES, .size = 0x7fffffff, .closes = true },
	{ .clause = "VU-011", .id = VHU_FE_SET_FEATURES, .size = 0xffffffff, .closes = true },
	{ .clause = "VU-011", .id = VHU_FE_SET_FEATURES, .size = 65536, .closes = true },
	{ .clause = "VU-011", .id = VHU_FE_SET_FEATURES, .size = 4097, .closes = true },
	{ .clause = "VU-012",
	  .id = VHU_FE_SET_VRING_NUM,
	  .size = 16,
	  .words = { 0, 64 },
	  .closes = true },
	{ .clause = "VU-013", .id = VHU_FE_SET_VRING_ADDR, .size = 39 },
	{ .clause = "VU-013", .id = VHU_FE_SET_FEATURES, .size = 4 },
	{ .clause = "VU-013", .id = VHU_FE_SET_VRING_KICK, .size = 0 },
	{ .clause = "VU-013", .id = VHU_FE_SET_MEM_TABLE, .size = 40, .words = { 2 }, .n_fds = 2 },
	{ .clause = "VU-013", .id = VHU_FE_SET_MEM_TABLE, .size = 0, .n_fds = 1 },
	{ .clause = "VU-015", .id = VHU_FE_SET_OWNER, .size = 8, .closes = true },
};

static const struct rig_refusal refused_messages[] = {
	/* VU-028: only what carries notifications may be a ring's descriptor. */
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_VRING_KICK,
	  .size = 8,
	  .words = { RIG_U64(1) },
	  .n_fds = 1,
	  .kind = RIG_FD_DIRECTORY },
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_VRING_CALL,
	  .size = 8,
	  .words = { RIG_U64(1) },
	  .n_fds = 1,
	  .kind = RIG_FD_MEMORY },
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_VRING_ERR,
	  .size = 8,
	  .words = { RIG_U64(1) },
	  .n_fds = 1,
	  .kind = RIG_FD_READ_ONLY },
	{ .clause = "VU-016", .id = 0 },
	{ .clause = "VU-016", .id = 46 },
	{ .clause = "VU-016", .id = 1000, .size = 64 },
	{ .clause = "VU-016", .id = 0xffffffff, .size = 64, .n_fds = 1 },
	{ .clause = "VU-017", .id = 200, .n_fds = 3 },
	{ .clause = "VU-018", .id = VHU_FE_GET_STATUS, .closes = true },
	{ .clause = "VU-018", .id = VHU_FE_SEND_RARP, .size = 8 },
	{ .clause = "VU-018", .id = VHU_FE_SET_INFLIGHT_FD, .size = 24, .n_fds = 1 },
	{ .clause = "VU-018", .id = VHU_FE_GET_INFLIGHT_FD, .size = 24, .closes = true },
	{ .clause = "VU-025",
	  .id = VHU_FE_SET_LOG_BASE,
	  .size = 16,
	  .words = { 4096 },
	  .closes = true },
	{ .clause = "VU-018", .id = VHU_FE_POSTCOPY_ADVISE, .closes = true },
	{ .clause = "VU-210", .id = VHU_FE_IOTLB_MSG, .size = 32, .closes = true },
	{ .clause = "VU-023",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 264,
	  .words = { 8 },
	  .n_fds = 16,
	  .closes = true },
	{ .clause = "VU-023",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 264,
	  .words = { 8 },
	  .n_fds = 253,
	  .closes = true },
	{ .clause = "VU-024",
	  .id = VHU_FE_SET_VRING_NUM,
	  .size = 8,
	  .words = { 0, 64 },
	  .n_fds = 1 },
	{ .clause = "VU-025", .id = VHU_FE_SET_BACKEND_REQ_FD },
	{ .clause = "VU-025", .id = VHU_FE_SET_LOG_FD },
	{ .clause = "VU-034", .id = VHU_FE_SET_FEATURES, .size = 8, .words = { RIG_U64(BIT(50)) } },
	{ .clause = "VU-039",
	  .id = VHU_FE_SET_PROTOCOL_FEATURES,
	  .size = 8,
	  .words = { RIG_U64(BIT(63) | BIT(VHU_PF_REPLY_ACK_BIT)) } },
	{ .clause = "VU-040",
	  .id = VHU_FE_SET_PROTOCOL_FEATURES,
	  .size = 8,
	  .words = { RIG_U64(BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT)) },
	  .closes = true },
	{ .clause = "VU-040",
	  .id = VHU_FE_SET_PROTOCOL_FEATURES,
	  .size = 8,
	  .words = { RIG_U64(BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_REPLY_ACK_BIT)) },
	  .closes = true },
	{ .clause = "VU-040",
	  .id = VHU_FE_SET_PROTOCOL_FEATURES,
	  .size = 8,
	  .words = { RIG_U64(BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT)) },
	  .closes = true },
	{ .clause = "VU-041",
	  .id = VHU_FE_SET_PROTOCOL_FEATURES,
	  .size = 8,
	  .words = { RIG_U64(BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT) |
			     BIT(VHU_PF_REPLY_ACK_BIT)) } },
};

static void broken_frames_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_frames); i++)
		rig_expect_refusal(*state, &broken_frames[i], rig_setup_usual);
	rig_expect_service(*state);
}

static void messages_out_of_place_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_messages); i++)
		rig_expect_refusal(*state, &refused_messages[i], rig_setup_usual);
	rig_expect_service(*state);
}

/* VU-009, VU-010 */
static void end_inside_a_message_has_no_effect(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	uint32_t words[2] = { 0, 128 };
	size_t len = pack(bytes, VHU_FE_SET_VRING_NUM, 1, words, 8);

	for (size_t cut = 1; cut < len; cut++) {
		rig_connect(rig);
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, cut, NULL, 0));
		assert_int_equal(shutdown(rig->fe.fd, SHUT_WR), 0);
		assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
		rig_await_end(rig);
	}
	rig_expect_service(rig);
}

/* VU-012: UML's table has room for two regions. */
static void mem_table_with_spare_room_is_accepted(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 72, true));
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 264, true));
}

/* VU-019 */
static void replies_reflect_all_earlier_messages(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	uint32_t set[2] = { 3, 7 }, get[2] = { 3, 0 };
	struct vhu_msg reply;
	struct vhu_vring_state base;
	size_t len;

	rig_connect(rig);
	len = pack(bytes, VHU_FE_SET_VRING_BASE, 1, set, 8);
	len += pack(bytes + len, VHU_FE_GET_VRING_BASE, 1, get, 8);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
	receive(rig, &reply, VHU_FE_GET_VRING_BASE, 8);
	vhu_msg_get(&reply, &base, sizeof(base));
	assert_int_equal(base.index, 3);
	assert_int_equal(base.num, 7);
}

/* VU-020: replies that nobody takes stop the questions, not the rings. */
static void peer_that_takes_no_replies_keeps_its_rings(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[VHU_HDR_LEN];
	size_t len = pack(bytes, VHU_FE_GET_FEATURES, 1, NULL, 0);
	unsigned int n_asked = 0;
	struct vhu_msg reply;

	rig_setup_usual(rig);
	rig_join(rig);
	for (unsigned int idle = 0; idle < 5; idle++) {
		while (send(rig->fe.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len) {
			n_asked++;
			idle = 0;
		}
		rig_settle(rig);
		assert_true(n_asked < 1000000);
	}
	rig_offer_output(rig, "still here");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, "still here", 10);
	while (n_asked-- > 0)
		receive(rig, &reply, VHU_FE_GET_FEATURES, 8);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-021 */
static void front_end_that_leaves_before_its_reply_harms_nobody(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[VHU_HDR_LEN];
	size_t len = pack(bytes, VHU_FE_GET_FEATURES, 1, NULL, 0);

	for (unsigned int i = 0; i < 200; i++) {
		rig_connect(rig);
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
		rig_disconnect(rig);
	}
	rig_expect_service(rig);
}

/* VU-022: two messages in flight, each with its own descriptor. */
static void descriptors_of_neighbours_are_not_mixed_up(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[32];
	uint64_t ring = GUEST_TX;
	int call = eventfd(0, EFD_CLOEXEC), kick = eventfd(0, EFD_CLOEXEC);
	uint64_t value = 1;
	size_t len;

	rig_setup_usual(rig);
	rig_join(rig);
	len = pack(bytes, VHU_FE_SET_VRING_CALL, 1, &ring, 8);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, &call, 1));
	len = pack(bytes, VHU_FE_SET_VRING_KICK, 1, &ring, 8);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, &kick, 1));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	rig_offer_output(rig, "x");
	assert_int_equal(write(kick, &value, sizeof(value)), sizeof(value));
	rig_expect_output(rig, "x", 1);
	assert_fe_ok(rig, vhu_frontend_await_readable(&rig->fe, &call, 1, RIG_TIMEOUT_MS));
	close(call);
	close(kick);
}

/* VU-022: a descriptor that comes with a later byte belongs to no message. */
static void descriptor_with_a_later_byte_ends_the_session(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[32];
	uint64_t ring = 0;
	size_t len = pack(bytes, VHU_FE_SET_VRING_CALL, 1, &ring, 8);

	for (size_t cut = 1; cut < len; cut += 4) {
		rig_setup_usual(rig);
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, cut, NULL, 0));
		rig_settle(rig);
		assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes + cut, len - cut,
							&rig->fe.mem_fd, 1));
		assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
		rig_await_end(rig);
	}
	rig_expect_service(rig);
}

/* VU-027 */
static void received_descriptors_are_close_on_exec(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		assert_true(fcntl(rig->b->vqs[i].kick_fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(rig->b->vqs[i].call_fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(rig->b->vqs[i].err_fd, F_GETFD) & FD_CLOEXEC);
	}
}

/* VU-029 */
static void empty_control_message_is_no_descriptor(void **state)
{
	struct session_rig *rig = *state;

	rig_connect(rig);
	rig->fe.empty_control = true;
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-030 to VU-033, VU-042, VU-043, VU-210 */
static void offers_are_what_works(void **state)
{
	struct session_rig *rig = *state;
	uint64_t features = 0, again = 0, protocol = 0, n = 0;

	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &features));
	assert_true(features & BIT(VIRTIO_F_VERSION_1_BIT));
	assert_true(features & BIT(VHU_F_PROTOCOL_FEATURES_BIT));
	assert_false(features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol));
	assert_true(protocol & BIT(VHU_PF_MQ_BIT));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_QUEUE_NUM, &n));
	assert_int_equal(n, GUEST_N_RINGS);
	rig_setup_usual(rig);
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &again));
	assert_true(again == features);
}

/* VU-018, VU-039: what a second SET_PROTOCOL_FEATURES leaves out is gone. */
static void protocol_features_when_set_again_replace_the_set(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_msg msg;
	struct vhu_config config = { .size = 12 };

	rig_setup_usual(rig);
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_PROTOCOL_FEATURES, 0, false));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_CONFIG);
	vhu_msg_put(&msg, &config, 24);
	assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
}

/* VU-045 */
static void session_starts_with_nothing_of_the_last_one(void **state)
{
	struct session_rig *rig = *state;

	rig_setup_usual(rig);
	rig_join(rig);
	rig_connect(rig);
	assert_null(rig->b->mem);
	assert_true(rig->b->nego.features == 0 && rig->b->nego.protocol == 0);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		assert_false(rig->b->vqs[i].started || rig->b->vqs[i].enabled);
	/* The rings are still in the guest's memory, and nobody looks at them. */
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
}

/* VU-046, VU-048: one answer where it was asked for, none where not. */
static void acknowledgements_come_once_and_only_if_asked_for(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	uint32_t num[2] = { 0, 64 };
	struct vhu_msg reply;
	size_t len;

	rig_setup_usual(rig);
	len = pack(bytes, VHU_FE_SET_VRING_NUM, 0x1, num, 8);
	len += pack(bytes + len, VHU_FE_SET_VRING_NUM, 0x9, num, 8);
	len += pack(bytes + len, VHU_FE_GET_FEATURES, 0x9, NULL, 0);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
	receive(rig, &reply, VHU_FE_SET_VRING_NUM, 8);
	assert_true(vhu_msg_u64(&reply) == 0);
	receive(rig, &reply, VHU_FE_GET_FEATURES, 8);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

/* VU-050: UML's message would otherwise hang its boot. */
static void reply_ack_when_agreed_on_acknowledges_that_message(void **state)
{
	struct session_rig *rig = *state;
	uint64_t offered;

	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &offered));
	assert_fe_ok(rig, vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_PROTOCOL_FEATURES,
					       BIT(VHU_PF_REPLY_ACK_BIT), true));
	assert_fe_ok(rig, vhu_frontend_simple(&rig->fe, VHU_FE_SET_OWNER, true));
}

/* VU-049: nothing was agreed on, so no answer; and nothing is out of step. */
static void need_reply_before_it_was_agreed_on_is_ignored(void **state)
{
	struct session_rig *rig = *state;
	uint8_t bytes[64];
	uint64_t set = BIT(VHU_PF_MQ_BIT);
	size_t len;

	rig_connect(rig);
	len = pack(bytes, VHU_FE_SET_PROTOCOL_FEATURES, 0x9, &set, 8);
	assert_fe_ok(rig, vhu_frontend_send_raw(&rig->fe, bytes, len, NULL, 0));
	assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(messages_in_one_write_are_told_apart),
	RIG_TEST(messages_byte_by_byte_are_put_together),
	RIG_TEST(reply_when_sent_is_whole),
	RIG_TEST(questions_with_odd_flags_are_answered_once),
	RIG_TEST(broken_frames_are_refused),
	RIG_TEST(messages_out_of_place_are_refused),
	RIG_TEST(end_inside_a_message_has_no_effect),
	RIG_TEST(mem_table_with_spare_room_is_accepted),
	RIG_TEST(replies_reflect_all_earlier_messages),
	RIG_TEST(peer_that_takes_no_replies_keeps_its_rings),
	RIG_TEST(front_end_that_leaves_before_its_reply_harms_nobody),
	RIG_TEST(descriptors_of_neighbours_are_not_mixed_up),
	RIG_TEST(descriptor_with_a_later_byte_ends_the_session),
	RIG_TEST(received_descriptors_are_close_on_exec),
	RIG_TEST(empty_control_message_is_no_descriptor),
	RIG_TEST(offers_are_what_works),
	RIG_TEST(protocol_features_when_set_again_replace_the_set),
	RIG_TEST(session_starts_with_nothing_of_the_last_one),
	RIG_TEST(acknowledgements_come_once_and_only_if_asked_for),
	RIG_TEST(reply_ack_when_agreed_on_acknowledges_that_message),
	RIG_TEST(need_reply_before_it_was_agreed_on_is_ignored),
};
UNIT_MAIN(tests)
