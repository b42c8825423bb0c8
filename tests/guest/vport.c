/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Runs inside a test guest: what Linux promises to programs that use a virtio
 * port's device, tried from there. vport CHECK DEVICE [ARGUMENT]; prints one
 * line of words and ends with status 0, or says what was wrong and ends with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	WAIT_SECONDS = 20,
	CHUNK = 32 * 1024,
};

static const char *path;
static const char *argument;

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int expect_errno(const char *what, long result, int expected)
{
	if (result < 0 && errno == expected) {
		puts(what);
		return 0;
	}
	printf("%s: result %ld, errno %d (%s), expected errno %d\n", what, result, errno,
	       strerror(errno), expected);
	return 1;
}

static int open_port(int flags)
{
	return open(path, O_RDWR | O_CLOEXEC | flags);
}

static int check_open(void)
{
	int fd = open_port(0);

	if (fd < 0)
		return fail("open");
	if (close(fd) < 0)
		return fail("close");
	puts("open");
	return 0;
}

/* A port has one user at a time. */
static int check_busy(void)
{
	int fd = open_port(0);

	if (fd < 0)
		return fail("open");
	return expect_errno("busy", open_port(0), EBUSY);
}

/* A port that is a console, or is unplugged, cannot be opened. */
static int check_no_device(void)
{
	return expect_errno("no device", open_port(0), ENXIO);
}

static int check_lseek(void)
{
	int fd = open_port(0);

	if (fd < 0)
		return fail("open");
	return expect_errno("not seekable", lseek(fd, 20, SEEK_SET), ESPIPE);
}

static void print_events(short events)
{
	static const struct {
		short bit;
		const char *name;
	} names[] = {
		{ POLLIN, "in" }, { POLLOUT, "out" }, { POLLHUP, "hup" }, { POLLERR, "err" }
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (events & names[i].bit)
			printf("%s ", names[i].name);
	puts(".");
}

/* What poll says now. */
static int check_poll(void)
{
	struct pollfd p = { .fd = open_port(O_NONBLOCK), .events = POLLIN | POLLOUT };

	if (p.fd < 0)
		return fail("open");
	if (poll(&p, 1, 0) < 0)
		return fail("poll");
	print_events(p.revents);
	return 0;
}

/* Sleeps in poll until there is input; takes it. */
static int check_poll_input(void)
{
	struct pollfd p = { .fd = open_port(O_NONBLOCK), .events = POLLIN };
	char buf[256];
	ssize_t n;

	if (p.fd < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	do {
		if (poll(&p, 1, WAIT_SECONDS * 1000) <= 0)
			return fail("poll");
	} while (!(p.revents & POLLIN) && !(p.revents & POLLHUP && usleep(10000)));
	n = read(p.fd, buf, sizeof(buf));
	if (n <= 0)
		return fail("read");
	printf("%.*s\n", (int)n, buf);
	return 0;
}

/* Without a host side there is an end to read, and nothing can be written. */
static int check_offline(void)
{
	char byte = 'x';
	int fd = open_port(O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return fail("open");
	n = read(fd, &byte, 1);
	if (n != 0)
		return fail("read is not the end of file");
	return expect_errno("end of file, not writable", write(fd, &byte, 1), EAGAIN);
}

static int check_no_input(void)
{
	char byte;
	int fd = open_port(O_NONBLOCK);

	if (fd < 0)
		return fail("open");
	return expect_errno("no input yet", read(fd, &byte, 1), EAGAIN);
}

/* A write that sleeps until the host side is there. */
static int check_write_waits(void)
{
	int fd = open_port(0);

	if (fd < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	if (write(fd, argument, strlen(argument)) != (ssize_t)strlen(argument))
		return fail("write");
	puts("written");
	return 0;
}

/* One read that sleeps until something comes. */
static int check_read_waits(void)
{
	char buf[256];
	int fd = open_port(0);
	ssize_t n;

	if (fd < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		return fail("read");
	printf("%.*s\n", (int)n, buf);
	return 0;
}

/* SIGIO when the host side comes or goes, and when there is input. */
static int check_sigio(void)
{
	const struct timespec limit = { .tv_sec = WAIT_SECONDS };
	struct pollfd p = { .events = POLLIN | POLLOUT };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p.fd = open_port(O_NONBLOCK);
	if (p.fd < 0 || fcntl(p.fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(p.fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	if (sigtimedwait(&set, NULL, &limit) != SIGIO)
		return fail("no SIGIO");
	poll(&p, 1, 0);
	printf("sigio ");
	print_events(p.revents);
	return 0;
}

/* Non-blocking writes until the port takes no more; then waits for room for one more. */
static int check_fill(void)
{
	static char chunk[CHUNK];
	struct pollfd p = { .fd = open_port(O_NONBLOCK), .events = POLLOUT };
	unsigned long total = 0;
	ssize_t n;

	if (p.fd < 0)
		return fail("open");
	for (;;) {
		memset(chunk, 'a' + (int)(total / CHUNK % 26), sizeof(chunk));
		n = write(p.fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return fail("write");
		total += (unsigned long)n;
	}
	fprintf(stderr, "full after %lu\n", total);
	if (poll(&p, 1, WAIT_SECONDS * 1000) != 1 || !(p.revents & POLLOUT))
		return fail("it never had room again");
	printf("%lu\n", total);
	return 0;
}

/* File to port without passing through us. */
static int check_splice(void)
{
	int fd = open_port(0), file = open(argument, O_RDONLY), ends[2];
	ssize_t in, out;

	if (fd < 0 || file < 0 || pipe(ends) < 0)
		return fail("open");
	for (;;) {
		in = splice(file, NULL, ends[1], NULL, CHUNK, 0);
		if (in <= 0)
			break;
		while (in > 0) {
			out = splice(ends[0], NULL, fd, NULL, (size_t)in, 0);
			if (out <= 0)
				return fail("splice to the port");
			in -= out;
		}
	}
	if (in < 0)
		return fail("splice from the file");
	puts("spliced");
	return 0;
}

/* Everything that comes goes back, for that many bytes, in pieces of any size. */
static int check_loop(void)
{
	static char chunk[CHUNK];
	unsigned long left = strtoul(argument, NULL, 10);
	int fd = open_port(0);

	if (fd < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	while (left > 0) {
		ssize_t n = read(fd, chunk, sizeof(chunk)), done = 0;

		if (n <= 0)
			return fail("read");
		while (done < n) {
			ssize_t w = write(fd, chunk + done, (size_t)(n - done));

			if (w <= 0)
				return fail("write");
			done += w;
		}
		left -= (unsigned long)n;
	}
	puts("looped");
	return 0;
}

/* Keeps it open until standard input ends, then reads what the unplugged port says. */
static int check_unplug(void)
{
	struct pollfd p = { .fd = open_port(O_NONBLOCK), .events = POLLIN };
	char byte;

	if (p.fd < 0)
		return fail("open");
	fprintf(stderr, "waiting\n");
	do {
		if (poll(&p, 1, WAIT_SECONDS * 1000) <= 0)
			return fail("poll");
	} while (!(p.revents & POLLHUP));
	for (unsigned int i = 0; i < WAIT_SECONDS * 100; i++) {
		if (read(p.fd, &byte, 1) < 0 && errno == ENODEV) {
			puts("hup, no such device");
			return 0;
		}
		usleep(10000);
	}
	return fail("read");
}

static const struct {
	const char *name;
	int (*run)(void);
} checks[] = {
	{ "open", check_open },
	{ "busy", check_busy },
	{ "no-device", check_no_device },
	{ "lseek", check_lseek },
	{ "poll", check_poll },
	{ "poll-input", check_poll_input },
	{ "offline", check_offline },
	{ "no-input", check_no_input },
	{ "write-waits", check_write_waits },
	{ "read-waits", check_read_waits },
	{ "sigio", check_sigio },
	{ "fill", check_fill },
	{ "splice", check_splice },
	{ "loop", check_loop },
	{ "unplug", check_unplug },
};

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: vport CHECK DEVICE [ARGUMENT]\n", stderr);
		return 2;
	}
	path = argv[2];
	argument = argc > 3 ? argv[3] : "";
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(argv[1], checks[i].name) == 0)
			return checks[i].run();
	fprintf(stderr, "vport: no check '%s'\n", argv[1]);
	return 2;
}
