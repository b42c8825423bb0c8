/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "conform/cases/cases.h"
#include "conform/evidence/evidence.h"
#include "vhu/codec.h"
#include "vhu/frontend-rings.h"

enum { RING = 16 };

static const struct case_row row = {
	.id = "vu/ring/enable/01",
	.clauses = "VU-105",
	.title = "A ring is left alone",
};

/* A front-end that is listened to, and the other end of its socket. */
struct rig {
	struct vhu_frontend fe;
	struct evidence *evidence;
	int peer;
};

static void connect_rig(struct rig *rig)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	vhu_frontend_attach(&rig->fe, fds[0]);
	rig->peer = fds[1];
	evidence_attach(rig->evidence, &rig->fe);
}

static struct rig *rig_new(bool recording)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	vhu_frontend_init(&rig->fe, -1);
	rig->evidence = evidence_new(recording);
	assert_non_null(rig->evidence);
	connect_rig(rig);
	return rig;
}

static void rig_free(struct rig *rig)
{
	evidence_free(rig->evidence);
	vhu_frontend_fini(&rig->fe);
	fd_close(rig->peer);
	free(rig);
}

/* The answer is there before the question. */
static void answer(const struct rig *rig, enum vhu_fe_id id, uint64_t value)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg request, reply;
	size_t len;

	vhu_msg_init(&request, VHU_FE, id);
	vhu_msg_init_reply(&reply, &request);
	vhu_msg_put_u64(&reply, value);
	len = vhu_msg_pack(&reply, bytes);
	assert_int_equal(write(rig->peer, bytes, len), (ssize_t)len);
}

static void get_features(struct rig *rig)
{
	uint64_t features;

	answer(rig, VHU_FE_GET_FEATURES, 0x100000000);
	assert_int_equal(vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &features), 0);
}

/* Any bytes with one descriptor. */
static void send_with(struct rig *rig, enum vhu_fe_id id, uint64_t value, int fd)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg msg;
	size_t len;

	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put_u64(&msg, value);
	len = vhu_msg_pack(&msg, bytes);
	assert_int_equal(vhu_frontend_send_raw(&rig->fe, bytes, len, &fd, 1), 0);
}

/* Guest memory and one ring in it, which the other side has been told of. */
static void make_ring(struct rig *rig)
{
	struct vhu_frontend *fe = &rig->fe;

	assert_int_equal(vhu_frontend_make_plain_memory(fe, 1 << 20, false), 0);
	assert_int_equal(vhu_frontend_make_rings(fe, 1, VHU_CALL_EVENTFD), 0);
	assert_int_equal(vhu_frontend_make_ring(fe, 0, RING, 0), 0);
	assert_int_equal(vhu_frontend_set_mem_table(fe, 0, false), 0);
	assert_int_equal(vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, 0, RING, false), 0);
	assert_int_equal(vhu_frontend_vring_addr(fe, 0, 0, 0, false), 0);
}

/* One chain of two descriptors, shown to the device and kicked. */
static void offer(struct rig *rig)
{
	struct driverq_buf bufs[2] = { { 0, 16 }, { 0, 32 } };
	static int token;

	memcpy(vhu_frontend_alloc(&rig->fe, 16, 16, &bufs[0].addr), "sixteen letters!", 16);
	assert_non_null(vhu_frontend_alloc(&rig->fe, 32, 16, &bufs[1].addr));
	assert_int_equal(driverq_add(&rig->fe.rings[0].q, bufs, 1, 1, false, &token), 0);
	assert_int_equal(vhu_frontend_publish(&rig->fe, 0), 0);
}

/* What a device would do: the first chain comes back. */
static void give_back(const struct rig *rig)
{
	const struct vring *ring = &rig->fe.rings[0].q.ring;

	vring_set_used_entry(ring, 0, 0, 5);
	vring_set_used_idx(ring, 1);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected %s in:\n%s", part, text);
}

static void assert_text_says(const struct rig *rig, const char *part)
{
	char *text = evidence_text(rig->evidence);

	assert_non_null(text);
	assert_says(text, part);
	free(text);
}

static void assert_text_lacks(const struct rig *rig, const char *part)
{
	char *text = evidence_text(rig->evidence);

	assert_non_null(text);
	assert_null(strstr(text, part));
	free(text);
}

/* The text of the replay; the caller frees it. */
static char *replay_of(const struct rig *rig)
{
	char path[] = "/tmp/test_conform_evidence.XXXXXX";
	AUTO_FD int fd = mkstemp(path);
	char *text = calloc(1, 65536);

	assert_true(fd >= 0);
	assert_non_null(text);
	assert_int_equal(evidence_write_replay(rig->evidence, path, &row, "two\nlines"), 0);
	assert_true(read(fd, text, 65535) > 0);
	unlink(path);
	return text;
}

static void assert_replay_says(const struct rig *rig, const char *part)
{
	char *text = replay_of(rig);

	assert_says(text, part);
	free(text);
}

/* Messages. */

static void text_when_messages_pass_has_both_ways_decoded(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	get_features(rig);
	assert_text_says(rig, " -> GET_FEATURES\n");
	assert_text_says(rig, " <- GET_FEATURES reply value=0x100000000[VERSION_1]\n");
	assert_text_says(rig, "bytes <- GET_FEATURES, 20 in all\n"
			      "  0000  01 00 00 00 05 00 00 00  08 00 00 00");
	assert_text_says(rig, "payload\n");
	rig_free(rig);
}

static void text_when_a_message_comes_in_pieces_decodes_the_whole(void **state)
{
	static const uint8_t bytes[VHU_HDR_LEN] = { VHU_FE_SET_OWNER, 0, 0, 0, VHU_VERSION };
	struct rig *rig = rig_new(false);

	(void)state;
	assert_int_equal(vhu_frontend_send_raw(&rig->fe, bytes, 5, NULL, 0), 0);
	assert_int_equal(vhu_frontend_send_raw(&rig->fe, bytes + 5, 7, NULL, 0), 0);
	assert_text_says(rig, "-> (5 bytes, part of a message)\n");
	assert_text_says(rig, "-> SET_OWNER (now complete)\n");
	rig_free(rig);
}

static void text_when_two_messages_go_at_once_has_two_lines(void **state)
{
	static const uint8_t bytes[2 * VHU_HDR_LEN] = {
		[0] = VHU_FE_SET_OWNER,
		[4] = VHU_VERSION,
		[12] = VHU_FE_RESET_OWNER,
		[16] = VHU_VERSION,
	};
	struct rig *rig = rig_new(false);

	(void)state;
	assert_int_equal(vhu_frontend_send_raw(&rig->fe, bytes, sizeof(bytes), NULL, 0), 0);
	assert_text_says(rig, "-> SET_OWNER\n");
	assert_text_says(rig, "-> RESET_OWNER\n");
	rig_free(rig);
}

static void text_when_a_size_is_absurd_says_so(void **state)
{
	static const uint8_t bytes[VHU_HDR_LEN] = {
		VHU_FE_SET_OWNER, 0, 0, 0, VHU_VERSION, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	};
	struct rig *rig = rig_new(false);

	(void)state;
	assert_int_equal(vhu_frontend_send_raw(&rig->fe, bytes, sizeof(bytes), NULL, 0), 0);
	assert_text_says(rig, "-> SET_OWNER flags=0x1 size=4294967295 ");
	rig_free(rig);
}

static void text_when_there_were_many_keeps_the_last(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	for (int i = 0; i < 50; i++)
		get_features(rig);
	evidence_note(rig->evidence, "note %d", 1);
	assert_text_says(rig, " (70 earlier ones are left out)\n");
	assert_text_says(rig, " -- note 1\n");
	rig_free(rig);
}

static void set_owner(struct rig *rig)
{
	assert_int_equal(vhu_frontend_simple(&rig->fe, VHU_FE_SET_OWNER, false), 0);
}

static void text_when_it_was_judged_has_the_bytes_before(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	set_owner(rig);
	evidence_judged(rig->evidence, &rig->fe);
	get_features(rig);
	assert_text_says(rig, " <- GET_FEATURES reply");
	assert_text_says(rig, "bytes -> SET_OWNER, 12 in all\n");
	assert_text_lacks(rig, "bytes <- GET_FEATURES");
	rig_free(rig);
}

static void text_when_the_verdict_is_long_ago_has_the_last_bytes(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	set_owner(rig);
	evidence_judged(rig->evidence, &rig->fe);
	for (int i = 0; i < 50; i++)
		get_features(rig);
	assert_text_says(rig, "bytes <- GET_FEATURES");
	rig_free(rig);
}

static void text_when_descriptors_travel_names_their_kinds(void **state)
{
	struct rig *rig = rig_new(false);
	AUTO_FD int one = eventfd(0, EFD_CLOEXEC);
	AUTO_FD int two = eventfd(0, EFD_CLOEXEC);
	AUTO_FD int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	send_with(rig, VHU_FE_SET_VRING_CALL, 0, one);
	send_with(rig, VHU_FE_SET_VRING_KICK, 0, two);
	send_with(rig, VHU_FE_SET_VRING_ERR, 0, one);
	send_with(rig, VHU_FE_SET_LOG_FD, 0, folder);
	send_with(rig, VHU_FE_SET_BACKEND_REQ_FD, 0, rig->peer);
	assert_text_says(rig, "SET_VRING_CALL ring=0 fds=e1(eventfd)\n");
	assert_text_says(rig, "SET_VRING_KICK ring=0 fds=e2(eventfd)\n");
	assert_text_says(rig, "SET_VRING_ERR ring=0 fds=e1(eventfd)\n");
	assert_text_says(rig, "fds=f1(file /)\n");
	assert_text_says(rig, "fds=s1(socket)\n");
	rig_free(rig);
}

static void text_when_the_back_end_closes_says_so(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	rig->peer = fd_close(rig->peer);
	assert_int_equal(vhu_frontend_await_close(&rig->fe, 1000), 0);
	assert_text_says(rig, "<- the back-end closes the connection\n");
	rig_free(rig);
}

static void text_when_there_is_a_second_connection_tells_them_apart(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	fd_close(rig->peer);
	connect_rig(rig);
	get_features(rig);
	assert_text_says(rig, "#1 -- connection 1 is dropped by the tester\n");
	assert_text_says(rig, "#2 -> GET_FEATURES\n");
	rig_free(rig);
}

static void text_when_kicks_are_alike_counts_them(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	make_ring(rig);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vhu_frontend_kick(&rig->fe, 0), 0);
	assert_text_says(rig, "-- kick of ring 0, 3 times\n");
	rig_free(rig);
}

/* Rings. */

static void ring_when_a_chain_is_offered_shows_it(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	make_ring(rig);
	evidence_ring(rig->evidence, &rig->fe, 0, "before");
	offer(rig);
	give_back(rig);
	evidence_ring(rig->evidence, &rig->fe, 0, "after");
	assert_text_says(rig, "ring 0, before: not started, ");
	assert_text_says(rig, "  16 entries; the driver asks ");
	assert_text_says(rig, "  available 0, used 0: all is returned\n");
	assert_text_says(rig, "  available 1, used 1: all is returned\n");
	assert_text_says(rig, "  [0] head 0, returned with 5 bytes written: 0x");
	assert_text_says(rig, "+16 read ->1; 0x");
	assert_text_says(rig, "+32 write\n");
	assert_text_says(rig, "  returned: [0] id 0 len 5\n");
	rig_free(rig);
}

static void ring_when_a_chain_is_a_loop_comes_to_an_end(void **state)
{
	struct rig *rig = rig_new(false);
	const struct vring_desc desc = { 0x1000, 1, VRING_DESC_F_NEXT, 3 };

	(void)state;
	make_ring(rig);
	vring_desc_store(&rig->fe.rings[0].q.ring, 3, desc);
	vring_set_avail_entry(&rig->fe.rings[0].q.ring, 0, 3);
	vring_set_avail_entry(&rig->fe.rings[0].q.ring, 1, 999);
	vring_set_avail_idx(&rig->fe.rings[0].q.ring, 2);
	evidence_ring(rig->evidence, &rig->fe, 0, "now");
	assert_text_says(rig, "read ->3 ... goes on for very long, or in a circle\n");
	assert_text_says(rig, "head 999, the device's: the head is no descriptor of this ring\n");
	rig_free(rig);
}

static void ring_when_a_table_is_elsewhere_says_so(void **state)
{
	struct rig *rig = rig_new(false);
	const struct vring_desc desc = { UINT64_MAX - 8, 32, VRING_DESC_F_INDIRECT, 0 };

	(void)state;
	make_ring(rig);
	vring_desc_store(&rig->fe.rings[0].q.ring, 0, desc);
	vring_set_avail_idx(&rig->fe.rings[0].q.ring, 1);
	evidence_ring(rig->evidence, &rig->fe, 0, "now");
	assert_text_says(rig, "+32 table ... the table is not in guest memory\n");
	rig_free(rig);
}

static void ring_when_its_memory_was_cut_off_is_not_read(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	make_ring(rig);
	assert_int_equal(ftruncate(rig->fe.mem_fd, 0), 0);
	evidence_ring(rig->evidence, &rig->fe, 0, "now");
	assert_text_says(rig, "ring 0, now: not in memory that can be read\n");
	rig_free(rig);
}

static void ring_when_there_are_many_pictures_keeps_first_and_last(void **state)
{
	struct rig *rig = rig_new(false);
	char when[32];

	(void)state;
	make_ring(rig);
	for (int i = 0; i < 20; i++) {
		snprintf(when, sizeof(when), "picture %d", i);
		evidence_ring(rig->evidence, &rig->fe, 0, when);
	}
	assert_text_says(rig, "ring 0, picture 0: ");
	assert_text_says(rig, "ring 0, picture 19: ");
	rig_free(rig);
}

/* Replays. */

static void replay_when_nothing_was_recorded_is_none(void **state)
{
	struct rig *rig = rig_new(false);

	(void)state;
	assert_int_equal(evidence_write_replay(rig->evidence, "/dev/null", &row, ""), -ENODATA);
	rig_free(rig);
}

static void replay_when_the_path_is_wrong_says_so(void **state)
{
	struct rig *rig = rig_new(true);

	(void)state;
	assert_int_equal(evidence_write_replay(rig->evidence, "/nonexistent/x", &row, ""), -ENOENT);
	rig_free(rig);
}

static void replay_when_messages_passed_has_their_bytes(void **state)
{
	struct rig *rig = rig_new(true);

	(void)state;
	get_features(rig);
	assert_replay_says(rig, "vhu-replay 1\n# case vu/ring/enable/01: ");
	assert_replay_says(rig, "\n# two\n# lines\nconnect 1\n");
	assert_replay_says(rig, "\n# GET_FEATURES\nsend 1 010000000100000000000000\n");
	assert_replay_says(rig, "\nrecv 1 010000000500000008000000 0000000001000000\n");
	rig_free(rig);
}

static void replay_when_memory_was_written_has_it_before_the_kick(void **state)
{
	struct rig *rig = rig_new(true);

	(void)state;
	make_ring(rig);
	offer(rig);
	assert_replay_says(rig, "\nmemory m1 2097152\n");
	assert_replay_says(rig, " fds=m1(memfd)\nsend 1 fds=m1 05000000");
	assert_replay_says(rig, " 7369787465656e206c65747465727321\n");
	/* The available index comes last: a back-end may look at it without a kick. */
	assert_replay_says(rig, " 01\neventfd e1\n# kick of ring 0\nkick e1\n");
	rig_free(rig);
}

static void replay_when_the_back_end_used_a_chain_waits_for_it(void **state)
{
	struct rig *rig = rig_new(true);
	char *text;

	(void)state;
	make_ring(rig);
	offer(rig);
	give_back(rig);
	offer(rig);
	text = replay_of(rig);
	assert_says(text, "\n# used index of ring 0\nawait16 m1 0x1");
	assert_null(strstr(strstr(text, "await16") + 1, "await16"));
	free(text);
	rig_free(rig);
}

static void replay_when_a_ring_is_emptied_writes_what_the_back_end_wrote_over(void **state)
{
	struct rig *rig = rig_new(true);
	uint32_t base;

	(void)state;
	make_ring(rig);
	offer(rig);
	give_back(rig);
	answer(rig, VHU_FE_GET_VRING_BASE, UINT64_C(1) << 32);
	assert_int_equal(vhu_frontend_vring_base(&rig->fe, 0, &base), 0);
	vring_set_used_idx(&rig->fe.rings[0].q.ring, 0);
	get_features(rig);
	assert_replay_says(rig, "\nawait16 m1 0x10012a 1\n");
	assert_replay_says(rig, "\nwrite m1 0x10012a 00\n");
	rig_free(rig);
}

static void replay_when_a_ring_is_used_without_a_kick_has_one(void **state)
{
	struct rig *rig = rig_new(true);
	struct driverq_buf buf = { 0, 16 };
	static int token;

	(void)state;
	make_ring(rig);
	send_with(rig, VHU_FE_SET_VRING_KICK, 0, rig->fe.rings[0].kick_fd);
	assert_non_null(vhu_frontend_alloc(&rig->fe, 16, 16, &buf.addr));
	assert_int_equal(driverq_add(&rig->fe.rings[0].q, &buf, 1, 0, false, &token), 0);
	driverq_publish(&rig->fe.rings[0].q);
	give_back(rig);
	get_features(rig);
	assert_replay_says(rig, "\nwrite m1 0x100102 01\n# ring 0 was looked at without a kick\n"
				"kick e1\n# used index of ring 0\nawait16 m1 0x10012a 1\n");
	rig_free(rig);
}

static void replay_when_a_kick_was_the_last_word_ends_in_silence(void **state)
{
	struct rig *rig = rig_new(true);

	(void)state;
	make_ring(rig);
	offer(rig);
	assert_replay_says(rig, "\nkick e1\npause 200\n# used index of ring 0\ncheck16 m1 0x1");
	rig_free(rig);
}

static void replay_when_an_answer_was_the_last_word_ends_with_it(void **state)
{
	struct rig *rig = rig_new(true);
	char *text;

	(void)state;
	get_features(rig);
	text = replay_of(rig);
	assert_null(strstr(text, "pause"));
	free(text);
	rig_free(rig);
}

static void replay_when_a_file_changed_its_size_says_so(void **state)
{
	struct rig *rig = rig_new(true);

	(void)state;
	make_ring(rig);
	assert_int_equal(ftruncate(rig->fe.mem_fd, 4096), 0);
	get_features(rig);
	assert_replay_says(rig, "\nresize m1 4096\n");
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(text_when_messages_pass_has_both_ways_decoded),
	UNIT_TEST(text_when_a_message_comes_in_pieces_decodes_the_whole),
	UNIT_TEST(text_when_two_messages_go_at_once_has_two_lines),
	UNIT_TEST(text_when_a_size_is_absurd_says_so),
	UNIT_TEST(text_when_there_were_many_keeps_the_last),
	UNIT_TEST(text_when_it_was_judged_has_the_bytes_before),
	UNIT_TEST(text_when_the_verdict_is_long_ago_has_the_last_bytes),
	UNIT_TEST(text_when_descriptors_travel_names_their_kinds),
	UNIT_TEST(text_when_the_back_end_closes_says_so),
	UNIT_TEST(text_when_there_is_a_second_connection_tells_them_apart),
	UNIT_TEST(text_when_kicks_are_alike_counts_them),
	UNIT_TEST(ring_when_a_chain_is_offered_shows_it),
	UNIT_TEST(ring_when_a_chain_is_a_loop_comes_to_an_end),
	UNIT_TEST(ring_when_a_table_is_elsewhere_says_so),
	UNIT_TEST(ring_when_its_memory_was_cut_off_is_not_read),
	UNIT_TEST(ring_when_there_are_many_pictures_keeps_first_and_last),
	UNIT_TEST(replay_when_nothing_was_recorded_is_none),
	UNIT_TEST(replay_when_the_path_is_wrong_says_so),
	UNIT_TEST(replay_when_messages_passed_has_their_bytes),
	UNIT_TEST(replay_when_memory_was_written_has_it_before_the_kick),
	UNIT_TEST(replay_when_the_back_end_used_a_chain_waits_for_it),
	UNIT_TEST(replay_when_a_ring_is_emptied_writes_what_the_back_end_wrote_over),
	UNIT_TEST(replay_when_a_ring_is_used_without_a_kick_has_one),
	UNIT_TEST(replay_when_a_kick_was_the_last_word_ends_in_silence),
	UNIT_TEST(replay_when_an_answer_was_the_last_word_ends_with_it),
	UNIT_TEST(replay_when_a_file_changed_its_size_says_so),
};

UNIT_MAIN(tests)
