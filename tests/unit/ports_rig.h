/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session whose device has many ports: the host side of each, and the guest's driver. */
#ifndef VHU_TESTS_PORTS_RIG_H
#define VHU_TESTS_PORTS_RIG_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "session_rig.h"

enum { HOST_HISTORY = 2048 }; /* less than a page of the guest's */

/* A port and its one client. */
struct host {
	struct port port;
	struct port_client client;
	unsigned int number;
	bool there;   /* on the device */
	bool pausing; /* the client does not read */
	char *output;
	size_t len, cap;
};

static struct session_rig *rig;
static struct guest guest;
static struct host hosts[CONSOLE_MAX_PORTS];
static unsigned int n_hosts;

static inline void host_collect(struct port_client *client)
{
	struct host *h = container_of(client, struct host, client);

	while (!h->pausing && port_readable(client)) {
		if (h->cap - h->len < PORT_READ_MIN) {
			h->cap = 2 * h->cap + PORT_READ_MIN;
			h->output = realloc(h->output, h->cap);
			assert_non_null(h->output);
		}
		h->len += port_read(client, h->output + h->len, h->cap - h->len);
	}
}

/* A port of which the device knows nothing yet. "": no name. */
static inline struct host *host_new(unsigned int number, const char *name)
{
	struct host *h = &hosts[n_hosts++];

	*h = (struct host){ .number = number };
	assert_int_equal(port_init(&h->port, HOST_HISTORY), 0);
	snprintf(h->port.name, sizeof(h->port.name), "%s", name);
	h->port.console = false;
	h->port.overflow = PORT_HOLD;
	return h;
}

static inline void host_plug(struct host *h)
{
	console_add_port(&rig->con, h->number, &h->port);
	h->there = true;
}

static inline void host_unplug(struct host *h)
{
	console_remove_port(&rig->con, h->number);
	h->there = false;
}

/* The host side opens. */
static inline void host_join(struct host *h)
{
	static const struct port_client_ops ops = { .output_ready = host_collect };
	static const struct port_client_options options = {
		.writes = true,
		.holds = true,
		.what = "host",
	};

	port_join(&h->port, &h->client, &ops, &options);
}

static inline void host_leave(struct host *h)
{
	if (h->client.port)
		port_leave(&h->client);
	h->client.port = NULL;
}

static inline void host_resume(struct host *h)
{
	h->pausing = false;
	host_collect(&h->client);
}

/* All that the guest has written so far is this, within a deadline. */
static inline void host_expect(struct host *h, const void *bytes, size_t len)
{
	for (unsigned int i = 0; h->len < len && i < 1000; i++)
		rig_step(rig);
	assert_int_equal(h->len, len);
	assert_memory_equal(h->output, bytes, len);
	h->len = 0;
}

static inline int ports_setup(void **state, unsigned int max_ports)
{
	int err = rig_setup_ports(state, max_ports);

	rig = *state;
	n_hosts = 0;
	guest = (struct guest){ .fe = NULL };
	return err;
}

static inline int ports_teardown(void **state)
{
	guest_fini(&guest);
	rig_disconnect(rig);
	for (unsigned int i = 0; i < n_hosts; i++) {
		host_leave(&hosts[i]);
		if (hosts[i].there)
			host_unplug(&hosts[i]);
		port_fini(&hosts[i].port);
		free(hosts[i].output);
	}
	return rig_teardown(state);
}

/* A guest of QEMU's with rings for all ports; its driver has said DEVICE_READY. */
static inline void boot_guest(void)
{
	if (!rig->b || rig->fe.n_rings == 0)
		rig_setup_usual(rig);
	assert_fe_ok(rig, guest_init(&guest, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_hello(&guest));
}

/* A program in the guest has opened the port, which is open on the host's side too. */
static inline void open_port(const struct host *h)
{
	assert_fe_ok(rig, guest_await_port(&guest, h->number, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_await_port_host_open(&guest, h->number, true, RIG_TIMEOUT_MS));
	assert_fe_ok(rig, guest_open_port(&guest, h->number, true));
}

/* A byte each way. */
static inline void expect_port_works(struct host *h)
{
	char got = 0;

	assert_fe_ok(rig, guest_write_port(&guest, h->number, "o", 1, RIG_TIMEOUT_MS));
	host_expect(h, "o", 1);
	assert_int_equal(port_input(&h->port, "i", 1), 1);
	assert_fe_ok(rig, guest_read_port(&guest, h->number, &got, 1, RIG_TIMEOUT_MS));
	assert_int_equal(got, 'i');
}

static inline void fill_pattern(uint8_t *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

#endif
