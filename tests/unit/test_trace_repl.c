/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "trace/repl/repl.h"
#include "vhu/codec.h"
#include "virtio/features.h"

enum { ANSWER_MS = 5000, SHORT_MS = 60, OFFERED_PROTOCOL = 0x29, CHANNEL_REQUEST = 2 };

/* A back-end in a process of its own, by whose word nothing is wrong but what is asked for. */

struct played {
	int sock, channel;
	struct vhu_msg msg;
	int fd; /* that came with it; -1: none */
};

static void played_send(int sock, const struct vhu_msg *m, int fd)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct iovec iov = { bytes, vhu_msg_pack(m, bytes) };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0)
		fd_attach(&hdr, control.space, &fd, 1);
	if (sendmsg(sock, &hdr, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void reply_u64(struct played *p, uint64_t value)
{
	struct vhu_msg reply;

	vhu_msg_init_reply(&reply, &p->msg);
	vhu_msg_put_u64(&reply, value);
	played_send(p->sock, &reply, -1);
}

/* False at the end of the stream. */
static bool played_receive(struct played *p)
{
	uint8_t hdr[VHU_HDR_LEN];
	struct iovec iov = { hdr, sizeof(hdr) };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};

	p->fd = -1;
	vhu_msg_init(&p->msg, VHU_FE, 0);
	if (recvmsg(p->sock, &msg, MSG_WAITALL) != sizeof(hdr) ||
	    vhu_header_parse(hdr, &p->msg) < 0)
		return false;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&p->fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(p->fd));
	return p->msg.size == 0 ||
	       recv(p->sock, p->msg.payload, p->msg.size, MSG_WAITALL) == (ssize_t)p->msg.size;
}

static void open_channel(struct played *p)
{
	struct vhu_msg m;

	p->channel = p->fd;
	p->fd = -1;
	vhu_msg_init(&m, VHU_BE, CHANNEL_REQUEST);
	m.flags |= VHU_FLAG_NEED_REPLY;
	played_send(p->channel, &m, -1);
}

/* The answer to the channel's request is the number of rings. */
static void tell_answer(struct played *p)
{
	uint8_t answer[VHU_HDR_LEN + 8];
	uint64_t value = 99;

	if (p->channel >= 0 &&
	    recv(p->channel, answer, sizeof(answer), MSG_WAITALL) == (ssize_t)sizeof(answer))
		memcpy(&value, answer + VHU_HDR_LEN, sizeof(value));
	reply_u64(p, value);
}

static void give_inflight(struct played *p)
{
	static const struct vhu_inflight about = { .mmap_size = 64, .num_queues = 1 };
	struct vhu_msg reply;
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	vhu_msg_init_reply(&reply, &p->msg);
	vhu_msg_put(&reply, &about, sizeof(about));
	played_send(p->sock, &reply, ftruncate(fd, 64) < 0 ? -1 : fd);
}

/* True: it was one of those that have something to them. */
static bool played_special(struct played *p)
{
	static const uint64_t three = 3;

	switch (p->msg.id) {
	case VHU_FE_GET_FEATURES:
		reply_u64(p, BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT));
		return true;
	case VHU_FE_GET_PROTOCOL_FEATURES:
		reply_u64(p, OFFERED_PROTOCOL | BIT(VHU_PF_INFLIGHT_SHMFD_BIT) |
				     BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT));
		return true;
	case VHU_FE_GET_QUEUE_NUM:
		tell_answer(p);
		return true;
	case VHU_FE_GET_MAX_MEM_SLOTS: /* no answer */
		return true;
	case VHU_FE_GET_STATUS: /* a reply that is too short */
		vhu_msg_init_reply(&p->msg, &p->msg);
		played_send(p->sock, &p->msg, -1);
		return true;
	case VHU_FE_RESET_OWNER: /* a reply that nobody asked for */
		reply_u64(p, 1);
		return true;
	case VHU_FE_GET_INFLIGHT_FD:
		give_inflight(p);
		return true;
	case VHU_FE_SET_VRING_CALL:
		if (write(p->fd, &three, sizeof(three)) != sizeof(three))
			_exit(1);
		return true;
	case VHU_FE_SET_BACKEND_REQ_FD:
		open_channel(p);
		return true;
	case VHU_FE_GET_VRING_BASE: /* anything but the answer, for as long as somebody reads */
		p->msg.id = VHU_FE_SET_OWNER;
		for (;;)
			reply_u64(p, 0);
	default:
		return false;
	}
}

/* What it acknowledges: all but ring 7. It leaves for an unknown request, and half a message. */
static void played_session(int sock)
{
	struct played p = { .sock = sock, .channel = -1, .fd = -1 };
	uint32_t ring = 0;

	while (played_receive(&p)) {
		if (p.msg.id == 98 && write(sock, "half", 4) != 4)
			break;
		if (p.msg.id > 90)
			break;
		if (!played_special(&p) && (p.msg.flags & VHU_FLAG_NEED_REPLY))
			reply_u64(&p, vhu_msg_ring(&p.msg, &ring) && ring == 7);
		fd_close(p.fd);
	}
	fd_close(p.channel);
	fd_close(sock);
}

static pid_t start_played(int listener)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		played_session(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

/* A repl on it. */

struct rig {
	pid_t backend;
	char name[32];
	char *said, *complained; /* to out, and to stderr */
};

static struct rig *rig_new(void)
{
	static unsigned int n;
	struct rig *rig = calloc(1, sizeof(*rig));
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len;

	assert_non_null(rig);
	snprintf(rig->name, sizeof(rig->name), "@vhu-repl-%d-%u", (int)getpid(), n++);
	len = offsetof(struct sockaddr_un, sun_path) + strlen(rig->name);
	memcpy(addr.sun_path + 1, rig->name + 1, strlen(rig->name) - 1);
	assert_int_equal(bind(listener, (const struct sockaddr *)&addr, (socklen_t)len), 0);
	assert_int_equal(listen(listener, 4), 0);
	rig->backend = start_played(listener);
	fd_close(listener);
	return rig;
}

static void rig_free(struct rig *rig)
{
	kill(rig->backend, SIGKILL);
	waitpid(rig->backend, NULL, 0);
	free(rig->said);
	free(rig->complained);
	free(rig);
}

/* All that was written to file, as a string. */
static char *text_of(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)len + 1);

	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)len, 0), len);
	return text;
}

static int run_with(struct rig *rig, const char *script, struct repl_options options)
{
	AUTO_FD int errors = memfd_create("errors", MFD_CLOEXEC);
	AUTO_FD int before = dup(STDERR_FILENO);
	size_t len;
	int status;

	free(rig->said);
	free(rig->complained);
	options.socket = rig->name;
	options.in = fmemopen((char *)(uintptr_t)script, strlen(script), "r");
	options.out = open_memstream(&rig->said, &len);
	if (options.timeout_ms == 0)
		options.timeout_ms = ANSWER_MS;
	assert_non_null(options.in);
	assert_non_null(options.out);
	fflush(stderr);
	assert_true(dup2(errors, STDERR_FILENO) >= 0);
	status = repl_run(&options);
	fflush(stderr);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	fclose(options.in);
	fclose(options.out);
	rig->complained = text_of(errors);
	return status;
}

static void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected %s in:\n%s", part, text);
}

/* The script ends with this status, having said these parts. */
static void assert_run(const char *script, int status, const char *said, const char *complained)
{
	struct rig *rig = rig_new();
	int got = run_with(rig, script, (struct repl_options){ .timeout_ms = 0 });

	if (got != status)
		fail_msg("status %d, not %d:\n%s%s", got, status, rig->said, rig->complained);
	assert_part(rig->said, said);
	assert_part(rig->complained, complained);
	if (!*complained)
		assert_string_equal(rig->complained, "");
	rig_free(rig);
}

#define AGREE                                                                                      \
	"GET_FEATURES\nGET_PROTOCOL_FEATURES\n"                                                    \
	"SET_PROTOCOL_FEATURES MQ|REPLY_ACK|BACKEND_REQ|INFLIGHT_SHMFD|CONFIGURE_MEM_SLOTS|"       \
	"STATUS\n"                                                                                 \
	"SET_FEATURES VERSION_1|PROTOCOL_FEATURES\n"

static void reply_when_due_is_awaited(void **state)
{
	(void)state;
	assert_run("# a comment\n\nGET_FEATURES\nexpect VERSION_1\n", 0,
		   "-> GET_FEATURES\n<- GET_FEATURES reply value=0x140000000[", "");
	assert_run(AGREE "SET_VRING_NUM index=0 \\\n\tnum=4 need_reply\nexpect value=0\n", 0,
		   "<- SET_VRING_NUM reply value=0\n", "");
}

static void reply_when_it_does_not_come_is_an_error(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, AGREE "GET_MAX_MEM_SLOTS\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained, "line 5: GET_MAX_MEM_SLOTS: no reply came in time\n");
	assert_int_equal(run_with(rig, AGREE "break-rules on\nGET_MAX_MEM_SLOTS\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 0);
	assert_part(rig->said, "-- GET_MAX_MEM_SLOTS: no reply came in time\n");
	rig_free(rig);
}

static void reply_when_others_come_without_end_is_given_up(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, AGREE "GET_VRING_BASE index=0\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained, "line 5: GET_VRING_BASE: no reply came in time\n");
	rig_free(rig);
	rig = rig_new();
	assert_int_equal(run_with(rig,
				  AGREE "break-rules on\nGET_VRING_BASE index=0\nexpect-closed\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained, "line 7: expected the end of the connection, it is open\n");
	rig_free(rig);
}

static void reply_when_it_breaks_a_rule_is_an_error(void **state)
{
	(void)state;
	assert_run(AGREE "GET_STATUS\n", 1, "<- GET_STATUS reply missing=8\n!! REPLY_SIZE: ",
		   "line 5: GET_STATUS: the reply breaks a rule\n");
}

static void reply_when_it_refuses_changes_nothing(void **state)
{
	(void)state;
	assert_run(AGREE "SET_VRING_NUM index=7 num=4 need_reply\n"
			 "SET_VRING_NUM index=1 num=4 need_reply\nexpect value=0\nshow\n",
		   0, "-- that means: refused\n", "");
	assert_run(AGREE "SET_VRING_NUM index=7 num=4 need_reply\nSET_VRING_NUM index=1 num=4\n"
			 "show\n",
		   0, "STATUS\nring 1: 4 entries\n", "");
}

static void message_when_nobody_asked_is_shown(void **state)
{
	(void)state;
	assert_run(AGREE "RESET_OWNER\nGET_FEATURES\n", 0, "<- RESET_OWNER reply value=1\n", "");
	assert_run("RESET_OWNER\nexpect RESET_OWNER value=1\nexpect-none 20\n", 0,
		   "<- RESET_OWNER reply value=1\n", "");
	assert_run("RESET_OWNER\nexpect-none 5000\n", 1, "", "expected nothing, something came");
}

static void rules_when_broken_are_told_before_anything_is_sent(void **state)
{
	(void)state;
	assert_run("SET_VRING_NUM index=0 num=3\n", 2, "",
		   "line 1: SET_VRING_NUM breaks NUM_POWER: the size of a split ring is a power of "
		   "two (VU-084)");
	assert_run("break-rules on\nSET_VRING_NUM index=0 num=3\n", 0,
		   "!! NUM_POWER: the size of a split ring is a power of two (VU-084)\n"
		   "-> SET_VRING_NUM index=0 num=3\n",
		   "");
}

static void connection_when_it_ends_is_told(void **state)
{
	(void)state;
	assert_run("break-rules on\n99\nexpect-closed\n", 0,
		   "<- the back-end has closed the connection\n", "");
	assert_run("break-rules on\n98\nexpect-closed\n", 0,
		   "<- 4 bytes that make no message\n<- the back-end has closed the connection\n",
		   "");
	assert_run("break-rules on\n99\nexpect-closed\nGET_FEATURES\n", 1, "",
		   "line 4: connection 0 is closed; \"connect 1\" makes one\n");
}

static void message_when_the_connection_is_closed_is_not_shown_as_sent(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, "connect 1\nuse 0\nclose 0\nGET_FEATURES\n",
				  (struct repl_options){ .hex = false }),
			 1);
	assert_part(rig->complained, "line 4: connection 0 is closed; \"connect 2\" makes one\n");
	assert_null(strstr(rig->said, "->"));
	assert_int_equal(run_with(rig, AGREE "channel\nexpect CONFIG_CHANGE_MSG\nclose 0\nanswer\n",
				  (struct repl_options){ .hex = false }),
			 1);
	assert_part(rig->complained, "line 8: the channel of connection 0 is closed\n");
	assert_null(strstr(rig->said, "=>"));
	rig_free(rig);
}

static void connection_when_used_again_is_as_it_was(void **state)
{
	(void)state;
	/* The back-end serves one at a time; what is known needs nothing of it. */
	assert_run("GET_FEATURES\nconnect 1\nuse 0\nexpect VERSION_1\nshow\n", 0,
		   "-- connection 1 begins\n-- messages go to connection 1\n"
		   "-- messages go to connection 0\nconnection 0\n"
		   "features offered: PROTOCOL_FEATURES VERSION_1\n",
		   "");
	assert_run("GET_FEATURES\nconnect 1\nexpect VERSION_1\n", 1, "", "nothing has come");
	assert_run("connect 1\nuse 0\nGET_FEATURES\nexpect VERSION_1\n", 0, "<- GET_FEATURES", "");
	assert_run("connect 1\nclose 0\nuse 0\n", 0,
		   "-- messages go to connection 0, which is closed\n", "");
	assert_run("use 3\n", 2, "", "there is no connection 3 so far");
	assert_run("use\n", 2, "", "expected use C");
}

static void channel_when_another_connection_has_one_too_stays(void **state)
{
	(void)state;
	assert_run(AGREE
		   "channel\nexpect CONFIG_CHANGE_MSG\nclose 0\nconnect 1\n" AGREE "channel\n"
		   "expect CONFIG_CHANGE_MSG\nanswer 7\nGET_QUEUE_NUM\nexpect value=7\nshow\n",
		   0, "\nchannel: ", "");
}

static void connection_when_it_should_end_and_does_not_is_an_error(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, "GET_FEATURES\nexpect-closed\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained, "line 2: expected the end of the connection, it is open\n");
	rig_free(rig);
}

static void connection_when_made_again_knows_nothing(void **state)
{
	(void)state;
	assert_run(AGREE "close 0\nconnect 1\nGET_FEATURES\nexpect VERSION_1\nshow\n", 0,
		   "connection 1\nfeatures offered: PROTOCOL_FEATURES VERSION_1\n"
		   "features accepted: none\n",
		   "");
}

static void channel_when_open_shows_requests_and_takes_answers(void **state)
{
	(void)state;
	assert_run(AGREE "channel\nexpect BACKEND_CONFIG_CHANGE_MSG need_reply\nanswer 5\n"
			 "GET_QUEUE_NUM\nexpect value=5\n",
		   0, "<= BACKEND_CONFIG_CHANGE_MSG need_reply\n", "");
	assert_run(AGREE "channel\nexpect CONFIG_CHANGE_MSG\nanswer\nanswer\n", 2,
		   "-- it waits for an answer\n=> BACKEND_CONFIG_CHANGE_MSG reply value=0\n",
		   "the back-end waits for no answer");
}

static void descriptors_when_they_come_get_names(void **state)
{
	(void)state;
	assert_run(AGREE "GET_INFLIGHT_FD num_queues=1 queue_size=4\nexpect fds=1 mmap_size=64\n"
			 "SET_INFLIGHT_FD mmap_size=64 num_queues=1 queue_size=4 fds=fd1 "
			 "need_reply\nexpect value=0\n",
		   0, "-- with it came fd1: memfd:inflight, 64 B\n", "");
}

static void eventfds_when_counted_are_awaited(void **state)
{
	(void)state;
	assert_run("eventfd c\nSET_VRING_CALL ring=0 fds=c\nawait c\nsilent c 10\n", 0,
		   "-- c has counted 3\n-- c is silent\n", "");
	assert_run("eventfd c\nkick c\nsilent c 10\n", 1, "",
		   "line 3: expected silence of c, it counted 1\n");
}

static void memory_when_read_is_shown(void **state)
{
	(void)state;
	assert_run("memory m 64\nwrite m 0x8 48656c6c6f0a ff\nread m 0 20\n", 0,
		   "    00000000  00 00 00 00 00 00 00 00  48 65 6c 6c 6f 0a ff 00  "
		   "........Hello...\n"
		   "    00000010  00 00 00 00                                       ....\n",
		   "");
	assert_run("memory m 64\nread m 60 8\n", 2, "", "m ends before 0x44");
	assert_run("memory m 64\nawait16 m 0 0\ncheck16 m 2 1\n", 1, "",
		   "line 3: the index at 2 of m is 0; expected was 1\n");
}

static void writes_when_past_the_end_are_wrong(void **state)
{
	(void)state;
	assert_run("memory ram 0x1000\nwrite ram 0xfff 0102\n", 2, "",
		   "line 2: ram ends at 0x1000, 2 bytes at 0xfff go past that; \"resize ram SIZE\" "
		   "makes room\n");
}

static void expectations_when_another_came_name_it(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, "GET_FEATURES\nexpect GET_QUEUE_NUM\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained,
		    "line 2: expected GET_QUEUE_NUM, got GET_FEATURES reply value=0x");
	assert_part(rig->complained, ", and nothing else in time\n");
	assert_int_equal(run_with(rig, "expect GET_QUEUE_NUM\n",
				  (struct repl_options){ .timeout_ms = SHORT_MS }),
			 1);
	assert_part(rig->complained, "line 1: expected GET_QUEUE_NUM, nothing came in time\n");
	assert_int_equal(run_with(rig, "GET_FEATURES\nbreak-rules on\n99\nexpect GET_QUEUE_NUM\n",
				  (struct repl_options){ .hex = false }),
			 1);
	assert_part(rig->complained, "line 4: expected GET_QUEUE_NUM, the connection has ended\n");
	rig_free(rig);
}

static void names_when_in_small_letters_are_known(void **state)
{
	(void)state;
	assert_run("get_features\nexpect Get_Features version_1\nset_features version_1\n", 0,
		   "-> SET_FEATURES value=0x100000000[VERSION_1]\n", "");
}

static void expectations_when_not_met_are_told(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "expect value=0x1", "expected value=0x1, got GET_FEATURES reply value=0x14" },
		{ "expect VERSION_1|bit5", "expected VERSION_1|bit5, got GET_FEATURES" },
		{ "expect GET_FEATURES reply fds=1", "expected fds=1, got" },
		{ "expect need_reply", "expected need_reply, got" },
		{ "expect size=7", "expected size=7, got" },
	};
	char script[128];

	(void)state;
	assert_run("GET_FEATURES\nexpect GET_FEATURES reply size=8 value=0x140000000 fds=0\n", 0,
		   "", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(script, sizeof(script), "GET_FEATURES\n%s\n", rows[i].line);
		assert_run(script, 1, "", rows[i].why);
	}
	assert_run("expect value=1\n", 1, "", "nothing has come");
}

static void statements_when_wrong_end_the_script(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "fly", "line 1: fly is neither a message nor a statement" },
		{ "fly\033[2J", "line 1: fly" },
		{ "SET_VRING_NUM x=1", "line 1: x is no field of it; expected index, num" },
		{ "SET_LOG_FD fds=m", "line 1: nothing is called m" },
		{ "GET_FEATURES\nquit 1", "line 2: expected quit" },
		{ "GET_FEATURES\nexpect x=1", "line 2: x is no field" },
		{ "expect-none x", "line 1: expected a number, not x" },
		{ "expect-none 99999999", "line 1: at most 60000 ms" },
		{ "break-rules perhaps", "line 1: expected on or off" },
		{ "help fly", "line 1: there is no help about fly" },
		{ "read m 0 1", "line 1: nothing is called m" },
		{ "memory m 4\nawait m", "line 2: m is no eventfd" },
		{ "await e", "line 1: nothing is called e" },
		{ "memory m", "line 1: memory has at least 2" },
		{ "help 7", "line 1: there is no help about 7" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_run(rows[i].line, 2, "", rows[i].why);
	}
}

static void errors_when_they_quote_have_no_controls(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	assert_int_equal(run_with(rig, "fly\033[2J\n", (struct repl_options){ .hex = false }), 2);
	assert_null(strchr(rig->complained, '\033'));
	rig_free(rig);
}

static void script_when_it_quits_goes_no_further(void **state)
{
	(void)state;
	assert_run("GET_FEATURES\nquit\nfly\n", 0, "<- GET_FEATURES", "");
}

static void user_when_wrong_may_go_on(void **state)
{
	struct rig *rig = rig_new();
	AUTO_FD int fd = memfd_create("typed", MFD_CLOEXEC);
	static const char typed[] = "fly\nGET_FEATURES\nquit\n";
	struct repl_options options = { .socket = rig->name, .interactive = true };
	size_t len;

	(void)state;
	assert_int_equal(write(fd, typed, sizeof(typed) - 1), sizeof(typed) - 1);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	options.in = fdopen(dup(fd), "r");
	options.out = open_memstream(&rig->said, &len);
	assert_int_equal(repl_run(&options), 0);
	fclose(options.in);
	fclose(options.out);
	assert_part(rig->said, "vhu> -> GET_FEATURES\n<- GET_FEATURES reply");
	rig_free(rig);
}

static void help_when_asked_for_tells_all(void **state)
{
	(void)state;
	assert_run("help\n", 0, "  quit                        the end\n", "");
	assert_run("help SET_VRING_KICK\n", 0, "SET_VRING_KICK (12): give a ring's kick", "");
	assert_run("help VRING_CALL\n", 0, "BACKEND_VRING_CALL (4): say that", "");
	assert_run("help await16\n", 0, "  await16 NAME AT VALUE", "");
	assert_run("help\n", 0, "connection that connect or use chose last (0 at first)", "");
	assert_run("help mq\n", 0,
		   "MQ (bit 0, 0x1): a protocol feature (SET_PROTOCOL_FEATURES)\n with it ", "");
	assert_run("help MQ\n", 0, " needed by: GET_QUEUE_NUM\n", "");
	assert_run("help VERSION_1\n", 0, "VERSION_1 (bit 32, 0x100000000): a feature (", "");
	assert_run("help DRIVER_OK\n", 0, "DRIVER_OK (bit 2, 0x4): a bit of the status (", "");
	assert_run("messages\n", 0, "  13 SET_VRING_CALL", "");
}

static void backend_when_there_is_none_is_an_error(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	strcpy(rig->name, "/nowhere/at-all");
	assert_int_equal(run_with(rig, "GET_FEATURES\n", (struct repl_options){ .hex = false }), 1);
	assert_part(rig->complained,
		    "a connection to /nowhere/at-all: No such file or directory\n");
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(reply_when_due_is_awaited),
	UNIT_TEST(reply_when_it_does_not_come_is_an_error),
	UNIT_TEST(reply_when_others_come_without_end_is_given_up),
	UNIT_TEST(reply_when_it_breaks_a_rule_is_an_error),
	UNIT_TEST(reply_when_it_refuses_changes_nothing),
	UNIT_TEST(message_when_nobody_asked_is_shown),
	UNIT_TEST(rules_when_broken_are_told_before_anything_is_sent),
	UNIT_TEST(connection_when_it_ends_is_told),
	UNIT_TEST(message_when_the_connection_is_closed_is_not_shown_as_sent),
	UNIT_TEST(connection_when_it_should_end_and_does_not_is_an_error),
	UNIT_TEST(connection_when_made_again_knows_nothing),
	UNIT_TEST(connection_when_used_again_is_as_it_was),
	UNIT_TEST(channel_when_open_shows_requests_and_takes_answers),
	UNIT_TEST(channel_when_another_connection_has_one_too_stays),
	UNIT_TEST(descriptors_when_they_come_get_names),
	UNIT_TEST(eventfds_when_counted_are_awaited),
	UNIT_TEST(memory_when_read_is_shown),
	UNIT_TEST(writes_when_past_the_end_are_wrong),
	UNIT_TEST(expectations_when_another_came_name_it),
	UNIT_TEST(expectations_when_not_met_are_told),
	UNIT_TEST(names_when_in_small_letters_are_known),
	UNIT_TEST(statements_when_wrong_end_the_script),
	UNIT_TEST(errors_when_they_quote_have_no_controls),
	UNIT_TEST(script_when_it_quits_goes_no_further),
	UNIT_TEST(user_when_wrong_may_go_on),
	UNIT_TEST(help_when_asked_for_tells_all),
	UNIT_TEST(backend_when_there_is_none_is_an_error),
};

UNIT_MAIN(tests)
