/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "script/script.h"

enum { ANSWER_MS = 50 };

#define GET_FEATURES "010000000100000000000000"
#define FEATURES_OF_1 "010000000500000008000000 0100000000000000"

/* A back-end whose answers are there before the questions. */
struct rig {
	uint8_t answers[256];
	size_t answers_len;
	bool closes; /* behind the last answer */
	int gives;   /* a descriptor that comes with the answers; -1: none */
	int peer;    /* its end of the connection, once there is one */
	unsigned int n_different;
	char error[256];
	char *said;
	const char *address; /* NULL: nobody knows */
	int refused;	     /* no connection, for this reason; 0: there is one */
};

static int connect_rig(void *arg, int *ret_fd)
{
	struct rig *rig = arg;
	struct iovec iov = { rig->answers, rig->answers_len };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[2];

	if (rig->refused < 0)
		return rig->refused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (rig->gives >= 0) {
		hdr.msg_control = control.space;
		hdr.msg_controllen = sizeof(control.space);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &rig->gives, sizeof(int));
	}
	if (rig->answers_len > 0)
		assert_int_equal(sendmsg(fds[1], &hdr, 0), (ssize_t)rig->answers_len);
	if (rig->closes)
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	rig->peer = fds[1];
	*ret_fd = fds[0];
	return 0;
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->peer = -1;
	rig->gives = -1;
	return rig;
}

static void rig_free(struct rig *rig)
{
	fd_close(rig->peer);
	fd_close(rig->gives);
	free(rig->said);
	free(rig);
}

/* Adds the header of a GET_FEATURES reply and its value. */
static void will_answer(struct rig *rig, uint8_t value)
{
	static const uint8_t hdr[12] = { 1, 0, 0, 0, 5, 0, 0, 0, 8 };

	memcpy(rig->answers + rig->answers_len, hdr, sizeof(hdr));
	rig->answers[rig->answers_len + sizeof(hdr)] = value;
	rig->answers_len += 20;
}

static int play(struct rig *rig, const char *script)
{
	size_t len;
	FILE *text = fmemopen((char *)(uintptr_t)script, strlen(script), "r");
	FILE *out = open_memstream(&rig->said, &len);
	const struct script_plan plan = {
		.connect = connect_rig,
		.arg = rig,
		.backend = rig->address,
		.timeout_ms = ANSWER_MS,
		.out = out,
		.known = "recorded",
	};
	int err;

	assert_non_null(text);
	assert_non_null(out);
	err = script_play(text, &plan, &rig->n_different, rig->error);
	fclose(text);
	fclose(out);
	return err;
}

static void assert_said(const struct rig *rig, const char *part)
{
	if (!strstr(rig->said, part))
		fail_msg("expected %s in:\n%s", part, rig->said);
}

/* Everything that came on the connection; *ret_fd: its descriptor, or -1. */
static size_t received(const struct rig *rig, uint8_t *buf, size_t size, int *ret_fd)
{
	struct iovec iov = { buf, size };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(rig->peer, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (CMSG_FIRSTHDR(&hdr))
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&hdr)), sizeof(*ret_fd));
	return n > 0 ? (size_t)n : 0;
}

static void play_when_the_answer_is_as_recorded_finds_nothing(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	will_answer(rig, 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\n"
				   "# a comment\n"
				   "send 1 " GET_FEATURES "\n"
				   "recv 1 " FEATURES_OF_1 "\n"
				   "pause 1\n"),
			 0);
	assert_int_equal(rig->n_different, 0);
	assert_said(rig, "-> 1 GET_FEATURES\n<- 1 GET_FEATURES reply value=0x1[");
	rig_free(rig);
}

static void play_when_the_answer_is_another_says_which(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	will_answer(rig, 2);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nsend 1 " GET_FEATURES "\n"
				   "recv 1 " FEATURES_OF_1 "\n"),
			 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "<- 1 GET_FEATURES reply value=0x2[");
	assert_said(rig, "!! recorded was 1 GET_FEATURES reply value=0x1[");
	rig_free(rig);
}

static void play_when_no_answer_comes_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nsend 1 " GET_FEATURES "\n"
				   "recv 1 " FEATURES_OF_1 "\n"),
			 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "!! connection 1: nothing came in time\n");
	rig_free(rig);
}

static void play_when_silence_was_recorded_and_something_comes_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	will_answer(rig, 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\npause 20\n"), 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "!! connection 1: that was not recorded\n");
	rig_free(rig);
}

static void play_when_the_end_was_recorded_waits_for_it(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	rig->closes = true;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nclosed 1\npause 1\n"), 0);
	assert_int_equal(rig->n_different, 0);
	assert_said(rig, "<- 1 the back-end closes the connection\n");
	rig_free(rig);
}

static void play_when_the_end_was_recorded_and_does_not_come_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nclosed 1\n"), 0);
	assert_int_equal(rig->n_different, 1);
	rig_free(rig);
}

static void play_when_bytes_are_sent_they_arrive_as_written(void **state)
{
	static const uint8_t expected[] = { 0xde, 0xad, 0xbe, 0xef, 0x01 };
	struct rig *rig = rig_new();
	uint8_t buf[64];
	int fd;

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nsend 1 dead \\\n\tbeef 01\n"), 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), sizeof(expected));
	assert_memory_equal(buf, expected, sizeof(expected));
	assert_int_equal(fd, -1);
	rig_free(rig);
}

static void play_when_memory_was_written_the_descriptor_has_it(void **state)
{
	struct rig *rig = rig_new();
	char word[6] = "";
	uint8_t buf[64];
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nmemory m1 4096\n"
				   "write m1 0x10 68656c6c6f\nresize m1 8192\n"
				   "send 1 fds=m1 00\n"),
			 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_int_equal(pread(fd, word, 5, 0x10), 5);
	assert_string_equal(word, "hello");
	fd_close(fd);
	rig_free(rig);
}

static void play_when_a_write_goes_past_the_end_is_refused(void **state)
{
	static const char *const rows[] = {
		"write m1 0xfff 0102\n",
		"write m1 0x1000 01\n",
		"write m1 0xffffffffffffffff 01\n",
		"resize m1 16\nwrite m1 0x10 01\n",
	};
	char script[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();

		snprintf(script, sizeof(script), "vhu-replay 1\nmemory m1 0x1000\n%s", rows[i]);
		assert_int_equal(play(rig, script), -EINVAL);
		assert_non_null(strstr(rig->error, "\"resize m1 SIZE\" makes room"));
		rig_free(rig);
	}
}

static void play_when_a_write_ends_with_the_memory_is_done(void **state)
{
	struct rig *rig = rig_new();
	uint8_t buf[64];
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nmemory m1 0x1000\n"
				   "write m1 0xffe 0102\nresize m1 0x1001\nwrite m1 0x1000 03\n"
				   "send 1 fds=m1 00\n"),
			 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0x1001);
	assert_int_equal(pread(fd, buf, 3, 0xffe), 3);
	assert_memory_equal(buf, "\1\2\3", 3);
	fd_close(fd);
	rig_free(rig);
}

static void play_when_memory_is_readonly_the_descriptor_cannot_be_written(void **state)
{
	struct rig *rig = rig_new();
	uint8_t buf[64];
	int fd;

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nmemory m1 4096 readonly\n"
				   "write m1 0 aa\nsend 1 fds=m1 00\n"),
			 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), 1);
	assert_true(write(fd, "x", 1) < 0);
	assert_int_equal(pread(fd, buf, 1, 0), 1);
	assert_int_equal(buf[0], 0xaa);
	fd_close(fd);
	rig_free(rig);
}

static void play_when_an_eventfd_is_kicked_it_counts(void **state)
{
	struct rig *rig = rig_new();
	uint64_t count = 0;
	uint8_t buf[64];
	int fd;

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\neventfd e1 nonblock\n"
				   "send 1 fds=e1 00\nkick e1\nkick e1\n"),
			 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	fd_close(fd);
	rig_free(rig);
}

static void play_when_a_descriptor_came_it_can_be_sent_back(void **state)
{
	struct rig *rig = rig_new();
	struct stat given, back;
	uint8_t buf[64];
	int fd, pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	rig->gives = pipes[0];
	fd_close(pipes[1]);
	will_answer(rig, 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\n"
				   "recv 1 fds=p1 " FEATURES_OF_1 "\nsend 1 fds=p1 00\n"),
			 0);
	assert_int_equal(rig->n_different, 0);
	assert_int_equal(received(rig, buf, sizeof(buf), &fd), 1);
	assert_int_equal(fstat(fd, &back), 0);
	assert_int_equal(fstat(rig->gives, &given), 0);
	assert_int_equal(back.st_ino, given.st_ino);
	fd_close(fd);
	rig_free(rig);
}

static void play_when_an_expected_descriptor_is_missing_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	will_answer(rig, 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nrecv 1 fds=m1 " FEATURES_OF_1 "\n"),
			 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "brings 0 descriptors; recorded were 1\n");
	rig_free(rig);
}

static void play_when_an_index_is_reached_goes_on_and_else_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nmemory m1 64\nwrite m1 2 0500\n"
				   "await16 m1 2 5\nawait16 m1 2 4\nawait16 m1 2 6\n"),
			 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "!! the index at 2 of m1 is 5; recorded was 6\n");
	rig_free(rig);
}

static void play_when_an_index_has_gone_further_than_it_did_says_so(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nmemory m1 64\nwrite m1 2 0500\n"
				   "check16 m1 2 5\ncheck16 m1 2 4\n"),
			 0);
	assert_int_equal(rig->n_different, 1);
	assert_said(rig, "!! the index at 2 of m1 is 5; recorded was 4\n");
	rig_free(rig);
}

static void play_when_it_waits_leaves_what_comes_for_later(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	will_answer(rig, 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nwait 1\nrecv 1 " FEATURES_OF_1 "\n"),
			 0);
	assert_int_equal(rig->n_different, 0);
	rig_free(rig);
}

static void play_when_the_connection_is_closed_sends_nothing(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\nsend-channel 1 00\nclose 1\n"
				   "send 1 " GET_FEATURES "\nrecv 1 " FEATURES_OF_1 "\n"),
			 0);
	assert_null(strstr(rig->said, "->"));
	assert_null(strstr(rig->said, "=>"));
	assert_said(rig, "-- 1: there is no channel, nothing is sent\n");
	assert_said(rig, "-- 1: the connection is closed, nothing is sent\n");
	assert_said(rig, "!! connection 1: it is closed\n");
	rig_free(rig);
}

static void play_when_there_is_no_connection_names_the_back_end(void **state)
{
	char address[300] = "/run/some/where";
	struct rig *rig = rig_new();

	(void)state;
	rig->refused = -ENOENT;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\n"), -ENOENT);
	assert_string_equal(rig->error,
			    "line 2: a connection to the back-end: No such file or directory");
	free(rig->said);
	rig->address = address;
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\n"), -ENOENT);
	assert_string_equal(rig->error,
			    "line 2: a connection to /run/some/where: No such file or directory");
	free(rig->said);
	memset(address, 'a', sizeof(address) - 1);
	assert_int_equal(play(rig, "vhu-replay 1\nconnect 1\n"), -ENOENT);
	assert_non_null(strstr(rig->error, "aaa...: No such file or directory"));
	rig_free(rig);
}

static void play_when_the_text_is_wrong_says_where(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "vhu-replay 2\n", "expected \"vhu-replay 1\"" },
		{ "vhu-replay 1\n\nfly 1\n", "line 3: fly is no statement" },
		{ "vhu-replay 1\nsend 1 00\n", "line 2: there is no connection 1" },
		{ "vhu-replay 1\nconnect 99999\n", "line 2: connections are numbered" },
		{ "vhu-replay 1\nconnect x\n", "line 2: expected a number, not x" },
		{ "vhu-replay 1\nconnect\n", "line 2: connect has at least 1 words" },
		{ "vhu-replay 1\nconnect 1 2\n", "line 2: connect has at most 1 words" },
		{ "vhu-replay 1\nconnect 1\nsend 1 0\n", "line 3: expected pairs of" },
		{ "vhu-replay 1\nconnect 1\nsend 1 fds=m1 00\n", "line 3: nothing is called m1" },
		{ "vhu-replay 1\nkick e1\n", "line 2: nothing is called e1" },
		{ "vhu-replay 1\neventfd aaaaaaaaaaaaaaaaaaaaaa\n", "line 2: a name like" },
		{ "vhu-replay 1\npause 99999999\n", "line 2: a pause has at most" },
		{ "vhu-replay 1\npipe-read p1\nresize p1 5 \\\n 5\n", "line 4: resize has at" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();

		assert_int_equal(play(rig, rows[i].text), -EINVAL);
		if (!strstr(rig->error, rows[i].why))
			fail_msg("expected %s, not: %s", rows[i].why, rig->error);
		rig_free(rig);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(play_when_the_answer_is_as_recorded_finds_nothing),
	UNIT_TEST(play_when_the_answer_is_another_says_which),
	UNIT_TEST(play_when_no_answer_comes_says_so),
	UNIT_TEST(play_when_silence_was_recorded_and_something_comes_says_so),
	UNIT_TEST(play_when_the_end_was_recorded_waits_for_it),
	UNIT_TEST(play_when_the_end_was_recorded_and_does_not_come_says_so),
	UNIT_TEST(play_when_bytes_are_sent_they_arrive_as_written),
	UNIT_TEST(play_when_memory_was_written_the_descriptor_has_it),
	UNIT_TEST(play_when_a_write_goes_past_the_end_is_refused),
	UNIT_TEST(play_when_a_write_ends_with_the_memory_is_done),
	UNIT_TEST(play_when_memory_is_readonly_the_descriptor_cannot_be_written),
	UNIT_TEST(play_when_an_eventfd_is_kicked_it_counts),
	UNIT_TEST(play_when_a_descriptor_came_it_can_be_sent_back),
	UNIT_TEST(play_when_an_expected_descriptor_is_missing_says_so),
	UNIT_TEST(play_when_an_index_is_reached_goes_on_and_else_says_so),
	UNIT_TEST(play_when_an_index_has_gone_further_than_it_did_says_so),
	UNIT_TEST(play_when_it_waits_leaves_what_comes_for_later),
	UNIT_TEST(play_when_the_connection_is_closed_sends_nothing),
	UNIT_TEST(play_when_there_is_no_connection_names_the_back_end),
	UNIT_TEST(play_when_the_text_is_wrong_says_where),
};

UNIT_MAIN(tests)
