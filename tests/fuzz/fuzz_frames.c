/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages with descriptors put together by a connection on the loop. Input:
 * pieces, each sent by a call of its own
 *
 *	1 byte	how many bytes, 0 to 63; 64: the other end looks before the next;
 *		128: descriptors come along
 *	1 byte	if they do: how many, 1 to 9 (modulo 9, and one)
 *	the bytes
 *
 * The message that arrives is the one of the stream, whole; its descriptors
 * are those sent with the first bytes of its header, or others sent with that header
 * before it was read; and none is taken for another message's.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "fuzz.h"

#include "log.h"
#include "vhu/codec.h"
#include "vhu/conn.h"

enum { STREAM_MAX = 1 << 16, FILES = 4, SENT_MAX = 512, STEPS_MAX = 10000 };

/* Descriptors that were sent: at which byte of the stream, and of which file. */
struct sent {
	size_t at;
	unsigned int n;
	ino_t file;
};

static struct {
	struct loop *loop;
	int files[FILES];
	ino_t inodes[FILES];

	struct vhu_conn conn;
	int peer;
	uint8_t stream[STREAM_MAX];
	size_t n_sent, n_received;
	struct sent sent[SENT_MAX];
	unsigned int n_fds;
	bool ended, closed;
} fuzz;

static enum vhu_rule on_header(struct vhu_conn *conn, const struct vhu_msg *msg)
{
	(void)conn;
	return msg->size > VHU_MAX_PAYLOAD ? VHU_RULE_PAYLOAD_LIMIT : VHU_OK;
}

/* How many descriptors of that file came along with the bytes from..to. */
static unsigned int n_sent_within(ino_t file, size_t from, size_t to)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fuzz.n_fds; i++)
		if (fuzz.sent[i].at >= from && fuzz.sent[i].at < to && fuzz.sent[i].file == file)
			n += fuzz.sent[i].n;
	return n;
}

static void check_fds(const struct fdset *fds, size_t from)
{
	for (unsigned int i = 0; i < FILES; i++) {
		unsigned int n = 0;
		struct stat st;

		for (unsigned int k = 0; k < fds->n_fds; k++) {
			must(fstat(fds->fd[k], &st) == 0);
			must(fcntl(fds->fd[k], F_GETFD) & FD_CLOEXEC);
			n += st.st_ino == fuzz.inodes[i];
		}
		must(n <= n_sent_within(fuzz.inodes[i], from, from + VHU_HDR_LEN));
	}
	/* What came with its first byte is there. */
	for (unsigned int i = 0; i < fuzz.n_fds; i++)
		must(fuzz.sent[i].at != from || fds->n_fds >= fuzz.sent[i].n);
}

static void on_message(struct vhu_conn *conn, struct vhu_msg *msg)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len = vhu_msg_pack(msg, bytes), from = fuzz.n_received;

	must(!fuzz.ended && len <= fuzz.n_sent - from);
	must(memcmp(bytes, fuzz.stream + from, len) == 0);
	must(msg->fds.n_fds <= FDSET_MAX);
	check_fds(&msg->fds, from);
	fuzz.n_received += len;
	vhu_conn_read(conn);
}

static void on_ended(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	(void)conn;
	must(!fuzz.ended && err <= 0 && rule < VHU_N_RULES);
	fuzz.ended = true;
}

static void on_closed(struct vhu_conn *conn)
{
	must(conn->fd == -1);
	fuzz.closed = true;
}

static const struct vhu_conn_ops ops = { on_header, on_message, NULL, on_ended };

static void make_once(void)
{
	const char *why = "";
	struct stat st;

	signal(SIGPIPE, SIG_IGN);
	must(loop_new(64, &fuzz.loop, &why) == 0);
	for (unsigned int i = 0; i < FILES; i++) {
		fuzz.files[i] = fuzz_file(1);
		must(fstat(fuzz.files[i], &st) == 0);
		fuzz.inodes[i] = st.st_ino;
	}
}

static void run_loop(void)
{
	for (unsigned int n_idle = 0, n = 0; n_idle < 2; n++) {
		uint64_t before = loop_counters(fuzz.loop).n_completions;

		must(n < STEPS_MAX && loop_step(fuzz.loop, false) == 0);
		n_idle = loop_counters(fuzz.loop).n_completions == before ? n_idle + 1 : 0;
	}
}

/* Which file: each piece has another one than its neighbours. */
static void send_piece(const uint8_t *bytes, size_t len, unsigned int n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((FDSET_MAX + 1) * sizeof(int))] = { 0 };
	unsigned int which = fuzz.n_fds % FILES;
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FDSET_MAX + 1];

	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = fuzz.files[which];
	if (n_fds > 0)
		fd_attach(&hdr, control, fds, n_fds);
	if (sendmsg(fuzz.peer, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		must(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
		fuzz.ended = true; /* no more of this stream is looked at */
		return;
	}
	if (n_fds > 0)
		fuzz.sent[fuzz.n_fds++] = (struct sent){ fuzz.n_sent, n_fds, fuzz.inodes[which] };
	memcpy(fuzz.stream + fuzz.n_sent, bytes, len);
	fuzz.n_sent += len;
}

static void send_all(struct input *in)
{
	while (in->left > 0 && !fuzz.ended && fuzz.n_fds < SENT_MAX) {
		uint8_t head = input_u8(in);
		unsigned int n_fds = head & 128 ? 1u + input_u8(in) % (FDSET_MAX + 1) : 0;
		size_t len;
		const uint8_t *bytes = input_take(in, head & 63, &len);

		if (len > 0 && fuzz.n_sent + len <= STREAM_MAX)
			send_piece(bytes, len, n_fds);
		if (head & 64)
			run_loop();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_fds open_fds;
	struct input in = { data, size };
	int fds[2];

	if (!fuzz.loop)
		make_once();
	fuzz_fds_begin(&open_fds);
	fuzz.n_sent = fuzz.n_received = fuzz.n_fds = 0;
	fuzz.ended = fuzz.closed = false;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	fuzz.peer = fds[1];
	vhu_conn_init(&fuzz.conn, fuzz.loop, fds[0], VHU_FE, &ops);
	vhu_conn_read(&fuzz.conn);
	send_all(&in);
	run_loop();
	close(fuzz.peer);
	vhu_conn_close(&fuzz.conn, on_closed);
	for (unsigned int n = 0; !fuzz.closed; n++)
		must(n < STEPS_MAX && loop_step(fuzz.loop, false) == 0);
	fuzz_fds_end(&open_fds);
	return 0;
}
