/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * fake-backend HOW SOCKET: a back-end of no device that answers what it has
 * to, and is wrong in one way.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vhu/proto.h"

enum { MAX_PAYLOAD = 4096, MAX_FDS = 16, SLOW_MS = 1000, MAX_SESSIONS = 16, N_EARLY = 50 };

static const char *const ways[] = {
	"good",	    /* in no way */
	"wrong",    /* it acknowledges what it does not know */
	"leak",	    /* SET_VRING_NUM costs a descriptor */
	"crash",    /* SET_VRING_NUM kills it */
	"exit",	    /* SET_VRING_NUM ends it */
	"hang",	    /* SET_VRING_NUM stops it */
	"slow",	    /* SET_VRING_NUM takes its time */
	"once",	    /* it serves one front-end and ends */
	"fail",	    /* it does not start */
	"stubborn", /* it does not mind being asked to end */
	"runaway",  /* the same, in another group; and it has a child in a session of its own */
	"early",    /* it answers before it is asked */
	"leave",    /* SET_VRING_NUM ends the session */
	"shrink",   /* files that it gets lose their bytes */
	"noisy",    /* it ends with the words of a sanitizer */
};

static const char *how;

struct request {
	uint32_t id, flags, size;
	uint8_t payload[MAX_PAYLOAD];
};

static bool is(const char *way)
{
	return strcmp(how, way) == 0;
}

static void close_fds(struct msghdr *hdr)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[MAX_FDS];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > MAX_FDS)
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (is("shrink"))
				(void)!ftruncate(fds[i], 0);
			close(fds[i]);
		}
	}
}

/* All of len bytes; what descriptors come are closed. */
static bool receive(int fd, void *to, size_t len)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;

	for (size_t done = 0; done < len;) {
		struct iovec iov = { (uint8_t *)to + done, len - done };
		struct msghdr hdr = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC);

		if (n <= 0)
			return false;
		close_fds(&hdr);
		done += (size_t)n;
	}
	return true;
}

static bool reply(int fd, const struct request *r, const void *payload, uint32_t size)
{
	uint32_t header[3] = { r->id, 0x5, size };
	uint8_t bytes[64];

	memcpy(bytes, header, sizeof(header));
	memcpy(bytes + sizeof(header), payload, size);
	return send(fd, bytes, sizeof(header) + size, MSG_NOSIGNAL) >= 0;
}

static bool reply_u64(int fd, const struct request *r, uint64_t value)
{
	return reply(fd, r, &value, sizeof(value));
}

static void go_wrong(void)
{
	struct timespec delay = { SLOW_MS / 1000, SLOW_MS % 1000 * 1000000 };

	if (is("leak"))
		(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (is("crash")) {
		signal(SIGSEGV, SIG_DFL); /* no sanitizer's */
		raise(SIGSEGV);
	}
	if (is("exit"))
		exit(5);
	while (is("hang"))
		pause();
	if (is("slow"))
		nanosleep(&delay, NULL);
}

static bool answer(int fd, const struct request *r)
{
	bool known = vhu_desc_find(VHU_FE, r->id) != NULL;

	switch (r->id) {
	case VHU_FE_GET_FEATURES:
		return reply_u64(fd, r,
				 UINT64_C(1) << VHU_F_PROTOCOL_FEATURES_BIT | UINT64_C(1) << 32);
	case VHU_FE_GET_PROTOCOL_FEATURES:
		return reply_u64(fd, r, UINT64_C(1) << VHU_PF_REPLY_ACK_BIT);
	case VHU_FE_GET_QUEUE_NUM:
		return reply_u64(fd, r, 1);
	case VHU_FE_GET_VRING_BASE:
		return reply(fd, r, r->payload, 8);
	case VHU_FE_SET_VRING_NUM:
		go_wrong();
		if (is("leave"))
			return false;
		break;
	default:
		break;
	}
	if (r->flags & 0x8)
		return reply_u64(fd, r, !known && !is("wrong"));
	return true;
}

/* One request; false when the session is over. */
static bool serve(int fd)
{
	struct request r;
	uint32_t header[3];

	if (!receive(fd, header, sizeof(header)))
		return false;
	r = (struct request){ .id = header[0], .flags = header[1], .size = header[2] };
	return (r.flags & 0x7) == 1 && r.size <= MAX_PAYLOAD && receive(fd, r.payload, r.size) &&
	       answer(fd, &r);
}

/* A session that begins. */
static int take(int listener)
{
	static const struct request unasked = { .id = VHU_FE_GET_FEATURES };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	for (unsigned int i = 0; i < N_EARLY && is("early"); i++)
		answer(fd, &unasked);
	return fd;
}

/* Several front-ends at once, until there has been one and it has to be the last. */
static void serve_all(int listener)
{
	struct pollfd fds[1 + MAX_SESSIONS] = { { .fd = listener, .events = POLLIN } };
	nfds_t n = 1;

	while (poll(fds, n, -1) > 0) {
		for (nfds_t i = n - 1; i > 0; i--) {
			if (!fds[i].revents || serve(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
			if (is("once"))
				return;
		}
		if (fds[0].revents && n < sizeof(fds) / sizeof(fds[0]))
			fds[n++] = (struct pollfd){
				.fd = take(listener),
				.events = POLLIN,
			};
	}
}

static void on_end(int number)
{
	static const char words[] = "x.c:1:1: runtime error: made up\n";

	(void)number;
	(void)!write(STDERR_FILENO, words, sizeof(words) - 1);
	_exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, path, strlen(path));
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		return -1;
	return fd;
}

static bool is_known(const char *way)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i], way) == 0)
			return true;
	return false;
}

static void run_away(void)
{
	signal(SIGTERM, SIG_IGN);
	if (fork() == 0) {
		setsid();
		for (;;)
			pause();
	}
	(void)setpgid(0, getpgid(getppid()));
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3 || !is_known(argv[1])) {
		fputs("usage: fake-backend HOW SOCKET\n", stderr);
		return 2;
	}
	how = argv[1];
	if (is("fail")) {
		fputs("fake-backend: it does not start\n", stderr);
		return 3;
	}
	if (is("stubborn"))
		signal(SIGTERM, SIG_IGN);
	if (is("runaway"))
		run_away();
	if (is("noisy"))
		signal(SIGTERM, on_end);
	listener = listen_at(argv[2]);
	if (listener < 0) {
		fprintf(stderr, "fake-backend: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	serve_all(listener);
	return 0;
}
