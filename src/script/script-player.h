/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a script has at hand, and its steps, one for each statement of the text. */
#ifndef VHU_SCRIPT_SCRIPT_PLAYER_H
#define VHU_SCRIPT_SCRIPT_PLAYER_H

#include <poll.h>

#include "script/script.h"
#include "vhu/codec.h"

enum {
	PLAYER_CONNS = 4096,
	PLAYER_NAME = 16,
	PLAYER_MAX_FDS = 253, /* that the kernel takes at once */
};

/* Something with a descriptor. */
struct thing {
	char name[PLAYER_NAME];
	int fd;		    /* what is sent */
	int other;	    /* ours: the other end, or a memory file opened for writing; -1 */
	unsigned int seals; /* to be put on before it is sent */
};

struct player_conn {
	int fd;	     /* -1: closed */
	int channel; /* our end, another's to close; -1: none */
	struct vhu_assembler sent;
};

/* Begins as { .plan = ..., .error = ... }. */
struct player {
	const struct script_plan *plan;
	struct thing *things;
	size_t n_things;
	struct player_conn *conns[PLAYER_CONNS];
	unsigned int n_different;
	char *error; /* 256 bytes */
};

/* A statement in words; bytes are the digits at its end. */
struct statement {
	const char *verb;
	char **words; /* after the verb, without fds=... and bytes */
	size_t n_words;
	char *fds; /* "m1,e1", or NULL */
	uint8_t *bytes;
	size_t len;
};

/* 0, or a negative errno with a sentence in p->error: it cannot go on. */
typedef int player_step_fn(struct player *p, const struct statement *s);

player_step_fn player_memory, player_reopen, player_eventfd, player_socket, player_pipe_read,
	player_pipe_write, player_file, player_resize, player_write, player_connect, player_close,
	player_shutdown, player_send, player_send_channel, player_kick, player_pause, player_wait,
	player_recv, player_recv_channel, player_closed, player_await16, player_check16;

/* One line, which is taken to pieces: as a step, -EINVAL also for what is no statement. */
int player_play_line(struct player *p, char *line);

PRINTF_LIKE(3, 4) int player_fail(struct player *p, int err, const char *fmt, ...);

/* A line of the report that says that something is not as it should be; also in p->error. */
PRINTF_LIKE(2, 3) void player_differ(struct player *p, const char *fmt, ...);

/* NULL after a sentence: there is none of that name or number. */
struct thing *player_thing(struct player *p, const char *name);
struct player_conn *player_conn(struct player *p, const char *number, unsigned int *ret_number);

/* A new one, or the old one, closed. NULL after a sentence: no memory, or too long a name. */
struct thing *player_add_thing(struct player *p, const char *name);

/* "123" or "0x7b". */
int player_number(struct player *p, const char *text, uint64_t *ret_value);

/* The memory of that name, opened for writing (lent); negative after a sentence. */
int player_memory_fd(struct player *p, const char *name);

/* The descriptors (lent) of the names in list, which is taken to pieces; sealed if they are to be.
 */
int player_collect_fds(struct player *p, char *list, int fds[PLAYER_MAX_FDS], size_t *ret_n);

/* Descriptors that came, taken from set, get the names in list, which is taken to pieces. */
int player_name_fds(struct player *p, struct fdset *set, char *list);

/* The socket that list names first is the back-end's from here on: its other end is the channel. */
void player_learn_channel(struct player *p, struct player_conn *conn, const char *list);

/*
 * Like poll() until the deadline: how many are ready, 0 when the time is over,
 * or -EINTR with a sentence: a signal came. One that comes while nothing is
 * awaited ends the next wait.
 */
int player_poll(struct player *p, struct pollfd *fds, nfds_t n, int64_t deadline_ms);

/* 0: the back-end took all of it before the deadline; -EPIPE: it did not; or as player_poll(). */
int player_send_bytes(struct player *p, int sock, const uint8_t *bytes, size_t len, const int *fds,
		      size_t n_fds, int64_t deadline_ms);

/* One message as it came. */
struct arrival {
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len;
	struct fdset fds;
	struct vhu_msg msg; /* of the bytes, without descriptors */
};

/*
 * 0; or -ETIMEDOUT, -ECONNRESET, -EMSGSIZE, -EINTR with the bytes there are. The
 * descriptors are due to be closed in any case.
 */
int player_receive(struct player *p, int sock, enum vhu_dir dir, struct arrival *a,
		   int64_t deadline_ms);

void player_fini(struct player *p);

#endif
