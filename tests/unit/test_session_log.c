/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The dirty log: VU-037, VU-038, VU-094, VU-156 to VU-168. */
#include "session_rig.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"

enum { SIZE = 64, PAGE = VHU_LOG_PAGE };

static struct guest guest;
static struct vhu_frontend_log dirty = VHU_FRONTEND_LOG_NONE;

static const uint64_t packed_features =
	BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
	BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT) | BIT(CONSOLE_F_SIZE_BIT) |
	BIT(CONSOLE_F_MULTIPORT_BIT);

/* A guest that talks, behind QEMU, without a log. */
static void begin_plain(struct session_rig *rig, uint64_t features)
{
	rig_setup_style(rig, VHU_STYLE_QEMU, SIZE, features, ~BIT(VHU_PF_STATUS_BIT));
	if (!rig->joined)
		rig_join(rig);
	assert_fe_ok(rig, guest_init(&guest, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&guest, RIG_TIMEOUT_MS));
	rig_settle(rig);
	rig->output_len = 0;
}

/* The same with a log, which is in use, and empty. */
static void begin(struct session_rig *rig, uint64_t features)
{
	begin_plain(rig, features);
	assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &dirty, 0));
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &dirty));
	assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, true));
	rig_settle(rig);
	vhu_frontend_log_clear(&dirty);
}

static void end(struct session_rig *rig)
{
	rig_settle(rig);
	guest_fini(&guest);
	vhu_frontend_log_fini(&dirty);
	rig_expect_service(rig);
}

static void say(struct session_rig *rig, const char *text)
{
	rig->output_len = 0;
	assert_fe_ok(rig, guest_write(&guest, text, strlen(text), RIG_TIMEOUT_MS));
	rig_expect_output(rig, text, strlen(text));
}

static void hear(struct session_rig *rig, const void *bytes, size_t len)
{
	uint8_t got[2 * PAGE];

	assert_true(len <= sizeof(got));
	assert_int_equal(port_input(&rig->port, bytes, len), len);
	assert_fe_ok(rig, guest_read(&guest, got, len, RIG_TIMEOUT_MS));
	assert_memory_equal(got, bytes, len);
}

static uint64_t used_page(const struct session_rig *rig, unsigned int idx)
{
	return rig->fe.rings[idx].q.used_addr;
}

/* VU-156 */
static void logging_is_offered_with_both_of_its_bits(void **state)
{
	struct session_rig *rig = *state;
	uint64_t features, protocol;

	rig_connect(rig);
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &features));
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &protocol));
	assert_true(features & BIT(VHOST_F_LOG_ALL_BIT));
	assert_true(protocol & BIT(VHU_PF_LOG_SHMFD_BIT));
}

/* VU-157 */
static void log_base_is_answered_with_what_it_said(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_log log;
	struct vhu_msg msg, reply;

	begin_plain(rig, 0);
	assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &dirty, 4096));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
	log = (struct vhu_log){ .mmap_size = dirty.size, .mmap_offset = 4096 };
	vhu_msg_put(&msg, &log, sizeof(log));
	msg.fds.fd[msg.fds.n_fds++] = dirty.fd;
	assert_fe_ok(rig, vhu_frontend_request(&rig->fe, &msg, &reply, RIG_TIMEOUT_MS));
	assert_int_equal(reply.size, sizeof(log));
	assert_memory_equal(reply.payload, &log, sizeof(log));
	end(rig);
}

/* VU-158 */
static void log_base_without_a_shared_file_has_no_answer(void **state)
{
	static const uint32_t lengths[] = { sizeof(uint64_t), sizeof(struct vhu_log) };
	struct session_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct vhu_msg msg;

		rig_setup_style(rig, VHU_STYLE_QEMU, SIZE, 0,
				BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_CONFIG_BIT));
		vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
		msg.size = lengths[i];
		memset(msg.payload, 0, msg.size);
		assert_fe_ok(rig, vhu_frontend_send_unchecked(&rig->fe, &msg));
		assert_fe_ok(rig, vhu_frontend_ping(&rig->fe));
	}
	rig_expect_service(rig);
}

/* VU-159: those of the data, and of the used ring; and no others. */
static void input_marks_the_pages_that_it_fills(void **state)
{
	struct session_rig *rig = *state;
	uint8_t data[5000];
	unsigned int n = 0;

	begin(rig, 0);
	memset(data, 'x', sizeof(data));
	hear(rig, data, sizeof(data));
	for (unsigned int i = 0; i < guest.ports[0].n_pages; i++)
		n += vhu_frontend_log_has(&dirty, guest.ports[0].pages[i].addr);
	assert_int_equal(n, 2);
	assert_true(vhu_frontend_log_has(&dirty, used_page(rig, GUEST_RX)));
	vhu_frontend_log_take(&dirty, used_page(rig, GUEST_RX));
	for (unsigned int i = 0; i < guest.ports[0].n_pages; i++)
		vhu_frontend_log_take(&dirty, guest.ports[0].pages[i].addr);
	assert_int_equal(vhu_frontend_log_count(&dirty), 0);
	end(rig);
}

/* VU-160: not without the flag, and at the address that comes with it, wherever that is. */
static void used_ring_is_marked_where_its_flag_says(void **state)
{
	const uint64_t elsewhere = UINT64_C(0x800000) + PAGE - 4;
	struct session_rig *rig = *state;

	begin(rig, 0);
	assert_fe_ok(rig, vhu_frontend_vring_addr(&rig->fe, GUEST_TX, 0, elsewhere, true));
	vhu_frontend_log_clear(&dirty);
	say(rig, "unmarked");
	assert_int_equal(vhu_frontend_log_count(&dirty), 0);
	assert_fe_ok(rig,
		     vhu_frontend_vring_addr(&rig->fe, GUEST_TX, VHU_VRING_F_LOG, elsewhere, true));
	say(rig, "marked");
	assert_true(vhu_frontend_log_has(&dirty, elsewhere));
	assert_true(vhu_frontend_log_has(&dirty, elsewhere + 4));
	assert_int_equal(vhu_frontend_log_count(&dirty), 2);
	end(rig);
}

/* VU-161, VU-037, VU-038: on and off while the rings run, which notice nothing. */
static void nothing_is_marked_but_while_log_all_is_accepted(void **state)
{
	struct session_rig *rig = *state;

	begin_plain(rig, 0);
	assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &dirty, 0));
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &dirty));
	for (unsigned int i = 0; i < 3; i++) {
		say(rig, "before");
		hear(rig, "before", 6);
		assert_int_equal(vhu_frontend_log_count(&dirty), 0);
		assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, true));
		say(rig, "while");
		hear(rig, "while", 5);
		assert_true(vhu_frontend_log_count(&dirty) >= 2);
		assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, false));
		rig_settle(rig);
		vhu_frontend_log_clear(&dirty);
	}
	end(rig);
}

/* VU-094 */
static void log_flag_when_flipped_on_a_running_ring_keeps_its_place(void **state)
{
	struct session_rig *rig = *state;
	uint16_t base;

	begin(rig, 0);
	hear(rig, "one", 3);
	base = (uint16_t)virtq_base(&rig->b->vqs[GUEST_RX].q.vq);
	for (unsigned int i = 0; i < 4; i++) {
		assert_fe_ok(rig, vhu_frontend_log_switch(&rig->fe, GUEST_N_RINGS, i % 2));
		assert_int_equal(virtq_base(&rig->b->vqs[GUEST_RX].q.vq), base);
		assert_true(rig->b->vqs[GUEST_RX].q.running);
	}
	hear(rig, "two", 3);
	end(rig);
}

/* VU-163 */
static void log_at_an_offset_is_marked_there(void **state)
{
	struct session_rig *rig = *state;

	begin(rig, 0);
	vhu_frontend_log_fini(&dirty);
	assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &dirty, 4096));
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &dirty));
	say(rig, "there");
	assert_true(vhu_frontend_log_has(&dirty, used_page(rig, GUEST_TX)));
	assert_int_equal(vhu_frontend_log_count(&dirty), 1);
	end(rig);
}

/* VU-165: as cloud-hypervisor does at each pass, with data under way. */
static void old_log_is_not_touched_after_the_answer_to_a_new_one(void **state)
{
	struct vhu_frontend_log logs[2] = { VHU_FRONTEND_LOG_NONE, VHU_FRONTEND_LOG_NONE };
	struct session_rig *rig = *state;

	begin(rig, 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_fe_ok(rig, vhu_frontend_log_make(&rig->fe, &logs[i], 0));
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(port_input(&rig->port, "input", 5), 5);
		rig_offer_output(rig, "output");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &logs[i % 2]));
		vhu_frontend_log_clear(&logs[1 - i % 2]);
		hear(rig, "more", 4);
		assert_int_equal(vhu_frontend_log_count(&logs[1 - i % 2]), 0);
		assert_true(vhu_frontend_log_count(&logs[i % 2]) > 0);
	}
	end(rig);
	vhu_frontend_log_fini(&logs[0]);
	vhu_frontend_log_fini(&logs[1]);
}

/* VU-166 */
static void log_that_is_too_short_is_marked_as_far_as_it_goes(void **state)
{
	struct session_rig *rig = *state;

	begin(rig, 0);
	dirty.size = 1;
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &dirty));
	say(rig, "a");
	hear(rig, "b", 1);
	assert_int_equal(vhu_frontend_log_count(&dirty), 0);
	assert_true(rig->b->log.warned);
	end(rig);
}

#define BAD_LOG(fd_kind, ...)                                                                      \
	{                                                                                          \
		.clause = "VU-167", .id = VHU_FE_SET_LOG_BASE, .size = 16, .n_fds = 1,             \
		.kind = (fd_kind), .closes = true, .words = {                                      \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static void begin_refusing(struct session_rig *rig)
{
	rig_setup_usual(rig);
}

/* VU-167: its answer has no way to say no. */
static void log_of_a_bad_size_or_file_ends_the_session(void **state)
{
	static const struct rig_refusal refusals[] = {
		BAD_LOG(RIG_FD_SMALL, 0, 0, 0, 0),
		BAD_LOG(RIG_FD_SMALL, RIG_U64(PAGE), RIG_U64(UINT64_MAX - 5)),
		BAD_LOG(RIG_FD_SMALL, RIG_U64(PAGE), RIG_U64(PAGE)),
		BAD_LOG(RIG_FD_SOCKET, RIG_U64(PAGE), 0, 0),
		BAD_LOG(RIG_FD_READ_ONLY, RIG_U64(PAGE), 0, 0),
		{ .clause = "VU-157",
		  .id = VHU_FE_SET_LOG_BASE,
		  .size = 16,
		  .words = { PAGE },
		  .closes = true },
		{ .clause = "VU-168", .id = VHU_FE_SET_LOG_FD, .n_fds = 1, .kind = RIG_FD_SMALL },
		{ .clause = "VU-168", .id = VHU_FE_SET_LOG_FD },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		rig_expect_refusal(*state, &refusals[i], begin_refusing);
}

static bool is_signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, 0) > 0 && read(fd, &n, sizeof(n)) == sizeof(n);
}

/* VU-168 */
static void log_descriptor_is_signalled_when_there_is_news(void **state)
{
	struct session_rig *rig = *state;
	int fd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

	begin(rig, 0);
	assert_fe_ok(rig, vhu_frontend_log_fd(&rig->fe, fd));
	rig_settle(rig);
	is_signalled(fd);
	vhu_frontend_log_clear(&dirty);
	say(rig, "news");
	rig_settle(rig);
	assert_true(is_signalled(fd));
	say(rig, "no news");
	rig_settle(rig);
	assert_false(is_signalled(fd));
	assert_fe_ok(rig, vhu_frontend_log_fd(&rig->fe, other));
	vhu_frontend_log_clear(&dirty);
	say(rig, "news");
	rig_settle(rig);
	assert_false(is_signalled(fd));
	assert_true(is_signalled(other));
	end(rig);
	close(fd);
	close(other);
}

/* VU-168: a write that does not end holds up neither rings nor the end of the session. */
static void log_descriptor_that_is_full_holds_nothing_up(void **state)
{
	static const uint64_t full = UINT64_MAX - 1;
	struct session_rig *rig = *state;
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	for (unsigned int i = 0; i < 2; i++) {
		begin(rig, 0);
		assert_fe_ok(rig, vhu_frontend_log_fd(&rig->fe, fd));
		for (unsigned int k = 0; k < 3; k++) {
			vhu_frontend_log_clear(&dirty);
			say(rig, "on");
		}
		if (i == 1)
			assert_fe_ok(rig, vhu_frontend_log_fd(&rig->fe, fd));
		say(rig, "on");
		end(rig);
	}
	close(fd);
}

static void log_that_is_cut_off_ends_the_session(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_log cut = VHU_FRONTEND_LOG_NONE;

	begin(rig, 0);
	assert_int_equal(gmem_fault_guard_install(), 0);
	cut.fd = memfd_create("cut", MFD_CLOEXEC);
	cut.size = dirty.size;
	assert_int_equal(ftruncate(cut.fd, (off_t)cut.size), 0);
	assert_fe_ok(rig, vhu_frontend_log_give(&rig->fe, &cut));
	assert_int_equal(ftruncate(cut.fd, 0), 0);
	rig_offer_output(rig, "x");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_await_end(rig);
	guest_fini(&guest);
	vhu_frontend_log_fini(&cut);
	vhu_frontend_log_fini(&dirty);
	rig_expect_service(rig);
}

/* Of what the device writes to: receive buffers, and what it returns chains in. */
static bool device_writes(const struct session_rig *rig, uint64_t page)
{
	for (unsigned int i = 0; i < guest.ports[0].n_pages; i++)
		if (guest.ports[0].pages[i].addr / PAGE == page)
			return true;
	for (unsigned int i = 0; i < guest.n_ctrl_pages; i++)
		if (guest.ctrl_pages[i].addr / PAGE == page)
			return true;
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		const struct driverq *q = &rig->fe.rings[i].q;
		uint64_t first = q->packed ? q->desc_addr : q->used_addr;
		uint64_t len = q->packed ? packed_desc_bytes(SIZE) : vring_used_bytes(SIZE);

		if (page >= first / PAGE && page <= (first + len - 1) / PAGE)
			return true;
		if (page == q->used_addr / PAGE)
			return true;
	}
	return false;
}

static uint64_t first_page(const struct session_rig *rig)
{
	return rig->fe.regions[0].wire.guest_addr / PAGE;
}

static uint64_t n_pages(const struct session_rig *rig)
{
	return rig->fe.regions[0].wire.size / PAGE;
}

/* One pass of a precopy: what is marked is copied; nothing else is marked than can be. */
static unsigned int copy_marked(struct session_rig *rig, uint8_t *copy)
{
	const uint8_t *now = rig->fe.regions[0].host;
	unsigned int n = 0;

	for (uint64_t i = 0; i < n_pages(rig); i++) {
		uint64_t page = first_page(rig) + i;

		if (!vhu_frontend_log_take(&dirty, page * PAGE))
			continue;
		assert_true(device_writes(rig, page));
		memcpy(copy + i * PAGE, now + i * PAGE, PAGE);
		n++;
	}
	assert_int_equal(vhu_frontend_log_count(&dirty), 0);
	return n;
}

/* Bytes both ways, and control messages, of lengths that have little in common with pages. */
static void load(struct session_rig *rig, unsigned int round)
{
	uint8_t data[2 * PAGE];
	size_t len = 1 + (round * 1237u) % sizeof(data);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + round * 31 + i / 251);
	if (round % 3 == 0)
		say(rig, "what a guest prints");
	if (round % 5 == 0)
		port_resize(&rig->port, (uint16_t)(round + 1), 24);
	hear(rig, data, len);
	assert_fe_ok(rig, guest_poll(&guest));
}

static void expect_same(const struct session_rig *rig, const uint8_t *copy, uint64_t addr,
			size_t len)
{
	uint64_t off = addr - first_page(rig) * PAGE;

	assert_memory_equal(copy + off, rig->fe.regions[0].host + off, len);
}

/*
 * Everything that the device alone writes. The descriptors of a packed ring are
 * the driver's as well, whose writes the front-end logs by other means.
 */
static void expect_copied(const struct session_rig *rig, const uint8_t *copy)
{
	for (unsigned int i = 0; i < guest.ports[0].n_pages; i++)
		expect_same(rig, copy, guest.ports[0].pages[i].addr, PAGE);
	for (unsigned int i = 0; i < guest.n_ctrl_pages; i++)
		expect_same(rig, copy, guest.ctrl_pages[i].addr, PAGE);
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++) {
		const struct driverq *q = &rig->fe.rings[i].q;

		expect_same(rig, copy, q->used_addr,
			    q->packed ? PACKED_EVENT_BYTES : vring_used_bytes(SIZE));
	}
}

/*
 * VU-159, VU-160, VU-164: memory copied page by page as the log says while the guest
 * is busy, and once more when its rings are stopped, is what the device has written.
 */
static void precopy(struct session_rig *rig, uint64_t features)
{
	unsigned int n_copied = 0;
	uint8_t *copy;
	uint32_t base;

	begin(rig, features);
	copy = malloc(n_pages(rig) * PAGE);
	assert_non_null(copy);
	memcpy(copy, rig->fe.regions[0].host, n_pages(rig) * PAGE);
	for (unsigned int round = 0; round < 200; round++) {
		load(rig, round);
		if (round % 4 == 0)
			n_copied += copy_marked(rig, copy);
	}
	for (unsigned int i = 0; i < GUEST_N_RINGS; i++)
		assert_fe_ok(rig, vhu_frontend_vring_base(&rig->fe, i, &base));
	n_copied += copy_marked(rig, copy);
	expect_copied(rig, copy);
	assert_true(n_copied > 100);
	free(copy);
	end(rig);
}

static void memory_copied_by_the_log_is_what_was_written(void **state)
{
	precopy(*state, 0);
}

static void memory_copied_by_the_log_of_packed_rings_is_what_was_written(void **state)
{
	precopy(*state, packed_features);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(logging_is_offered_with_both_of_its_bits),
	RIG_TEST(log_base_is_answered_with_what_it_said),
	RIG_TEST(log_base_without_a_shared_file_has_no_answer),
	RIG_TEST(input_marks_the_pages_that_it_fills),
	RIG_TEST(used_ring_is_marked_where_its_flag_says),
	RIG_TEST(nothing_is_marked_but_while_log_all_is_accepted),
	RIG_TEST(log_flag_when_flipped_on_a_running_ring_keeps_its_place),
	RIG_TEST(log_at_an_offset_is_marked_there),
	RIG_TEST(old_log_is_not_touched_after_the_answer_to_a_new_one),
	RIG_TEST(log_that_is_too_short_is_marked_as_far_as_it_goes),
	RIG_TEST(log_of_a_bad_size_or_file_ends_the_session),
	RIG_TEST(log_descriptor_is_signalled_when_there_is_news),
	RIG_TEST(log_descriptor_that_is_full_holds_nothing_up),
	RIG_TEST(log_that_is_cut_off_ends_the_session),
	RIG_TEST(memory_copied_by_the_log_is_what_was_written),
	RIG_TEST(memory_copied_by_the_log_of_packed_rings_is_what_was_written),
};
UNIT_MAIN(tests)
