/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a front-end says of a back-end, or of its caller, that does what it must not. */
#include "peer_rig.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "vhu/frontend-iotlb.h"
#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"
#include "vhu/frontend-style.h"

enum { SHORT_MS = 20 };

static struct peer_rig rig;

static void expect_says(int err, int expected, const char *part)
{
	assert_int_equal(err, expected);
	if (!strstr(rig.fe.error, part))
		fail_msg("expected '%s' in '%s'", part, rig.fe.error);
}

static void connect_when_nobody_is_there_says_so(void **state)
{
	char path[200];

	(void)state;
	vhu_frontend_init(&rig.fe, -1);
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	expect_says(vhu_frontend_connect(&rig.fe, path), -ENAMETOOLONG, "at most");
	expect_says(vhu_frontend_connect(&rig.fe, "/nowhere/at/all"), -ENOENT, "a server at");
	vhu_frontend_fini(&rig.fe);
}

static void close_when_a_message_comes_instead_says_so(void **state)
{
	struct vhu_msg msg;

	(void)state;
	peer_open(&rig, 0, 0);
	rig.fe.pump = NULL;
	expect_says(vhu_frontend_await_close(&rig.fe, SHORT_MS), -ETIMEDOUT, "");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	vhu_msg_put_u64(&msg, 1);
	assert_int_equal(vhu_frontend_send_unchecked(&rig.peer, &msg), 0);
	expect_says(vhu_frontend_await_close(&rig.fe, SHORT_MS), -EPROTO, "to be closed, not");
	peer_close(&rig);
}

/* Messages that break a rule do not leave; one without a reply has none. */
static void request_when_it_is_not_honest_is_not_sent(void **state)
{
	struct vhu_msg msg, reply;
	int fds[300];

	(void)state;
	peer_open(&rig, 0, 0);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ENABLE);
	expect_says(vhu_frontend_request(&rig.fe, &msg, NULL, PEER_MS), -EINVAL, "");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	expect_says(vhu_frontend_request(&rig.fe, &msg, &reply, PEER_MS), -EINVAL,
		    "to have a reply");
	expect_says(vhu_frontend_send_raw(&rig.fe, "x", 1, fds, ARRAY_SIZE(fds)), -EINVAL,
		    "descriptors");
	assert_int_equal(rig.n_kept, 0);
	peer_close(&rig);
}

/* A peer that reads nothing for long, and then all. */
static void bytes_when_the_socket_is_full_wait(void **state)
{
	static const uint8_t bytes[1 << 20];

	(void)state;
	peer_open(&rig, 0, 0);
	rig.fe.pump = NULL;
	rig.fe.timeout_ms = SHORT_MS;
	expect_says(vhu_frontend_send_raw(&rig.fe, bytes, sizeof(bytes), NULL, 0), -ETIMEDOUT, "");
	peer_close(&rig);
}

static bool handle_config(struct peer_rig *r, struct vhu_msg *msg)
{
	if (msg->id != VHU_FE_GET_CONFIG)
		return false;
	peer_reply(r, msg, NULL, 0, -1);
	return true;
}

/* VU-148: an empty reply says no. */
static void config_when_refused_says_so(void **state)
{
	uint8_t bytes[4];

	(void)state;
	peer_open(&rig, 0, BIT(VHU_PF_CONFIG_BIT));
	rig.handle = handle_config;
	expect_says(vhu_frontend_get_config(&rig.fe, 0, 4, 0, bytes), -EREMOTEIO, "GET_CONFIG");
	peer_close(&rig);
}

static void memory_when_it_cannot_be_says_so(void **state)
{
	const struct vhu_region wraps = { .size = UINT64_MAX, .mmap_offset = 2 };
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct vhu_frontend_log dirty = VHU_FRONTEND_LOG_NONE;
	uint64_t addr;

	(void)state;
	peer_open(&rig, 0, 0);
	expect_says(vhu_frontend_make_memory(&rig.fe, &wraps, 1), -EINVAL, "within a file");
	expect_says(vhu_frontend_make_memory(&rig.fe, &wraps, 0), -EINVAL, "one to eight");
	peer_make_guest(&rig, 1);
	expect_says(vhu_frontend_make_plain_memory(&rig.fe, PEER_MEM, false), -EINVAL, "once");
	assert_null(vhu_frontend_alloc(&rig.fe, 2 * PEER_MEM, 16, &addr));
	expect_says(-ENOMEM, -ENOMEM, "bytes of guest memory");
	expect_says(vhu_frontend_log_make(&rig.fe, &dirty, UINT64_MAX), -EINVAL, "within a file");
	vhu_frontend_log_fini(&dirty);
	expect_says(vhu_frontend_memory_swap(&rig.fe, &memory), -EINVAL, "as much memory");
	peer_close(&rig);
}

/* Rings that are not there, and a device that returns what it was never given. */
static void ring_when_it_is_misused_says_so(void **state)
{
	struct vhu_frontend_ring *r;
	void *token;
	uint32_t len;
	int fds[2];

	(void)state;
	peer_open(&rig, 0, 0);
	peer_make_guest(&rig, 1);
	r = &rig.fe.rings[0];
	vhu_frontend_reset_ring(&rig.fe, 7);
	assert_false(vhu_frontend_take_calls(&rig.fe, 7));
	expect_says(vhu_frontend_await_call(&rig.fe, 0, SHORT_MS), -ETIMEDOUT, "a call for ring 0");
	vring_set_used_entry(&r->q.ring, 0, 5, 0);
	vring_set_used_idx(&r->q.ring, 1);
	expect_says(vhu_frontend_await_used(&rig.fe, 0, &token, &len, SHORT_MS), -EPROTO,
		    "ring 0 to be kept");
	/* VU-126: a kick that nobody can hear any more. */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	fd_close(r->kick_fd);
	r->kick_fd = fds[1];
	expect_says(vhu_frontend_kick(&rig.fe, 0), -EPROTO, "keep the kick");
	fd_close(r->kick_fd);
	r->kick_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	expect_says(vhu_frontend_kick(&rig.fe, 0), -EBADF, "a kick");
	peer_close(&rig);
}

static bool handle_base(struct peer_rig *r, struct vhu_msg *msg)
{
	if (msg->id != VHU_FE_GET_VRING_BASE_SKIP_DRAIN)
		return false;
	peer_reply(r, msg, NULL, 0, -1);
	return true;
}

static void position_when_the_answer_is_none_says_so(void **state)
{
	uint32_t base;

	(void)state;
	peer_open(&rig, 0,
		  BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) |
			  BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT));
	peer_make_guest(&rig, 1);
	rig.handle = handle_base;
	expect_says(vhu_frontend_vring_base_now(&rig.fe, 0, &base), -EPROTO, "");
	peer_close(&rig);
}

/* Sends on the channel, as the back-end. */
static void channel_says(uint32_t id, const void *payload, size_t len, bool need_reply)
{
	struct vhu_frontend end;
	struct vhu_msg msg;

	vhu_frontend_init(&end, rig.channel);
	vhu_msg_init(&msg, VHU_BE, id);
	if (need_reply)
		msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, payload, len);
	assert_int_equal(vhu_frontend_send_unchecked(&end, &msg), 0);
	end.fd = -1;
	vhu_frontend_fini(&end);
}

static void open_channel(uint64_t protocol)
{
	peer_open(&rig, BIT(VIRTIO_F_ACCESS_PLATFORM_BIT), protocol | BIT(VHU_PF_BACKEND_REQ_BIT));
	assert_int_equal(vhu_frontend_open_channel(&rig.fe, true), 0);
	assert_true(rig.channel >= 0);
}

/* VU-202 to VU-206: what it says on its channel is checked as anything else. */
static void channel_when_it_breaks_a_rule_says_so(void **state)
{
	const struct vhu_iotlb wrong = { .type = 2 }, miss = { .iova = 1, .perm = 1, .type = 1 };
	struct vhu_frontend_iotlb table;

	(void)state;
	open_channel(0);
	/* In-band calls were not agreed on. */
	channel_says(VHU_BE_VRING_CALL, (uint32_t[]){ 0, 0 }, 8, true);
	expect_says(vhu_frontend_serve_channel(&rig.fe), -EPROTO, "");
	peer_close(&rig);
	open_channel(0);
	vhu_frontend_iotlb_init(&rig.fe, &table);
	channel_says(VHU_BE_IOTLB_MSG, &wrong, sizeof(wrong), true);
	expect_says(vhu_frontend_serve_channel(&rig.fe), -EPROTO, "");
	/* While a request is under way misses wait, but not any number of them. */
	rig.fe.n_busy = 1;
	for (unsigned int i = 0; i < VHU_IOTLB_WAITING; i++) {
		channel_says(VHU_BE_IOTLB_MSG, &miss, sizeof(miss), false);
		assert_int_equal(vhu_frontend_serve_channel(&rig.fe), 0);
	}
	channel_says(VHU_BE_IOTLB_MSG, &miss, sizeof(miss), false);
	expect_says(vhu_frontend_serve_channel(&rig.fe), -EPROTO, "misses at a time");
	rig.fe.n_busy = 0;
	peer_close(&rig);
}

static void channel_when_it_is_cut_says_so(void **state)
{
	(void)state;
	open_channel(0);
	rig.fe.timeout_ms = SHORT_MS;
	assert_int_equal(write(rig.channel, "abc", 3), 3);
	expect_says(vhu_frontend_serve_channel(&rig.fe), -ETIMEDOUT, "");
	peer_close(&rig);
}

/* One that has been closed is not served any more. */
static void channel_when_it_is_closed_before_the_answer_is_left(void **state)
{
	(void)state;
	open_channel(BIT(VHU_PF_CONFIG_BIT));
	channel_says(VHU_BE_CONFIG_CHANGE_MSG, NULL, 0, true);
	rig.channel = fd_close(rig.channel);
	assert_int_equal(vhu_frontend_serve_channel(&rig.fe), 0);
	assert_int_equal(rig.fe.channel_fd, -1);
	assert_int_equal(rig.fe.heard.n_config_changes, 1);
	peer_close(&rig);
}

static void translations_when_too_many_says_so(void **state)
{
	struct vhu_frontend_iotlb table;
	int err = 0;

	(void)state;
	peer_open(&rig, 0, 0);
	vhu_frontend_iotlb_init(&rig.fe, &table);
	for (uint64_t i = 0; err == 0; i++) {
		const struct vhu_frontend_translation t = { i << 12, 4096, i << 12, 3 };

		err = vhu_frontend_iotlb_map(&rig.fe, &t);
	}
	expect_says(err, -ENOSPC, "at most 64");
	assert_int_equal(table.n_entries, VHU_IOTLB_MAX);
	peer_close(&rig);
}

static void style_is_found_by_its_name_with_its_habits(void **state)
{
	enum vhu_frontend_style style;

	(void)state;
	assert_false(vhu_style_find("unheard of", &style));
	assert_true(vhu_style_find("uml", &style));
	assert_true(vhu_style_inband(style));
	assert_true(vhu_style_call_kind(style) != VHU_CALL_EVENTFD);
	for (unsigned int i = 0; i < VHU_N_STYLES; i++) {
		assert_true(vhu_style_find(vhu_style_name(i), &style));
		assert_int_equal(style, i);
		assert_true(vring_size_valid(vhu_style_queue_size(style)));
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(connect_when_nobody_is_there_says_so),
	UNIT_TEST(close_when_a_message_comes_instead_says_so),
	UNIT_TEST(request_when_it_is_not_honest_is_not_sent),
	UNIT_TEST(bytes_when_the_socket_is_full_wait),
	UNIT_TEST(config_when_refused_says_so),
	UNIT_TEST(memory_when_it_cannot_be_says_so),
	UNIT_TEST(ring_when_it_is_misused_says_so),
	UNIT_TEST(position_when_the_answer_is_none_says_so),
	UNIT_TEST(channel_when_it_breaks_a_rule_says_so),
	UNIT_TEST(channel_when_it_is_cut_says_so),
	UNIT_TEST(channel_when_it_is_closed_before_the_answer_is_left),
	UNIT_TEST(translations_when_too_many_says_so),
	UNIT_TEST(style_is_found_by_its_name_with_its_habits),
};
UNIT_MAIN(tests)
