/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "loop.h"
#include "vhu/codec.h"
#include "vhu/conn.h"

enum { MANY_STEPS = 2000 };

struct rig {
	struct loop *loop;
	struct vhu_conn conn;
	int peer;
	bool read_on;	       /* ask for the next message at once */
	enum vhu_rule verdict; /* of every header */
	unsigned int n_headers, n_messages, n_sent, n_ended, n_closed;
	struct vhu_msg last; /* without its descriptors */
	unsigned int n_fds;
	int err;
	enum vhu_rule rule;
};

static struct rig rig;

static enum vhu_rule on_header(struct vhu_conn *conn, const struct vhu_msg *msg)
{
	(void)conn;
	(void)msg;
	rig.n_headers++;
	return rig.verdict;
}

static void on_message(struct vhu_conn *conn, struct vhu_msg *msg)
{
	rig.n_messages++;
	rig.last = *msg;
	rig.n_fds = msg->fds.n_fds;
	if (rig.read_on)
		vhu_conn_read(conn);
}

static void on_sent(struct vhu_conn *conn)
{
	(void)conn;
	rig.n_sent++;
}

static void on_ended(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	(void)conn;
	rig.n_ended++;
	rig.err = err;
	rig.rule = rule;
}

static void on_closed(struct vhu_conn *conn)
{
	assert_int_equal(conn->fd, -1);
	rig.n_closed++;
}

static const struct vhu_conn_ops ops = { on_header, on_message, on_sent, on_ended, NULL };

static void begin_on(int type)
{
	const char *why = NULL;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	memset(&rig, 0, sizeof(rig));
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	rig.peer = fds[1];
	rig.read_on = true;
	vhu_conn_init(&rig.conn, rig.loop, fds[0], VHU_FE, &ops);
	vhu_conn_read(&rig.conn);
}

static void begin(void)
{
	begin_on(SOCK_STREAM);
}

static void settle(void)
{
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(loop_step(rig.loop, false), 0);
}

static void run_until(const unsigned int *counter, unsigned int value)
{
	for (unsigned int i = 0; *counter < value; i++) {
		assert_true(i < MANY_STEPS);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
}

static void end(void)
{
	vhu_conn_close(&rig.conn, on_closed);
	assert_int_equal(rig.n_closed, 0); /* later, always */
	run_until(&rig.n_closed, 1);
	fd_close(rig.peer);
	loop_free(rig.loop);
}

static size_t pack(uint8_t *at, uint32_t id, const void *payload, uint32_t len)
{
	uint32_t head[3] = { id, 1, len };

	memcpy(at, head, sizeof(head));
	if (len > 0)
		memcpy(at + sizeof(head), payload, len);
	return sizeof(head) + len;
}

/* Bytes from the peer, with n descriptors on the first of them. */
static void peer_sends(const void *bytes, size_t len, unsigned int n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int fd = n > 0 ? eventfd(0, EFD_CLOEXEC) : -1;

	if (n > 0) {
		hdr.msg_control = control.space;
		hdr.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (unsigned int i = 0; i < n; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(rig.peer, &hdr, MSG_NOSIGNAL), len);
	fd_close(fd);
}

static const uint64_t word = 0x1122334455667788;

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

/* VU-023: eight may come; if there is no room for them here, that is no fault of the peer's. */
static void descriptors_that_find_no_room_here_are_not_the_peers_fault(void **state)
{
	struct rlimit limit, few;
	uint8_t bytes[32];

	(void)state;
	begin();
	peer_sends(bytes, pack(bytes, 2, &word, 8), 4);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur =
		(rlim_t)rig.peer + 3; /* two are free at most: the rest of the message's are not */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	run_until(&rig.n_ended, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rig.err, -EMFILE);
	assert_int_equal(rig.rule, VHU_OK);
	assert_int_equal(rig.n_messages, 0);
	end();
}

/* What is told of descriptors that come with half a message. */
static unsigned int n_fds_told;

static bool refuse_fds(struct vhu_conn *conn, const struct fdset *fds)
{
	n_fds_told += fds->n_fds;
	vhu_conn_close(conn, on_closed);
	return false;
}

static void descriptors_are_told_of_before_the_message_is_whole(void **state)
{
	struct vhu_conn_ops with_fds = ops;
	uint8_t bytes[32];

	(void)state;
	begin();
	n_fds_told = 0;
	with_fds.fds = refuse_fds;
	rig.conn.ops = &with_fds;
	pack(bytes, 2, &word, 8);
	peer_sends(bytes, 3, 2);
	run_until(&rig.n_closed, 1);
	assert_int_equal(n_fds_told, 2);
	assert_int_equal(rig.n_messages, 0);
	assert_int_equal(rig.n_ended, 0);
	fd_close(rig.peer);
	loop_free(rig.loop);
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

static void make_reply(struct vhu_msg *msg, uint32_t id, size_t len)
{
	static const uint8_t zeroes[VHU_MAX_PAYLOAD];

	vhu_msg_init(msg, VHU_FE, id);
	vhu_msg_put(msg, zeroes, len);
}

/* Reads one message as a front-end would: how many descriptors came with its first byte. */
static unsigned int peer_reads(uint32_t id, uint32_t size)
{
	static uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec iov = { bytes, VHU_HDR_LEN };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	uint32_t head[3];
	unsigned int n = 0;
	size_t done = 0;

	while (recvmsg(rig.peer, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(loop_step(rig.loop, true), 0);
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&hdr); c; c = CMSG_NXTHDR(&hdr, c)) {
		for (; CMSG_LEN(n * sizeof(int)) < c->cmsg_len; n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + n * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	memcpy(head, bytes, sizeof(head));
	assert_int_equal(head[0], id);
	assert_int_equal(head[2], size);
	while (done < size) {
		ssize_t got = recv(rig.peer, bytes, size - done, MSG_DONTWAIT);

		if (got < 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
		else
			done += (size_t)got;
	}
	return n;
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
	assert_int_equal(fd_count_open(), n_fds - 3); /* both ends and the loop's own */
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
	UNIT_TEST(descriptors_that_find_no_room_here_are_not_the_peers_fault),
	UNIT_TEST(descriptors_are_told_of_before_the_message_is_whole),
	UNIT_TEST(descriptors_left_in_a_message_are_closed),
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
