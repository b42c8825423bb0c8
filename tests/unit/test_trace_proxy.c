/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include "trace/proxy/proxy.h"
#include "vhu/codec.h"

enum {
	TELLS_MAX = 4096,
	STEPS_MAX = 2000,
};

static struct {
	char folder[64], front[96], back[96];
	struct loop *loop;
	struct trace_sink sink;
	struct proxy *proxy;
	int listener; /* of the back-end; -1: there is none */
	int front_fd, back_fd;
	char told[TELLS_MAX]; /* records as words: "1>GET_FEATURES[1] " */
	unsigned int n_ended;
} rig;

/* What is told */

static PRINTF_LIKE(1, 2) void tell(const char *fmt, ...)
{
	size_t len = strlen(rig.told);
	va_list args;

	va_start(args, fmt);
	vsnprintf(rig.told + len, sizeof(rig.told) - len, fmt, args);
	va_end(args);
}

static void take(struct trace_sink *sink, const struct trace_record *r)
{
	const char *arrow = r->dir == TRACE_TO_BACKEND ? ">" : "<";
	struct vhu_msg m;

	assert_ptr_equal(sink, &rig.sink);
	assert_true(r->ns > UINT64_C(1700000000) * 1000000000);
	tell("%s%u%s", rig.told[0] != '\0' ? " " : "", r->session, r->channel ? "c" : "");
	switch (r->kind) {
	case TRACE_OPEN:
		tell("open");
		break;
	case TRACE_MESSAGE:
		vhu_header_parse(r->bytes, &m);
		assert_int_equal(r->len, VHU_HDR_LEN + m.size);
		tell("%s%u", arrow, m.id);
		if (r->n_fds > 0)
			tell("+%s", fd_kind_name(r->fds[0].kind));
		break;
	case TRACE_RAW:
		tell("%sraw%zu", arrow, r->len);
		break;
	case TRACE_CHANNEL:
		tell("channel");
		break;
	case TRACE_END:
		tell("%send%s", arrow, r->text[0] != '\0' ? "!" : "");
		break;
	case TRACE_NOTE:
		tell("note(%s)", r->text);
		break;
	case TRACE_RING:
	case TRACE_N_KINDS:
		tell("ring");
		break;
	}
}

static void assert_told(const char *words)
{
	if (strcmp(rig.told, words) != 0)
		fail_msg("told '%s' instead of '%s'", rig.told, words);
	rig.told[0] = '\0';
}

/* The two sides */

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	return un;
}

static int stream_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static void listen_as_backend(void)
{
	struct sockaddr_un un = address(rig.back);

	rig.listener = stream_socket();
	assert_int_equal(bind(rig.listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(rig.listener, 4), 0);
}

static int dial(void)
{
	struct sockaddr_un un = address(rig.front);
	int fd = stream_socket();

	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static void settle(void)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_step(rig.loop, false), 0);
}

static void connect_both(void)
{
	rig.front_fd = dial();
	settle();
	rig.back_fd = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(rig.back_fd >= 0);
	assert_told("1open");
}

static void say_quietly(int fd, uint32_t id, int with)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	uint8_t bytes[VHU_HDR_LEN];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct vhu_msg m;

	vhu_msg_init(&m, VHU_FE, id);
	vhu_header_pack(&m, bytes);
	if (with >= 0)
		fd_attach(&hdr, control, &with, 1);
	assert_int_equal(sendmsg(fd, &hdr, MSG_NOSIGNAL), VHU_HDR_LEN);
}

static void say(int fd, uint32_t id, int with)
{
	say_quietly(fd, id, with);
	settle();
}

/* The id of the message that fd gives, and what came with it in *ret_fd, or -1. */
static uint32_t hear(int fd, int *ret_fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	uint8_t bytes[VHU_HDR_LEN];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct vhu_msg m;
	int got = -1;

	assert_int_equal(recvmsg(fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), VHU_HDR_LEN);
	if (CMSG_FIRSTHDR(&hdr))
		memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&hdr)), sizeof(got));
	if (ret_fd)
		*ret_fd = got;
	else
		assert_int_equal(got, -1);
	vhu_header_parse(bytes, &m);
	return m.id;
}

static void assert_at_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

/* The proxy */

static void on_end(void *arg)
{
	assert_ptr_equal(arg, &rig);
	rig.n_ended++;
}

static void start(bool once, bool channel)
{
	const struct proxy_options options = {
		.listen = rig.front,
		.connect = rig.back,
		.listen_fd = -1,
		.once = once,
		.channel = channel,
	};
	char why[256];

	if (proxy_new(rig.loop, &options, &rig.sink, &rig.proxy, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	proxy_on_end(rig.proxy, on_end, &rig);
}

static int setup(void **state)
{
	const char *why;

	unit_setup(state);
	memset(&rig, 0, sizeof(rig));
	rig.listener = rig.front_fd = rig.back_fd = -1;
	rig.sink.take = take;
	snprintf(rig.folder, sizeof(rig.folder), "/tmp/vhu-test-XXXXXX");
	assert_non_null(mkdtemp(rig.folder));
	snprintf(rig.front, sizeof(rig.front), "%s/front", rig.folder);
	snprintf(rig.back, sizeof(rig.back), "%s/back", rig.folder);
	if (loop_new(64, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	listen_as_backend();
	return 0;
}

static int teardown(void **state)
{
	if (rig.proxy)
		proxy_close(rig.proxy);
	for (int i = 0; rig.proxy && rig.n_ended == 0 && i < STEPS_MAX; i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
	proxy_free(rig.proxy);
	loop_free(rig.loop);
	fd_close(rig.listener);
	fd_close(rig.front_fd);
	fd_close(rig.back_fd);
	unlink(rig.back);
	/* The proxy's own file is gone, so the folder is empty. */
	assert_int_equal(rmdir(rig.folder), 0);
	return unit_teardown(state);
}

static void messages_pass_both_ways_and_are_told_in_order(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), got;

	(void)state;
	start(false, true);
	connect_both();
	say(rig.front_fd, VHU_FE_SET_OWNER, -1);
	say(rig.front_fd, VHU_FE_SET_VRING_CALL, fd);
	assert_int_equal(hear(rig.back_fd, NULL), VHU_FE_SET_OWNER);
	assert_int_equal(hear(rig.back_fd, &got), VHU_FE_SET_VRING_CALL);
	say(rig.back_fd, VHU_FE_GET_FEATURES, -1);
	assert_int_equal(hear(rig.front_fd, NULL), VHU_FE_GET_FEATURES);
	assert_told("1>3 1>13+eventfd 1<1");
	assert_true(write(got, &(uint64_t){ 7 }, 8) == 8 && read(fd, &(uint64_t){ 0 }, 8) == 8);
	close(got);
	close(fd);
}

static void channel_is_looked_into(void **state)
{
	int pair[2], theirs;

	(void)state;
	start(false, true);
	connect_both();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	say(rig.front_fd, VHU_FE_SET_BACKEND_REQ_FD, pair[1]);
	close(pair[1]);
	assert_int_equal(hear(rig.back_fd, &theirs), VHU_FE_SET_BACKEND_REQ_FD);
	say(theirs, VHU_BE_CONFIG_CHANGE_MSG, -1);
	assert_int_equal(hear(pair[0], NULL), VHU_BE_CONFIG_CHANGE_MSG);
	say(pair[0], VHU_BE_CONFIG_CHANGE_MSG, -1);
	assert_int_equal(hear(theirs, NULL), VHU_BE_CONFIG_CHANGE_MSG);
	assert_told("1>21+socket 1cchannel 1c<2 1c>2");
	/* The back-end closes it: the front-end sees that, and the session goes on. */
	close(theirs);
	settle();
	assert_at_end(pair[0]);
	assert_told("1c<end 1c>end!");
	say(rig.front_fd, VHU_FE_SET_OWNER, -1);
	assert_told("1>3");
	close(pair[0]);
}

static void channel_that_is_not_wanted_passes_untouched(void **state)
{
	int pair[2], theirs;

	(void)state;
	start(false, false);
	connect_both();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	say(rig.front_fd, VHU_FE_SET_BACKEND_REQ_FD, pair[1]);
	close(pair[1]);
	assert_int_equal(hear(rig.back_fd, &theirs), VHU_FE_SET_BACKEND_REQ_FD);
	assert_int_equal(write(theirs, "x", 1), 1);
	assert_int_equal(read(pair[0], &(char){ 0 }, 1), 1);
	assert_told("1>21+socket");
	close(theirs);
	close(pair[0]);
}

static void what_is_no_stream_socket_passes_untouched(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), got;

	(void)state;
	start(false, true);
	connect_both();
	say(rig.front_fd, VHU_FE_SET_BACKEND_REQ_FD, fd);
	assert_int_equal(hear(rig.back_fd, &got), VHU_FE_SET_BACKEND_REQ_FD);
	assert_told("1>21+eventfd");
	close(got);
	close(fd);
}

static void backend_that_refuses_closes_the_frontend(void **state)
{
	char words[256];

	(void)state;
	rig.listener = fd_close(rig.listener);
	start(true, true);
	rig.front_fd = dial();
	settle();
	assert_at_end(rig.front_fd);
	snprintf(words, sizeof(words),
		 "1open 1note(cannot connect to %s: Connection refused) 1>end! 1<end!", rig.back);
	assert_told(words);
	/* That was not the one session. */
	assert_int_equal(rig.n_ended, 0);
	close(rig.front_fd);
	unlink(rig.back);
	listen_as_backend();
	rig.front_fd = dial();
	settle();
	assert_told("2open");
}

static void frontend_that_is_gone_ends_the_session(void **state)
{
	(void)state;
	start(false, true);
	connect_both();
	say(rig.front_fd, VHU_FE_SET_OWNER, -1);
	rig.front_fd = fd_close(rig.front_fd);
	settle();
	assert_int_equal(hear(rig.back_fd, NULL), VHU_FE_SET_OWNER);
	assert_at_end(rig.back_fd);
	assert_told("1>3 1>end 1<end!");
}

static void last_words_of_a_backend_arrive(void **state)
{
	ssize_t n;

	(void)state;
	start(false, true);
	connect_both();
	say(rig.front_fd, VHU_FE_SET_OWNER, -1);
	/* At once, and with a request that it has not read, and another under way. */
	assert_int_equal(write(rig.front_fd, "", 1), 1);
	say_quietly(rig.back_fd, VHU_FE_GET_FEATURES, -1);
	rig.back_fd = fd_close(rig.back_fd);
	settle();
	assert_int_equal(hear(rig.front_fd, NULL), VHU_FE_GET_FEATURES);
	/* As without a proxy: closed, or reset where bytes were left unread. */
	n = recv(rig.front_fd, &(char){ 0 }, 1, MSG_DONTWAIT);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	assert_non_null(strstr(rig.told, "1<1 1<end"));
}

static void half_of_a_connection_goes_on_without_the_other(void **state)
{
	(void)state;
	start(false, true);
	connect_both();
	shutdown(rig.front_fd, SHUT_WR);
	settle();
	assert_at_end(rig.back_fd);
	say(rig.back_fd, VHU_FE_GET_FEATURES, -1);
	assert_int_equal(hear(rig.front_fd, NULL), VHU_FE_GET_FEATURES);
	assert_told("1>end 1<1");
	rig.back_fd = fd_close(rig.back_fd);
	settle();
	assert_at_end(rig.front_fd);
	assert_told("1<end");
}

static void sessions_at_once_are_kept_apart(void **state)
{
	int front, back;

	(void)state;
	start(false, true);
	connect_both();
	front = dial();
	settle();
	back = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC);
	say(front, VHU_FE_SET_OWNER, -1);
	say(rig.front_fd, VHU_FE_RESET_OWNER, -1);
	assert_int_equal(hear(back, NULL), VHU_FE_SET_OWNER);
	assert_int_equal(hear(rig.back_fd, NULL), VHU_FE_RESET_OWNER);
	assert_told("2open 2>3 1>4");
	close(front);
	close(back);
	settle();
}

static void once_ends_after_the_first_session(void **state)
{
	(void)state;
	start(true, true);
	connect_both();
	rig.front_fd = fd_close(rig.front_fd);
	settle();
	assert_int_equal(rig.n_ended, 1);
}

static void close_ends_what_there_is(void **state)
{
	(void)state;
	start(false, true);
	connect_both();
	proxy_close(rig.proxy);
	settle();
	assert_int_equal(rig.n_ended, 1);
	assert_at_end(rig.front_fd);
	assert_at_end(rig.back_fd);
	assert_told("1>end! 1<end!");
}

static void next_frontend_finds_the_last_one_gone_at_the_backend(void **state)
{
	int next;

	(void)state;
	start(false, true);
	connect_both();
	/* Both before the proxy looks. */
	rig.front_fd = fd_close(rig.front_fd);
	next = dial();
	for (int i = 0; i < STEPS_MAX && !strstr(rig.told, "2open"); i++)
		assert_int_equal(loop_step(rig.loop, true), 0);
	assert_at_end(rig.back_fd);
	close(next);
	settle();
}

static void path_that_is_too_long_is_refused(void **state)
{
	char path[200], why[256] = "";
	struct proxy_options options = { .listen = rig.front, .connect = path, .listen_fd = -1 };
	struct proxy *p;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(proxy_new(rig.loop, &options, &rig.sink, &p, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "107"));
}

#define PROXY_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	PROXY_TEST(messages_pass_both_ways_and_are_told_in_order),
	PROXY_TEST(channel_is_looked_into),
	PROXY_TEST(channel_that_is_not_wanted_passes_untouched),
	PROXY_TEST(what_is_no_stream_socket_passes_untouched),
	PROXY_TEST(backend_that_refuses_closes_the_frontend),
	PROXY_TEST(frontend_that_is_gone_ends_the_session),
	PROXY_TEST(last_words_of_a_backend_arrive),
	PROXY_TEST(half_of_a_connection_goes_on_without_the_other),
	PROXY_TEST(sessions_at_once_are_kept_apart),
	PROXY_TEST(once_ends_after_the_first_session),
	PROXY_TEST(close_ends_what_there_is),
	PROXY_TEST(next_frontend_finds_the_last_one_gone_at_the_backend),
	PROXY_TEST(path_that_is_too_long_is_refused),
};

UNIT_MAIN(tests)
