/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "trace/proxy/relay.h"
#include "vhu/codec.h"

enum {
	N_TOLD = 2048,
	STEPS_MAX = 20000,
	FLOOD = 3000, /* messages: more than sockets keep */
	PAYLOAD = 40,
};

/* What the relay has said of one unit. */
struct heard {
	bool raw;
	size_t len, n_fds;
	uint8_t bytes[64]; /* the first of them */
	ino_t first_fd;	   /* 0: none */
};

static struct {
	struct loop *loop;
	int in[2], out[2]; /* [0] is the relay's */
	struct relay relay;
	struct heard heard[N_TOLD];
	unsigned int n_heard, n_ended, n_closed;
	enum relay_end how;
	int replace; /* goes on in the place of the first descriptor; -1: none */
	bool replaced;
} rig;

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void hear(const struct relay_piece *piece, bool raw)
{
	struct heard *h = &rig.heard[rig.n_heard++ % N_TOLD];

	*h = (struct heard){ .raw = raw, .len = piece->len, .n_fds = piece->n_fds };
	memcpy(h->bytes, piece->bytes, min_size(piece->len, sizeof(h->bytes)));
	if (piece->n_fds > 0)
		h->first_fd = inode(piece->fds[0]);
}

static void on_message(struct relay *r, const struct relay_piece *piece)
{
	hear(piece, false);
	if (rig.replace >= 0)
		rig.replaced = relay_replace_fd(r, 0, fd_take(&rig.replace));
}

static void on_raw(struct relay *r, const struct relay_piece *piece)
{
	assert_ptr_equal(r, &rig.relay);
	hear(piece, true);
}

static void on_ended(struct relay *r, enum relay_end how, int err)
{
	assert_ptr_equal(r, &rig.relay);
	assert_int_equal(err == 0, how == RELAY_END);
	rig.how = how;
	rig.n_ended++;
}

static void on_closed(struct relay *r)
{
	assert_ptr_equal(r, &rig.relay);
	rig.n_closed++;
}

static const struct relay_ops ops = { .message = on_message, .raw = on_raw, .ended = on_ended };

static int setup(void **state)
{
	const char *why;

	unit_setup(state);
	memset(&rig, 0, sizeof(rig));
	rig.replace = -1;
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.in), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.out), 0);
	relay_init(&rig.relay, rig.loop, rig.in[0], rig.out[0], &ops);
	relay_start(&rig.relay);
	return 0;
}

static void step(void)
{
	assert_int_equal(loop_step(rig.loop, false), 0);
}

static int teardown(void **state)
{
	relay_close(&rig.relay, on_closed);
	for (int i = 0; rig.n_closed == 0 && i < STEPS_MAX; i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
	loop_free(rig.loop);
	for (int i = 0; i < 2; i++) {
		fd_close(rig.in[i]);
		fd_close(rig.out[i]);
	}
	fd_close(rig.replace);
	return unit_teardown(state);
}

/* Until nothing more is to be done. */
static void settle(void)
{
	for (int i = 0; i < 8; i++)
		step();
}

/* The two ends. */

static size_t make_message(uint8_t *buf, uint32_t id, size_t payload)
{
	struct vhu_msg m;

	vhu_msg_init(&m, VHU_FE, id);
	m.size = (uint32_t)payload;
	vhu_header_pack(&m, buf);
	for (size_t i = 0; i < payload; i++)
		buf[VHU_HDR_LEN + i] = (uint8_t)(id + i);
	return VHU_HDR_LEN + payload;
}

static void put(const uint8_t *bytes, size_t len, const int *fds, size_t n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(TRACE_MAX_FDS * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0)
		fd_attach(&hdr, control, fds, n_fds);
	assert_int_equal(sendmsg(rig.in[1], &hdr, MSG_NOSIGNAL), len);
}

/* One read of at most len bytes; closes what came with it. -errno, or how many bytes. */
static ssize_t get(uint8_t *buf, size_t len, size_t *ret_n_fds, ino_t *ret_first)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(TRACE_MAX_FDS * sizeof(int))];
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(rig.out[1], &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&hdr) : NULL;
	int fds[TRACE_MAX_FDS];

	*ret_n_fds = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	if (ret_first)
		*ret_first = 0;
	if (c)
		memcpy(fds, CMSG_DATA(c), *ret_n_fds * sizeof(int));
	for (size_t i = 0; i < *ret_n_fds; i++) {
		if (i == 0 && ret_first)
			*ret_first = inode(fds[0]);
		close(fds[i]);
	}
	return n < 0 ? -errno : n;
}

static void take_exactly(const uint8_t *bytes, size_t len, size_t expected_fds)
{
	uint8_t buf[RELAY_BYTES];
	size_t n_fds;

	assert_int_equal(get(buf, len, &n_fds, NULL), len);
	assert_memory_equal(buf, bytes, len);
	assert_int_equal(n_fds, expected_fds);
}

static void nothing_comes(void)
{
	uint8_t byte;
	size_t n_fds;

	assert_int_equal(get(&byte, 1, &n_fds, NULL), -EAGAIN);
}

/* A message in two parts goes on part by part, and is told of once, with its descriptors. */
static void message_under_every_split_arrives_as_sent(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 5, PAYLOAD);
	int fds[2] = { eventfd(0, EFD_CLOEXEC), open("/dev/null", O_RDONLY | O_CLOEXEC) };

	(void)state;
	for (size_t at = 1; at < len; at++) {
		for (size_t n_later = 0; n_later <= 2; n_later++) {
			unsigned int before = rig.n_heard;
			size_t n_first = 2 - n_later;

			put(bytes, at, fds, n_first);
			settle();
			take_exactly(bytes, at, n_first);
			assert_int_equal(rig.n_heard, before);
			put(bytes + at, len - at, fds + n_first, n_later);
			settle();
			take_exactly(bytes + at, len - at, n_later);
			assert_int_equal(rig.n_heard, before + 1);
			assert_int_equal(rig.heard[before % N_TOLD].n_fds, 2);
			assert_memory_equal(rig.heard[before % N_TOLD].bytes, bytes, len);
		}
	}
	nothing_comes();
	close(fds[0]);
	close(fds[1]);
}

/* Both parts are there when the relay looks: whatever joins them, no descriptor moves forward
 * over the border of header and payload. */
static void descriptors_with_the_payload_stay_with_the_payload(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 5, PAYLOAD);
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	put(bytes, VHU_HDR_LEN, &fd, 1);
	put(bytes + VHU_HDR_LEN, len - VHU_HDR_LEN, (int[]){ fd, fd, fd }, 3);
	settle();
	/* Reads that would take all, but for the descriptors between. */
	take_exactly(bytes, VHU_HDR_LEN, 1);
	take_exactly(bytes + VHU_HDR_LEN, len - VHU_HDR_LEN, 3);
	assert_int_equal(rig.heard[0].n_fds, 4);
	close(fd);
}

static void whole_message_leaves_in_one_piece(void **state)
{
	uint8_t bytes[RELAY_BYTES], buf[RELAY_BYTES];
	size_t len = make_message(bytes, 5, VHU_MAX_PAYLOAD), n_fds;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	put(bytes, len, &fd, 1);
	settle();
	/* Descriptors end a read, so this is one message of the relay's. */
	assert_int_equal(get(buf, sizeof(buf), &n_fds, NULL), len);
	assert_int_equal(n_fds, 1);
	assert_memory_equal(buf, bytes, len);
	close(fd);
}

static void two_messages_in_one_write_keep_their_descriptors_apart(void **state)
{
	uint8_t bytes[2 * RELAY_BYTES];
	size_t first = make_message(bytes, 1, PAYLOAD);
	size_t second = make_message(bytes + first, 2, 8);
	int a = eventfd(0, EFD_CLOEXEC), b = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ino_t inode_b = inode(b);

	(void)state;
	/* Without descriptors and with: one recvmsg() of the relay could take both. */
	put(bytes, first, NULL, 0);
	put(bytes + first, second, &b, 1);
	settle();
	assert_int_equal(rig.n_heard, 2);
	assert_int_equal(rig.heard[0].n_fds, 0);
	assert_int_equal(rig.heard[1].n_fds, 1);
	assert_true(rig.heard[1].first_fd == inode_b);
	take_exactly(bytes, first, 0);
	take_exactly(bytes + first, second, 1);
	/* In one write, they are the first one's. */
	put(bytes, first + second, &a, 1);
	settle();
	assert_int_equal(rig.n_heard, 4);
	assert_int_equal(rig.heard[2].n_fds, 1);
	assert_int_equal(rig.heard[3].n_fds, 0);
	take_exactly(bytes, first, 1);
	take_exactly(bytes + first, second, 0);
	close(a);
	close(b);
}

static void as_many_descriptors_as_the_kernel_takes_pass(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 5, PAYLOAD);
	int fd = eventfd(0, EFD_CLOEXEC), fds[TRACE_MAX_FDS];

	(void)state;
	for (size_t i = 0; i < TRACE_MAX_FDS; i++)
		fds[i] = fd;
	/* Three times as many with one message, too. */
	for (int i = 0; i < 3; i++) {
		size_t at = len * (size_t)i / 3, end = len * (size_t)(i + 1) / 3;

		put(bytes + at, end - at, fds, TRACE_MAX_FDS);
		settle();
		take_exactly(bytes + at, end - at, TRACE_MAX_FDS);
	}
	assert_int_equal(rig.n_heard, 1);
	assert_int_equal(rig.heard[0].n_fds, TRACE_MAX_FDS);
	close(fd);
}

static void descriptor_can_be_replaced(void **state)
{
	uint8_t bytes[RELAY_BYTES], buf[RELAY_BYTES];
	size_t len = make_message(bytes, VHU_FE_SET_BACKEND_REQ_FD, 0), n_fds;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ino_t got, mine;

	(void)state;
	rig.replace = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mine = inode(rig.replace);
	put(bytes, len, &fd, 1);
	settle();
	assert_true(rig.replaced);
	assert_int_equal(get(buf, len, &n_fds, &got), len);
	assert_int_equal(n_fds, 1);
	assert_true(got == mine);
	assert_true(rig.heard[0].first_fd == inode(fd));
	close(fd);
}

static void descriptor_that_has_left_cannot_be_replaced(void **state)
{
	uint8_t bytes[RELAY_BYTES], buf[RELAY_BYTES];
	size_t len = make_message(bytes, VHU_FE_SET_BACKEND_REQ_FD, 0), n_fds;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ino_t got;

	(void)state;
	rig.replace = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(bytes, 4, &fd, 1);
	settle();
	put(bytes + 4, len - 4, NULL, 0);
	settle();
	assert_int_equal(rig.n_heard, 1);
	assert_false(rig.replaced);
	assert_int_equal(get(buf, 4, &n_fds, &got), 4);
	assert_true(got == inode(fd));
	close(fd);
}

/* The reader sleeps: no more is read than one message, and nothing is lost or moved. */
static void full_receiver_holds_the_sender_back(void **state)
{
	uint8_t bytes[RELAY_BYTES], buf[RELAY_BYTES];
	unsigned int n_put = 0, n_got = 0, stuck;
	size_t n_fds;

	(void)state;
	for (;;) {
		size_t len = make_message(bytes, n_put, VHU_MAX_PAYLOAD);

		if (send(rig.in[1], bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) < (ssize_t)len)
			break;
		assert_true(++n_put < FLOOD);
		settle();
	}
	stuck = rig.n_heard;
	settle();
	assert_int_equal(rig.n_heard, stuck);
	assert_true(n_put > stuck && stuck > 0);
	/* A part of one more may have been taken by the socket: left aside. */
	while (n_got < n_put) {
		size_t len = make_message(bytes, n_got, VHU_MAX_PAYLOAD), got = 0;

		while (got < len) {
			ssize_t n = get(buf + got, len - got, &n_fds, NULL);

			assert_true(n > 0 || n == -EAGAIN);
			got += n > 0 ? (size_t)n : 0;
			step();
		}
		assert_memory_equal(buf, bytes, len);
		n_got++;
	}
	assert_true(rig.n_heard >= n_put);
}

static void header_of_nonsense_turns_to_raw_bytes(void **state)
{
	uint8_t bytes[RELAY_BYTES] = { 0 };
	size_t len = make_message(bytes, 7, 0);
	struct vhu_msg m;

	(void)state;
	vhu_msg_init(&m, VHU_FE, 7);
	m.size = VHU_MAX_PAYLOAD + 1;
	vhu_header_pack(&m, bytes + len);
	put(bytes, len + VHU_HDR_LEN + 20, NULL, 0);
	settle();
	take_exactly(bytes, len + VHU_HDR_LEN + 20, 0);
	assert_int_equal(rig.n_heard, 3);
	assert_false(rig.heard[0].raw);
	assert_true(rig.heard[1].raw && rig.heard[2].raw);
	assert_int_equal(rig.heard[1].len + rig.heard[2].len, VHU_HDR_LEN + 20);
	/* And so it stays. */
	put(bytes, len, NULL, 0);
	settle();
	take_exactly(bytes, len, 0);
	assert_true(rig.heard[3].raw);
}

static void end_within_a_message_tells_the_rest_as_raw(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 7, PAYLOAD);

	(void)state;
	put(bytes, len, NULL, 0);
	put(bytes, VHU_HDR_LEN + 3, NULL, 0);
	shutdown(rig.in[1], SHUT_WR);
	settle();
	assert_int_equal(rig.n_ended, 1);
	assert_int_equal(rig.how, RELAY_END);
	assert_int_equal(rig.n_heard, 2);
	assert_true(rig.heard[1].raw);
	assert_int_equal(rig.heard[1].len, VHU_HDR_LEN + 3);
	take_exactly(bytes, len, 0);
	take_exactly(bytes, VHU_HDR_LEN + 3, 0);
	nothing_comes(); /* closing is not the relay's */
}

static void last_bytes_of_a_process_that_is_gone_arrive(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 7, PAYLOAD);

	(void)state;
	put(bytes, len, NULL, 0);
	rig.in[1] = fd_close(rig.in[1]);
	settle();
	assert_int_equal(rig.how, RELAY_END);
	take_exactly(bytes, len, 0);
}

static void receiver_that_is_gone_ends_it_once(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 7, PAYLOAD);

	(void)state;
	rig.out[1] = fd_close(rig.out[1]);
	put(bytes, len, NULL, 0);
	put(bytes, len, NULL, 0);
	settle();
	assert_int_equal(rig.n_ended, 1);
	assert_int_equal(rig.how, RELAY_UNWANTED);
	assert_int_equal(rig.n_heard, 1);
}

static void finish_takes_what_is_there_and_ends(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 7, PAYLOAD);

	(void)state;
	for (int i = 0; i < 100; i++)
		put(bytes, len, NULL, 0);
	relay_finish(&rig.relay);
	assert_int_equal(rig.n_ended, 1);
	assert_int_equal(rig.how, RELAY_END);
	assert_int_equal(rig.n_heard, 100);
	for (int i = 0; i < 100; i++)
		take_exactly(bytes, len, 0);
}

static void no_descriptor_free_is_told_of(void **state)
{
	uint8_t bytes[RELAY_BYTES];
	size_t len = make_message(bytes, 7, PAYLOAD);
	int fd = eventfd(0, EFD_CLOEXEC), last = fd, more[64];
	struct rlimit old, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < 4; i++) {
		more[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		last = more[i] > last ? more[i] : last;
	}
	none = (struct rlimit){ .rlim_cur = (rlim_t)last + 1, .rlim_max = old.rlim_max };
	put(bytes, len, (int[]){ fd, fd }, 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	settle();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rig.n_ended, 1);
	assert_int_equal(rig.how, RELAY_NO_FDS);
	for (int i = 0; i < 4; i++)
		close(more[i]);
	close(fd);
}

/* However many messages there are at once, no copy of the last one's descriptor stays behind. */
static void burst_leaves_no_descriptor_behind(void **state)
{
	uint8_t bytes[RELAY_BYTES], buf[RELAY_BYTES];
	size_t len = make_message(bytes, 5, 8), n_fds;

	(void)state;
	for (int n = 1; n <= 70; n++) {
		int ends[2];
		uint8_t byte;

		assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
		for (int i = 1; i < n; i++)
			put(bytes, len, NULL, 0);
		put(bytes, len, &ends[1], 1);
		close(ends[1]);
		settle();
		while (get(buf, len, &n_fds, NULL) > 0)
			;
		assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody could write any more */
		close(ends[0]);
	}
}

#define RELAY_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	RELAY_TEST(message_under_every_split_arrives_as_sent),
	RELAY_TEST(descriptors_with_the_payload_stay_with_the_payload),
	RELAY_TEST(whole_message_leaves_in_one_piece),
	RELAY_TEST(two_messages_in_one_write_keep_their_descriptors_apart),
	RELAY_TEST(as_many_descriptors_as_the_kernel_takes_pass),
	RELAY_TEST(burst_leaves_no_descriptor_behind),
	RELAY_TEST(descriptor_can_be_replaced),
	RELAY_TEST(descriptor_that_has_left_cannot_be_replaced),
	RELAY_TEST(full_receiver_holds_the_sender_back),
	RELAY_TEST(header_of_nonsense_turns_to_raw_bytes),
	RELAY_TEST(end_within_a_message_tells_the_rest_as_raw),
	RELAY_TEST(last_bytes_of_a_process_that_is_gone_arrive),
	RELAY_TEST(receiver_that_is_gone_ends_it_once),
	RELAY_TEST(finish_takes_what_is_there_and_ends),
	RELAY_TEST(no_descriptor_free_is_told_of),
};

UNIT_MAIN(tests)
