/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conn_rig.h"

#include <stdio.h>

#include "fd.h"

static void message_in_one_piece_arrives(void **state)
{
	uint8_t bytes[32];

	(void)state;
	begin();
	peer_sends(bytes, pack(bytes, 2, &word, 8), 1);
	run_until(&rig.n_messages, 1);
	assert_int_equal(rig.last.id, 2);
	assert_int_equal(rig.last.size, 8);
	assert_true(vhu_msg_u64(&rig.last) == word);
	assert_int_equal(rig.n_fds, 1);
	end();
}

static void message_byte_by_byte_arrives(void **state)
{
	uint8_t bytes[64];
	size_t len;

	(void)state;
	begin();
	len = pack(bytes, 2, &word, 8);
	len += pack(bytes + len, 3, NULL, 0);
	for (size_t i = 0; i < len; i++) {
		peer_sends(bytes + i, 1, i == 0 ? 8 : 0);
		settle();
		assert_int_equal(rig.n_messages, (i >= 19) + (i >= len - 1));
		if (i == 19)
			assert_int_equal(rig.n_fds, 8);
	}
	assert_int_equal(rig.last.id, 3);
	assert_int_equal(rig.n_fds, 0);
	end();
}

static void messages_in_one_write_arrive_one_by_one(void **state)
{
	uint8_t bytes[64];
	size_t len;

	(void)state;
	begin();
	rig.read_on = false;
	len = pack(bytes, 2, &word, 8);
	len += pack(bytes + len, 3, NULL, 0);
	peer_sends(bytes, len, 0);
	settle();
	assert_int_equal(rig.n_messages, 1);
	assert_int_equal(rig.n_headers, 1);
	vhu_conn_read(&rig.conn);
	vhu_conn_read(&rig.conn); /* asked for already */
	settle();
	assert_int_equal(rig.n_messages, 2);
	end();
}

/* VU-022: what comes with any byte but the first belongs to nothing. */
static void descriptor_with_a_later_byte_ends_it(void **state)
{
	uint8_t bytes[32];
	size_t len = pack(bytes, 2, &word, 8);

	(void)state;
	for (size_t i = 1; i < len; i++) {
		begin();
		peer_sends(bytes, i, 0);
		settle();
		peer_sends(bytes + i, len - i, 1);
		run_until(&rig.n_ended, 1);
		assert_int_equal(rig.rule, VHU_RULE_FDS_PLACE);
		assert_int_equal(rig.n_messages, 0);
		end();
	}
}

/* VU-023 */
static void too_many_descriptors_end_it(void **state)
{
	static const unsigned int counts[] = { 9, 16, 64 };
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		begin();
		peer_sends(bytes, pack(bytes, 2, &word, 8), counts[i]);
		run_until(&rig.n_ended, 1);
		assert_int_equal(rig.rule, VHU_RULE_FDS_TOO_MANY);
		assert_int_equal(rig.n_messages, 0);
		end();
	}
}

/* Descriptors that nobody took are closed when the next message is asked for. */
static void descriptors_left_in_a_message_are_closed(void **state)
{
	uint8_t bytes[32];
	unsigned int n_fds;

	(void)state;
	begin();
	n_fds = fd_count_open();
	for (unsigned int i = 0; i < 10; i++) {
		peer_sends(bytes, pack(bytes, 2, &word, 8), 3);
		run_until(&rig.n_messages, i + 1);
		assert_int_equal(fd_count_open(), n_fds);
	}
	end();
}

/* A connection that was accepted, as a daemon's are; the peer connected to it. */
static void begin_accepted(void)
{
	struct sockaddr_un addr;
	const char *why = NULL;
	socklen_t len;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[64];

	snprintf(name, sizeof(name), "@vhu-test-conn-%d", getpid());
	memset(&rig, 0, sizeof(rig));
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	assert_true(fd_unix_address(name, &addr, &len));
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	rig.peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(rig.peer, (struct sockaddr *)&addr, len), 0);
	rig.read_on = true;
	vhu_conn_init(&rig.conn, rig.loop, accept4(listener, NULL, NULL, SOCK_CLOEXEC), VHU_FE,
		      &ops);
	vhu_conn_read(&rig.conn);
	close(listener);
}

/* The rest of the message may never come, and nobody would hear that the peer has gone. */
static void socket_of_the_peer_with_half_a_header_ends_it(void **state)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	uint8_t bytes[VHU_HDR_LEN];
	struct iovec iov = { bytes, sizeof(bytes) / 2 };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)state;
	begin_accepted();
	pack(bytes, 2, NULL, 0);
	fd_attach(&hdr, control, &rig.peer, 1);
	assert_int_equal(sendmsg(rig.peer, &hdr, MSG_NOSIGNAL), sizeof(bytes) / 2);
	rig.peer = fd_close(rig.peer);
	run_until(&rig.n_ended, 1);
	assert_int_equal(rig.err, -ELOOP);
	assert_int_equal(rig.n_messages, 0);
	end();
}

static void header_that_is_not_wanted_ends_it_before_the_payload(void **state)
{
	uint8_t bytes[32];

	(void)state;
	begin();
	rig.verdict = VHU_RULE_VERSION;
	peer_sends(bytes, pack(bytes, 2, &word, 8), 2);
	run_until(&rig.n_ended, 1);
	assert_int_equal(rig.rule, VHU_RULE_VERSION);
	assert_int_equal(rig.n_messages, 0);
	vhu_conn_read(&rig.conn); /* nothing more comes */
	settle();
	assert_int_equal(rig.n_ended, 1);
	end();
}

/* VU-011, even if whoever looks at headers lets it pass */
static void size_beyond_all_bounds_ends_it(void **state)
{
	static const uint32_t sizes[] = { VHU_MAX_PAYLOAD + 1, 65536, 0x7fffffff, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t head[3] = { 2, 1, sizes[i] };

		begin();
		peer_sends(head, sizeof(head), 0);
		run_until(&rig.n_ended, 1);
		assert_int_equal(rig.rule, VHU_RULE_PAYLOAD_LIMIT);
		end();
	}
}

static void largest_payload_arrives(void **state)
{
	static uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD], payload[VHU_MAX_PAYLOAD];

	(void)state;
	begin();
	memset(payload, 0x5a, sizeof(payload));
	peer_sends(bytes, pack(bytes, 2, payload, sizeof(payload)), 0);
	run_until(&rig.n_messages, 1);
	assert_memory_equal(rig.last.payload, payload, sizeof(payload));
	end();
}

/* VU-009, VU-010 */
static void end_of_stream_is_told_apart_from_a_cut(void **state)
{
	uint8_t bytes[32];
	size_t len = pack(bytes, 2, &word, 8);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		begin();
		if (cut > 0)
			peer_sends(bytes, cut, cut == 1);
		settle();
		rig.peer = fd_close(rig.peer);
		run_until(&rig.n_ended, 1);
		assert_int_equal(rig.err, 0);
		assert_int_equal(rig.rule, cut > 0 && cut < len ? VHU_RULE_TRUNCATED : VHU_OK);
		assert_int_equal(rig.n_messages, cut == len);
		end();
	}
}

/* Each message keeps its own descriptors, however many wait. */
static void queued_messages_leave_in_order_with_their_descriptors(void **state)
{
	unsigned int n_fds;

	(void)state;
	begin();
	n_fds = fd_count_open();
	for (uint32_t i = 0; i < 9; i++) {
		struct vhu_msg msg;

		make_reply(&msg, 100 + i, 8 * (size_t)i);
		for (uint32_t f = 0; f < i; f++)
			msg.fds.fd[msg.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
		assert_int_equal(vhu_conn_send(&rig.conn, &msg), 0);
		assert_int_equal(msg.fds.n_fds, 0);
	}
	assert_true(vhu_conn_sending(&rig.conn));
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(peer_reads(100 + i, 8 * i), i);
	settle();
	assert_false(vhu_conn_sending(&rig.conn));
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(fd_count_open(), n_fds);
	end();
}

/* A peer that does not read: a bound, then an error, then all of it in order. */
static void peer_that_does_not_read_is_waited_for_up_to_a_bound(void **state)
{
	unsigned int n_queued = 0, n_read;
	struct vhu_msg msg;
	int err = 0;

	(void)state;
	begin();
	while (err == 0) {
		make_reply(&msg, n_queued, VHU_MAX_PAYLOAD);
		err = vhu_conn_send(&rig.conn, &msg);
		n_queued += err == 0;
		settle();
		assert_true(n_queued < 1000);
	}
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(rig.n_ended, 0);
	/* What was refused was refused whole, with its descriptors closed. */
	make_reply(&msg, 0, 8);
	msg.fds.fd[msg.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(vhu_conn_send(&rig.conn, &msg), -ENOBUFS);
	for (n_read = 0; n_read < n_queued; n_read++)
		assert_int_equal(peer_reads(n_read, VHU_MAX_PAYLOAD), 0);
	settle();
	assert_false(vhu_conn_sending(&rig.conn));
	end();
}

static void send_to_a_peer_that_left_ends_it(void **state)
{
	struct vhu_msg msg;

	(void)state;
	begin();
	rig.read_on = false;
	rig.peer = fd_close(rig.peer);
	make_reply(&msg, 1, 8);
	(void)vhu_conn_send(&rig.conn, &msg);
	run_until(&rig.n_ended, 1);
	assert_int_equal(rig.err, 0);
	assert_int_equal(rig.rule, VHU_OK);
	make_reply(&msg, 2, 8);
	msg.fds.fd[msg.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(vhu_conn_send(&rig.conn, &msg), -EPIPE);
	settle();
	assert_int_equal(rig.n_ended, 1);
	end();
}

/* Closed in the middle of everything: half a message in, queued ones out. */
static void close_in_the_middle_releases_everything(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 20; cut++) {
		uint8_t bytes[32];
		struct vhu_msg msg;

		begin();
		pack(bytes, 2, &word, 8);
		if (cut > 0)
			peer_sends(bytes, cut, 4);
		for (unsigned int i = 0; i < 60; i++) {
			make_reply(&msg, i, VHU_MAX_PAYLOAD);
			msg.fds.fd[msg.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
			assert_int_equal(vhu_conn_send(&rig.conn, &msg), 0);
		}
		if (cut % 2)
			settle();
		end();
		assert_int_equal(rig.n_ended, 0);
	}
}

/* A packet of no bytes looks like the end, but its descriptors have arrived. */
static void descriptors_with_an_empty_packet_are_closed(void **state)
{
	unsigned int n_fds;

	(void)state;
	begin_on(SOCK_SEQPACKET);
	settle();
	n_fds = fd_count_open();
	peer_sends("", 0, 8);
	run_until(&rig.n_ended, 1);
	end();
	assert_int_equal(fd_count_open(), n_fds - 3); /* both ends, and the loop's own */
}

/* Who listens: what was heard, in order. */
static struct ear {
	struct vhu_ear ear;
	uint32_t ids[4];
	bool received[4];
	unsigned int n_fds[4], n_messages, n_cuts;
	size_t cut_len;
	uint8_t cut_first;
} ear;

static void hear_message(struct vhu_ear *e, const struct vhu_msg *msg, bool received)
{
	assert_ptr_equal(e, &ear.ear);
	assert_true(ear.n_messages < ARRAY_SIZE(ear.ids));
	ear.ids[ear.n_messages] = msg->id;
	ear.received[ear.n_messages] = received;
	ear.n_fds[ear.n_messages++] = msg->fds.n_fds;
}

static void hear_cut(struct vhu_ear *e, enum vhu_dir dir, const uint8_t *bytes, size_t len)
{
	assert_ptr_equal(e, &ear.ear);
	assert_int_equal(dir, VHU_FE);
	ear.n_cuts++;
	ear.cut_len = len;
	ear.cut_first = bytes[0];
}

static void listen_in(void)
{
	memset(&ear, 0, sizeof(ear));
	ear.ear.message = hear_message;
	ear.ear.cut = hear_cut;
	rig.conn.ear = &ear.ear;
}

static void ear_hears_both_directions_with_their_descriptors(void **state)
{
	uint8_t bytes[32];
	struct vhu_msg m;

	(void)state;
	begin();
	listen_in();
	peer_sends(bytes, pack(bytes, 2, &word, 8), 3);
	run_until(&rig.n_messages, 1);
	vhu_msg_init(&m, VHU_FE, 5);
	m.fds.fd[m.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(vhu_conn_send(&rig.conn, &m), 0);
	run_until(&rig.n_sent, 1);
	assert_int_equal(ear.n_messages, 2);
	assert_true(ear.ids[0] == 2 && ear.received[0] && ear.n_fds[0] == 3);
	assert_true(ear.ids[1] == 5 && !ear.received[1] && ear.n_fds[1] == 1);
	assert_int_equal(ear.n_cuts, 0);
	end();
}

static void ear_hears_what_does_not_become_a_message(void **state)
{
	uint8_t bytes[32];

	(void)state;
	for (size_t len = 1; len < 20; len += 6) {
		begin();
		listen_in();
		pack(bytes, 7, &word, 8);
		peer_sends(bytes, len, 0);
		shutdown(rig.peer, SHUT_WR);
		run_until(&rig.n_ended, 1);
		assert_int_equal(ear.n_cuts, 1);
		assert_int_equal(ear.cut_len, len);
		assert_int_equal(ear.cut_first, 7);
		end();
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(message_in_one_piece_arrives),
	UNIT_TEST(message_byte_by_byte_arrives),
	UNIT_TEST(messages_in_one_write_arrive_one_by_one),
	UNIT_TEST(descriptor_with_a_later_byte_ends_it),
	UNIT_TEST(too_many_descriptors_end_it),
	UNIT_TEST(descriptors_left_in_a_message_are_closed),
	UNIT_TEST(socket_of_the_peer_with_half_a_header_ends_it),
	UNIT_TEST(header_that_is_not_wanted_ends_it_before_the_payload),
	UNIT_TEST(size_beyond_all_bounds_ends_it),
	UNIT_TEST(largest_payload_arrives),
	UNIT_TEST(end_of_stream_is_told_apart_from_a_cut),
	UNIT_TEST(queued_messages_leave_in_order_with_their_descriptors),
	UNIT_TEST(peer_that_does_not_read_is_waited_for_up_to_a_bound),
	UNIT_TEST(send_to_a_peer_that_left_ends_it),
	UNIT_TEST(close_in_the_middle_releases_everything),
	UNIT_TEST(descriptors_with_an_empty_packet_are_closed),
	UNIT_TEST(ear_hears_both_directions_with_their_descriptors),
	UNIT_TEST(ear_hears_what_does_not_become_a_message),
};
UNIT_MAIN(tests)
