/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The guest's driver, waiting: until something is so, or the deadline has passed. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "guest/guest.h"
#include "virtio/console-ctrl.h"

struct wish {
	unsigned int id;
	size_t n;
	bool open;
	const char *name;
};

typedef bool wish_fn(const struct guest *g, struct wish *wish);

/* Zero, or -ETIMEDOUT and the caller says what was expected. */
static int await(struct guest *g, wish_fn *met, struct wish *wish, int timeout_ms)
{
	int64_t deadline = monotonic_ms() + timeout_ms;
	int err = 0;

	while (err == 0 && !met(g, wish)) {
		int64_t left = deadline - monotonic_ms();

		err = left > 0 ? guest_wait(g, (int)left) : -ETIMEDOUT;
	}
	return err;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int attend_once(struct guest *g, int fd)
{
	enum { LONG_MS = 60000 };
	int fds[2] = { fd, -1 };
	int err;

	if (g->multiport) {
		fds[1] = g->fe->rings[GUEST_CTRL_RX].call_fd;
		vhu_frontend_take_calls(g->fe, GUEST_CTRL_RX);
		if (driverq_calls_on(&g->fe->rings[GUEST_CTRL_RX].q))
			return 0;
	}
	err = vhu_frontend_await_readable(g->fe, fds, ARRAY_SIZE(fds), LONG_MS);
	return err == -ETIMEDOUT ? 0 : err;
}

int guest_attend(struct guest *g, int fd, void (*heard)(const struct guest_event *e))
{
	int err = 0;

	do {
		err = guest_poll_control(g);
		for (; err >= 0 && g->n_heard < g->n_events; g->n_heard++)
			if (heard)
				heard(&g->events[g->n_heard]);
		if (err >= 0 && !is_readable(fd))
			err = attend_once(g, fd);
	} while (err >= 0 && !is_readable(fd));
	return err < 0 ? err : 0;
}

static bool events_came(const struct guest *g, struct wish *wish)
{
	return g->n_events >= wish->n;
}

int guest_await_events(struct guest *g, unsigned int n, int timeout_ms)
{
	struct wish wish = { .n = n };
	int err = await(g, events_came, &wish, timeout_ms);

	return err == -ETIMEDOUT ? vhu_frontend_fail(g->fe, err, "%u control messages, not %u", n,
						     g->n_events)
				 : err;
}

static bool port_is(const struct guest *g, struct wish *wish)
{
	return g->ports[wish->id].added == wish->open;
}

int guest_await_port(struct guest *g, unsigned int id, int timeout_ms)
{
	struct wish wish = { .id = id, .open = true };
	int err;

	if (id >= g->n_ports)
		return vhu_frontend_fail(g->fe, -ENOENT, "a port below %u", g->n_ports);
	err = await(g, port_is, &wish, timeout_ms);
	return err == -ETIMEDOUT ? vhu_frontend_fail(g->fe, err, "port %u to be added", id) : err;
}

int guest_await_no_port(struct guest *g, unsigned int id, int timeout_ms)
{
	struct wish wish = { .id = id };
	int err = await(g, port_is, &wish, timeout_ms);

	return err == -ETIMEDOUT ? vhu_frontend_fail(g->fe, err, "port %u to be removed", id) : err;
}

static bool name_is_there(const struct guest *g, struct wish *wish)
{
	for (unsigned int i = 0; i < g->n_ports; i++) {
		if (g->ports[i].added && strcmp(g->ports[i].name, wish->name) == 0) {
			wish->id = i;
			return true;
		}
	}
	return false;
}

int guest_await_name(struct guest *g, const char *name, int timeout_ms, unsigned int *ret_id)
{
	struct wish wish = { .name = name };
	int err = await(g, name_is_there, &wish, timeout_ms);

	if (err == -ETIMEDOUT)
		return vhu_frontend_fail(g->fe, err, "a port with the name %s", name);
	if (err == 0)
		*ret_id = wish.id;
	return err;
}

static bool host_open_is(const struct guest *g, struct wish *wish)
{
	return g->ports[wish->id].host_open == wish->open;
}

int guest_await_port_host_open(struct guest *g, unsigned int id, bool open, int timeout_ms)
{
	struct wish wish = { .id = id, .open = open };
	int err = await(g, host_open_is, &wish, timeout_ms);

	return err == -ETIMEDOUT
		       ? vhu_frontend_fail(g->fe, err, "the host side of port %u to be %s", id,
					   open ? "open" : "closed")
		       : err;
}

int guest_hello(struct guest *g)
{
	int err = guest_begin(g);

	if (err < 0 || !g->multiport)
		return err;
	return guest_tell(g, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
}

static bool is_console(const struct guest *g, struct wish *wish)
{
	return g->ports[wish->id].is_console;
}

int guest_start(struct guest *g, int timeout_ms)
{
	struct wish wish = { .id = 0 };
	int err = guest_hello(g);

	if (err < 0 || !g->multiport)
		return err;
	err = await(g, is_console, &wish, timeout_ms);
	return err == -ETIMEDOUT ? vhu_frontend_fail(g->fe, err, "port 0 to become a console")
				 : err;
}

static bool input_came(const struct guest *g, struct wish *wish)
{
	return g->ports[wish->id].input_len > 0;
}

int guest_read_some_port(struct guest *g, unsigned int id, void *buf, size_t cap, int timeout_ms)
{
	struct guest_port *p = &g->ports[id];
	struct wish wish = { .id = id };
	int err = await(g, input_came, &wish, timeout_ms);
	size_t n;

	if (err < 0)
		return err == -ETIMEDOUT ? vhu_frontend_fail(g->fe, err, "input on port %u", id)
					 : err;
	n = min_size(cap, p->input_len);
	memcpy(buf, p->input, n);
	p->input_len -= n;
	memmove(p->input, p->input + n, p->input_len);
	return (int)n;
}

int guest_read_port(struct guest *g, unsigned int id, void *buf, size_t len, int timeout_ms)
{
	size_t done = 0;

	while (done < len) {
		int n = guest_read_some_port(g, id, (char *)buf + done, len - done, timeout_ms);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return 0;
}

int guest_await_host_open(struct guest *g, bool open, int timeout_ms)
{
	return guest_await_port_host_open(g, 0, open, timeout_ms);
}

int guest_write(struct guest *g, const void *bytes, size_t len, int timeout_ms)
{
	return guest_write_port(g, 0, bytes, len, timeout_ms);
}

int guest_read(struct guest *g, void *buf, size_t len, int timeout_ms)
{
	return guest_read_port(g, 0, buf, len, timeout_ms);
}

int guest_read_some(struct guest *g, void *buf, size_t cap, int timeout_ms)
{
	return guest_read_some_port(g, 0, buf, cap, timeout_ms);
}
