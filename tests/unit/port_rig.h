/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A port with a device and three clients that count what they are told. */
#ifndef VHU_PORT_RIG_H
#define VHU_PORT_RIG_H

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "backends/port.h"

enum { HISTORY = 4096 };

struct counter {
	struct port_client client;
	bool joined;
	unsigned int n_output, n_room, n_guest;
	size_t n_seen;
	/* What it does when it is told of something; cleared before. */
	void (*reaction)(struct counter *c);
};

struct device {
	unsigned int n_input, n_room, n_open, n_size;
	bool open; /* as told last */
};

struct rig {
	struct port port;
	struct device device;
	struct counter a, b, c;
};

static struct rig rig;

/* Somebody at a terminal, a program on a lossless port, and a log. */
static const struct port_client_options person = {
	.writes = true,
	.shows = true,
	.replay = PORT_REPLAY_ALL,
	.what = "person",
};
static const struct port_client_options worker = { .writes = true, .holds = true };
static const struct port_client_options file = { .passive = true, .replay = PORT_REPLAY_ALL };

static inline struct counter *to_counter(struct port_client *c)
{
	return container_of(c, struct counter, client);
}

static inline void react(struct counter *c)
{
	void (*reaction)(struct counter * c) = c->reaction;

	c->reaction = NULL;
	if (reaction)
		reaction(c);
}

static inline void on_output(struct port_client *c)
{
	to_counter(c)->n_output++;
	react(to_counter(c));
}

static inline void on_room(struct port_client *c)
{
	to_counter(c)->n_room++;
	react(to_counter(c));
}

static inline void on_guest(struct port_client *c)
{
	to_counter(c)->n_guest++;
	react(to_counter(c));
}

static inline void on_seen(struct port_client *c, const void *data, size_t len)
{
	(void)data;
	to_counter(c)->n_seen += len;
	react(to_counter(c));
}

static const struct port_client_ops client_ops = {
	.output_ready = on_output,
	.input_room = on_room,
	.guest_changed = on_guest,
	.input_seen = on_seen,
};

static inline void on_input(struct port *port)
{
	((struct device *)port->dev)->n_input++;
}

static inline void on_output_room(struct port *port)
{
	((struct device *)port->dev)->n_room++;
}

static inline void on_open(struct port *port)
{
	struct device *dev = port->dev;

	dev->n_open++;
	assert_true(dev->open != port_host_open(port));
	dev->open = port_host_open(port);
}

static inline void on_size(struct port *port)
{
	((struct device *)port->dev)->n_size++;
}

static const struct port_device_ops device_ops = {
	.input_ready = on_input,
	.output_room = on_output_room,
	.host_open_changed = on_open,
	.size_changed = on_size,
};

static inline int rig_setup(void **state)
{
	if (unit_setup(state) != 0)
		return -1;
	memset(&rig, 0, sizeof(rig));
	if (port_init(&rig.port, HISTORY) < 0)
		return -1;
	rig.port.dev_ops = &device_ops;
	rig.port.dev = &rig.device;
	return 0;
}

static inline int rig_teardown(void **state)
{
	/* A test that failed has left its clients there. */
	list_init(&rig.port.clients);
	rig.port.walk = NULL;
	port_fini(&rig.port);
	return unit_teardown(state);
}

#define PORT_TEST(f) UNIT_TEST_WITH(f, rig_setup, rig_teardown)

static inline void join(struct counter *c, const struct port_client_options *options)
{
	c->joined = true;
	port_join(&rig.port, &c->client, &client_ops, options);
}

/* Leaves, and is freed: whatever looks at it afterwards finds nonsense. */
static inline void leave(struct counter *c)
{
	c->joined = false;
	port_leave(&c->client);
	memset(&c->client, 0xa5, sizeof(c->client));
}

static inline void output(const char *text)
{
	port_output(&rig.port, text, strlen(text));
	port_output_done(&rig.port);
}

static inline void output_bytes(size_t n)
{
	static const char bytes[HISTORY];

	for (size_t left = n; left > 0; left -= min_size(left, sizeof(bytes)))
		port_output(&rig.port, bytes, min_size(left, sizeof(bytes)));
	port_output_done(&rig.port);
}

/* What a client reads next, all of it, is text. */
static inline void expect(struct counter *c, const char *text)
{
	char buf[2 * HISTORY];
	size_t n = port_read(&c->client, buf, sizeof(buf)), more;

	while ((more = port_read(&c->client, buf + n, sizeof(buf) - n)) > 0)
		n += more;
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
	assert_false(port_readable(&c->client));
}

/* A line that says how many are gone, then the newest that are left. */
static inline void expect_loss(struct counter *c, size_t lost, const char *rest)
{
	char text[2 * HISTORY];

	snprintf(text, sizeof(text), "\r\n[%zu bytes of output lost here]\r\n%s", lost, rest);
	expect(c, text);
}

/* The guest finds this and nothing else. */
static inline void expect_input(const char *text)
{
	char got[256];

	assert_int_equal(port_input_pending(&rig.port), strlen(text));
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

#endif
