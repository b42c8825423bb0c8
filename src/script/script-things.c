/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Making descriptors of the kinds that front-ends send, and what is in them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "script/script-player.h"

int player_fail(struct player *p, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->error, 256, fmt, args);
	va_end(args);
	return err;
}

void player_differ(struct player *p, const char *fmt, ...)
{
	va_list args;

	p->n_different++;
	va_start(args, fmt);
	vsnprintf(p->error, 256, fmt, args);
	va_end(args);
	fprintf(p->plan->out, "!! %s\n", p->error);
}

int player_poll(struct player *p, struct pollfd *fds, nfds_t n, int64_t deadline_ms)
{
	int64_t left = deadline_ms - monotonic_ms();
	struct timespec ts = { .tv_nsec = 0 };
	int ready;

	if (left > 0)
		ts = (struct timespec){ left / 1000, left % 1000 * 1000000 };
	/* A look that waits for nothing is not what a signal is to end. */
	ready = ppoll(fds, n, &ts, left > 0 ? p->plan->waiting : NULL);
	if (ready < 0 && errno == EINTR)
		return player_fail(p, -EINTR, "interrupted");
	return ready > 0 ? ready : 0;
}

int player_number(struct player *p, const char *text, uint64_t *ret_value)
{
	return script_number(text, ret_value)
		       ? 0
		       : player_fail(p, -EINVAL, "expected a number, not %s", text);
}

static struct thing *find(struct player *p, const char *name)
{
	for (size_t i = 0; i < p->n_things; i++)
		if (strcmp(p->things[i].name, name) == 0)
			return &p->things[i];
	return NULL;
}

struct thing *player_thing(struct player *p, const char *name)
{
	struct thing *t = find(p, name);

	if (!t)
		player_fail(p, -EINVAL, "nothing is called %s so far", name);
	return t;
}

static void close_thing(struct thing *t)
{
	if (t->other != t->fd)
		fd_close(t->other);
	t->other = -1;
	t->fd = fd_close(t->fd);
}

struct thing *player_add_thing(struct player *p, const char *name)
{
	struct thing *t = find(p, name), *things;

	if (t) {
		close_thing(t);
		return t;
	}
	things = reallocarray(p->things, p->n_things + 1, sizeof(*things));
	if (!things || strlen(name) >= PLAYER_NAME) {
		p->things = things ? things : p->things;
		player_fail(p, -EINVAL, "a name like %s is too long, or memory too short", name);
		return NULL;
	}
	p->things = things;
	t = &things[p->n_things++];
	*t = (struct thing){ .fd = -1, .other = -1 };
	memcpy(t->name, name, strlen(name) + 1);
	return t;
}

void player_fini(struct player *p)
{
	for (size_t i = 0; i < PLAYER_CONNS; i++) {
		if (p->conns[i])
			fd_close(p->conns[i]->fd);
		free(p->conns[i]);
	}
	for (size_t i = 0; i < p->n_things; i++)
		close_thing(&p->things[i]);
	free(p->things);
}

/* Whether one of the words after the first `from` is this. */
static bool says(const struct statement *s, size_t from, const char *word)
{
	for (size_t i = from; i < s->n_words; i++)
		if (strcmp(s->words[i], word) == 0)
			return true;
	return false;
}

/* A thing of these descriptors, which it takes; errno counts if fd is negative. */
static int give(struct player *p, const char *name, int fd, int other)
{
	int err = -errno;
	struct thing *t = fd >= 0 ? player_add_thing(p, name) : NULL;

	if (t) {
		t->fd = fd;
		t->other = other;
		t->seals = 0;
		return 0;
	}
	if (other != fd)
		fd_close(other);
	if (fd < 0)
		return player_fail(p, err, "%s: %s", name, strerror(-err));
	fd_close(fd);
	return -EINVAL;
}

/* The same open file once more. */
static int open_again(int fd, bool readonly)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

static int take_seals(struct player *p, const struct statement *s, unsigned int *ret_seals)
{
	static const char word[] = "seals=";
	uint64_t value = 0;
	int err = 0;

	for (size_t i = 2; err == 0 && i < s->n_words; i++)
		if (strncmp(s->words[i], word, sizeof(word) - 1) == 0)
			err = player_number(p, s->words[i] + sizeof(word) - 1, &value);
	*ret_seals = (unsigned int)value;
	return err;
}

int player_memory(struct player *p, const struct statement *s)
{
	unsigned int seals = 0;
	uint64_t size;
	int fd, err = player_number(p, s->words[1], &size);

	if (err == 0)
		err = take_seals(p, s, &seals);
	if (err < 0)
		return err;
	fd = memfd_create(s->words[0], MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
		err = -errno;
		fd_close(fd);
		return player_fail(p, err, "%s of %" PRIu64 " bytes: %s", s->words[0], size,
				   strerror(-err));
	}
	err = give(p, s->words[0], says(s, 2, "readonly") ? open_again(fd, true) : fd, fd);
	if (err == 0)
		player_thing(p, s->words[0])->seals = seals;
	return err;
}

int player_reopen(struct player *p, const struct statement *s)
{
	const struct thing *old = player_thing(p, s->words[1]);
	int other;

	if (!old)
		return -EINVAL;
	other = old->other >= 0 ? fcntl(old->other, F_DUPFD_CLOEXEC, 0) : -1;
	return give(p, s->words[0],
		    open_again(old->other >= 0 ? old->other : old->fd, says(s, 2, "readonly")),
		    other);
}

int player_eventfd(struct player *p, const struct statement *s)
{
	int flags = EFD_CLOEXEC;
	int fd;

	if (says(s, 1, "nonblock"))
		flags |= EFD_NONBLOCK;
	if (says(s, 1, "semaphore"))
		flags |= EFD_SEMAPHORE;
	fd = eventfd(0, flags);
	return give(p, s->words[0], fd, fd);
}

int player_socket(struct player *p, const struct statement *s)
{
	int fds[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		fds[0] = -1;
	return give(p, s->words[0], fds[0], fds[1]);
}

static int make_pipe(struct player *p, const char *name, int which)
{
	int fds[2] = { -1, -1 };

	if (pipe2(fds, O_CLOEXEC) < 0)
		fds[0] = fds[1] = -1;
	return give(p, name, fds[which], fds[1 - which]);
}

int player_pipe_read(struct player *p, const struct statement *s)
{
	return make_pipe(p, s->words[0], 0);
}

int player_pipe_write(struct player *p, const struct statement *s)
{
	return make_pipe(p, s->words[0], 1);
}

/* What cannot be had any more is stood in for by something that is there everywhere. */
int player_file(struct player *p, const struct statement *s)
{
	int flags = (says(s, 2, "write") ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(s->words[1], flags);

	if (fd < 0) {
		fprintf(p->plan->out, "-- %s: %s; /dev/null instead\n", s->words[1],
			strerror(errno));
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	return give(p, s->words[0], fd, fd);
}

/* Contents. */

int player_memory_fd(struct player *p, const char *name)
{
	const struct thing *t = player_thing(p, name);

	if (t && t->other < 0)
		player_fail(p, -EINVAL, "%s is no memory of ours", name);
	return t ? t->other : -1;
}

int player_resize(struct player *p, const struct statement *s)
{
	int fd = player_memory_fd(p, s->words[0]);
	uint64_t size;
	int err = fd < 0 ? -EINVAL : player_number(p, s->words[1], &size);

	if (err == 0 && ftruncate(fd, (off_t)size) < 0)
		err = player_fail(p, -errno, "%s resized to %" PRIu64 ": %s", s->words[0], size,
				  strerror(errno));
	return err;
}

/* A file would grow without a word. Others have no end. */
static int check_room(struct player *p, const struct statement *s, int fd, uint64_t at)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return player_fail(p, -errno, "%s: %s", s->words[0], strerror(errno));
	if (!S_ISREG(st.st_mode) || range_within(at, s->len, 0, (uint64_t)st.st_size))
		return 0;
	return player_fail(p, -EINVAL,
			   "%s ends at 0x%" PRIx64 ", %zu bytes at 0x%" PRIx64
			   " go past that; \"resize %s SIZE\" makes room",
			   s->words[0], (uint64_t)st.st_size, s->len, at, s->words[0]);
}

int player_write(struct player *p, const struct statement *s)
{
	int fd = player_memory_fd(p, s->words[0]);
	uint64_t at = 0;
	int err = fd < 0 ? -EINVAL : player_number(p, s->words[1], &at);

	if (err == 0)
		err = check_room(p, s, fd, at);
	if (err == 0 && pwrite(fd, s->bytes, s->len, (off_t)at) != (ssize_t)s->len)
		err = player_fail(p, -EIO, "%s does not take %zu bytes", s->words[0], s->len);
	return err;
}

/* Of a socket or a pipe the back-end has the one end, we the other. */
int player_kick(struct player *p, const struct statement *s)
{
	static const uint64_t one = 1;
	const struct thing *t = player_thing(p, s->words[0]);
	struct pollfd out = { .events = POLLOUT };
	int ready;

	if (!t)
		return -EINVAL;
	out.fd = t->other >= 0 ? t->other : t->fd;
	ready = player_poll(p, &out, 1, monotonic_ms() + p->plan->timeout_ms);
	if (ready < 0)
		return ready;
	if (ready > 0 && write(out.fd, &one, sizeof(one)) > 0)
		fprintf(p->plan->out, "-- kick of %s\n", t->name);
	else
		fprintf(p->plan->out, "-- %s takes no kick\n", t->name);
	return 0;
}

/* Indices may have gone on already. */
static bool reached(uint16_t now, uint16_t wanted)
{
	return (uint16_t)(now - wanted) < 0x8000;
}

/* An index in memory: where it is, and what is said of it. */
struct index {
	int fd;
	uint64_t at, wanted;
};

static int take_index(struct player *p, const struct statement *s, struct index *ret_index)
{
	struct index i = { .fd = player_memory_fd(p, s->words[0]) };
	int err = i.fd < 0 ? -EINVAL : player_number(p, s->words[1], &i.at);

	if (err == 0)
		err = player_number(p, s->words[2], &i.wanted);
	if (err == 0)
		*ret_index = i;
	return err;
}

static int load_index(struct player *p, const struct statement *s, const struct index *i,
		      uint16_t *ret_value)
{
	uint16_t value;

	if (pread(i->fd, &value, sizeof(value), (off_t)i->at) != sizeof(value))
		return player_fail(p, -EINVAL, "%s has no two bytes at %s", s->words[0],
				   s->words[1]);
	*ret_value = le16toh(value);
	return 0;
}

static void tell_index(struct player *p, const struct statement *s, uint16_t now, bool good)
{
	if (good)
		fprintf(p->plan->out, "-- the index at %s of %s is %u\n", s->words[1], s->words[0],
			now);
	else
		player_differ(p, "the index at %s of %s is %u; %s was %s", s->words[1], s->words[0],
			      now, p->plan->known, s->words[2]);
}

/* Where much is different already, the rest is not worth the whole time. */
static int64_t patience_ms(const struct player *p)
{
	enum { MANY = 3, SHORT = 20 };

	return p->n_different > MANY ? p->plan->timeout_ms / SHORT : p->plan->timeout_ms;
}

int player_await16(struct player *p, const struct statement *s)
{
	int64_t deadline = monotonic_ms() + patience_ms(p);
	struct index i;
	uint16_t now = 0;
	int err = take_index(p, s, &i);

	while (err == 0) {
		err = load_index(p, s, &i, &now);
		if (err < 0 || reached(now, (uint16_t)i.wanted) || monotonic_ms() > deadline)
			break;
		err = player_poll(p, NULL, 0, monotonic_ms() + 1);
	}
	if (err == 0)
		tell_index(p, s, now, reached(now, (uint16_t)i.wanted));
	return err;
}

int player_check16(struct player *p, const struct statement *s)
{
	struct index i;
	uint16_t now = 0;
	int err = take_index(p, s, &i);

	if (err == 0)
		err = load_index(p, s, &i, &now);
	if (err == 0)
		tell_index(p, s, now, now == (uint16_t)i.wanted);
	return err;
}
