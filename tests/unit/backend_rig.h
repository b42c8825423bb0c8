/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A port with an attachment on it, a device that counts, and a loop turned by hand. */
#ifndef VHU_TESTS_BACKEND_RIG_H
#define VHU_TESTS_BACKEND_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "backends/attachment.h"

enum {
	HISTORY = 64 * 1024,
	DEADLINE_SECONDS = 30,
	QUIET_STEPS = 200, /* that long nothing may happen that must not */
	N_BYTES = 60000,
	CLIENTS_MAX = 64,
};

struct rig {
	struct loop *loop;
	struct port port;
	struct attachment_options options; /* of what is opened next */
	struct attachment *attachment;
	char why[256];
	unsigned int n_input, n_room, n_open, n_size, n_closed, n_quit;
	uint64_t seed;
};

static struct rig rig;

static inline void on_input(struct port *port)
{
	((struct rig *)port->dev)->n_input++;
}

static inline void on_room(struct port *port)
{
	((struct rig *)port->dev)->n_room++;
}

static inline void on_open(struct port *port)
{
	((struct rig *)port->dev)->n_open++;
}

static inline void on_size(struct port *port)
{
	((struct rig *)port->dev)->n_size++;
}

static inline void on_closed(void *arg)
{
	((struct rig *)arg)->n_closed++;
}

static inline void on_quit(void *arg)
{
	((struct rig *)arg)->n_quit++;
}

static const struct port_device_ops device_ops = {
	.input_ready = on_input,
	.output_room = on_room,
	.host_open_changed = on_open,
	.size_changed = on_size,
};

/* A console port that drops. */
static inline void rig_begin(void)
{
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	memset(&rig, 0, sizeof(rig));
	rig.seed = 88172645463325252;
	rig.options.clients = CLIENTS_MAX;
	rig.options.reconnect = 10;
	rig.options.reconnect_max = 40;
	if (loop_new(256, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(port_init(&rig.port, HISTORY), 0);
	rig.port.dev_ops = &device_ops;
	rig.port.dev = &rig;
}

/* A port that is no console and loses nothing. */
static inline void rig_begin_lossless(void)
{
	rig_begin();
	rig.port.console = false;
	rig.port.overflow = PORT_HOLD;
}

/* Opens another attachment; the caller owns it. */
static inline int rig_open_more(enum attachment_kind kind, const char *address,
				struct attachment **ret_attachment)
{
	const struct attachment_args args = {
		.loop = rig.loop,
		.port = &rig.port,
		.options = &rig.options,
		.who = "test",
		.quit = on_quit,
		.quit_arg = &rig,
	};

	rig.options.kind = kind;
	rig.options.address = address;
	return attachment_open(&args, ret_attachment, rig.why, sizeof(rig.why));
}

static inline int rig_open(enum attachment_kind kind, const char *address)
{
	return rig_open_more(kind, address, &rig.attachment);
}

static inline void rig_step(void)
{
	assert_int_equal(loop_step(rig.loop, false), 0);
	sched_yield();
}

static inline void rig_step_quietly(void)
{
	for (unsigned int i = 0; i < QUIET_STEPS; i++)
		rig_step();
}

static inline time_t rig_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static inline void rig_step_before(time_t deadline)
{
	assert_true(rig_seconds() < deadline);
	rig_step();
}

#define PUMP_UNTIL(condition)                                                                      \
	for (time_t deadline_ = rig_seconds() + DEADLINE_SECONDS; !(condition);)                   \
	rig_step_before(deadline_)

static inline void rig_close_this(struct attachment *a)
{
	a->closed = on_closed;
	a->closed_arg = &rig;
	a->ops->close(a);
}

static inline void rig_close(void)
{
	rig_close_this(rig.attachment);
}

static inline void rig_describe(char *buf, size_t cap)
{
	rig.attachment->ops->describe(rig.attachment, buf, cap);
}

static inline void rig_end(void)
{
	if (rig.attachment) {
		PUMP_UNTIL(rig.n_closed > 0);
		assert_int_equal(rig.n_closed, 1);
	}
	assert_int_equal(rig.port.n_clients, 0);
	port_fini(&rig.port);
	loop_free(rig.loop);
}

static inline uint64_t rig_random(void)
{
	rig.seed ^= rig.seed << 13;
	rig.seed ^= rig.seed >> 7;
	rig.seed ^= rig.seed << 17;
	return rig.seed;
}

/* Every value of a byte, in an order that does not repeat. */
static inline void rig_fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(rig_random() >> 24);
}

static inline size_t rig_output(const void *data, size_t n)
{
	size_t taken = (size_t)port_output(&rig.port, data, n);

	port_output_done(&rig.port);
	return taken;
}

/* Takes a piece of input of any size, as a guest would. */
static inline size_t rig_take(uint8_t *buf, size_t room)
{
	return port_take_input(&rig.port, buf, min_size(1 + rig_random() % 3000, room));
}

/* The input that comes next is text. */
static inline void rig_expect_input(const char *text)
{
	size_t len = strlen(text);
	char got[256];

	PUMP_UNTIL(port_input_pending(&rig.port) >= len);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), len);
	assert_memory_equal(got, text, len);
}

/* Reads n bytes of fd, which does not block, in pieces of at most piece. */
static inline void rig_read_all(int fd, uint8_t *buf, size_t n, size_t piece)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, buf + done, min_size(piece, n - done));

		if (r < 0)
			assert_int_equal(errno, EAGAIN);
		else
			assert_true(r > 0);
		done += r > 0 ? (size_t)r : 0;
		rig_step_before(deadline);
	}
}

static inline void rig_expect_output(int fd, const char *text)
{
	uint8_t got[256];

	rig_read_all(fd, got, strlen(text), sizeof(got));
	assert_memory_equal(got, text, strlen(text));
}

#endif
