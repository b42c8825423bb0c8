/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest/guest.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "virtio/console-ctrl.h"

enum { F_MULTIPORT = 2, RESIZE_LEN = CONSOLE_MSG_LEN + 4 };

static unsigned int port_id(const struct guest *g, const struct guest_port *p)
{
	return (unsigned int)(p - g->ports);
}

/* Memory and buffers. */

static int take_pages(struct guest *g, struct guest_page *pages, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		pages[i].host = vhu_frontend_alloc(g->fe, GUEST_PAGE, GUEST_PAGE, &pages[i].addr);
		if (!pages[i].host)
			return -ENOMEM;
	}
	return 0;
}

/* A port's pages are taken when it is first there: most never are. */
static int equip_port(struct guest *g, struct guest_port *p)
{
	unsigned int id = port_id(g, p);
	unsigned int n = g->fe->rings[GUEST_PORT_RX(id)].size;
	int err;

	if (p->n_pages > 0)
		return 0;
	n = (unsigned int)min_size(n, id == 0 ? GUEST_MAX_PAGES : GUEST_PORT_PAGES);
	err = take_pages(g, &p->out, 1);
	if (err == 0)
		err = take_pages(g, p->pages, n);
	if (err == 0)
		p->n_pages = n;
	return err;
}

static unsigned int count_rings(const struct vhu_frontend *fe)
{
	unsigned int n = 0;

	while (n < fe->n_rings && fe->rings[n].size > 0)
		n++;
	return n;
}

int guest_init(struct guest *g, struct vhu_frontend *fe, uint64_t features)
{
	unsigned int n_rings = count_rings(fe);
	int err;

	*g = (struct guest){ .fe = fe, .answers = true, .n_ports = 1 };
	g->multiport = (features & F_MULTIPORT) && n_rings >= GUEST_N_RINGS;
	if (g->multiport)
		g->n_ports = n_rings / 2 - 1;
	g->ports = calloc(g->n_ports, sizeof(*g->ports));
	if (!g->ports)
		return -ENOMEM;
	err = equip_port(g, &g->ports[0]);
	if (err < 0 || !g->multiport)
		return err;
	g->n_ctrl_pages = (unsigned int)min_size(fe->rings[GUEST_CTRL_RX].size, GUEST_MAX_PAGES);
	err = take_pages(g, g->ctrl_pages, g->n_ctrl_pages);
	return err == 0 ? take_pages(g, &g->ctrl_out, 1) : err;
}

void guest_fini(struct guest *g)
{
	for (unsigned int i = 0; g->ports && i < g->n_ports; i++)
		free(g->ports[i].input);
	free(g->ports);
	free(g->events);
	*g = (struct guest){ .fe = NULL };
}

static int post(struct guest *g, unsigned int ring, struct guest_page *page)
{
	struct driverq_buf buf = { .addr = page->addr, .len = GUEST_PAGE };

	return driverq_add(&g->fe->rings[ring].q, &buf, 0, 1, false, page);
}

static int post_all(struct guest *g, unsigned int ring, struct guest_page *pages, unsigned int n)
{
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++)
		err = post(g, ring, &pages[i]);
	return err == 0 ? vhu_frontend_publish(g->fe, ring) : err;
}

static int post_port(struct guest *g, struct guest_port *p)
{
	int err = g->caller_posts ? 0 : equip_port(g, p);

	if (err < 0 || p->posted || g->caller_posts)
		return err;
	p->posted = true;
	return post_all(g, GUEST_PORT_RX(port_id(g, p)), p->pages, p->n_pages);
}

static void forget_port(struct guest_port *p)
{
	p->added = false;
	p->announced = false;
	p->is_console = false;
	p->host_open = false;
	p->guest_open = false;
	p->name[0] = '\0';
	p->cols = 0;
	p->rows = 0;
}

/* With F_MULTIPORT a port's buffers come when the port does, not before. */
int guest_begin(struct guest *g)
{
	for (unsigned int i = 0; i < g->n_ports; i++) {
		forget_port(&g->ports[i]);
		g->ports[i].posted = false;
		g->ports[i].sending = false;
	}
	g->n_events = 0;
	g->n_heard = 0;
	if (!g->multiport)
		return post_port(g, &g->ports[0]);
	return post_all(g, GUEST_CTRL_RX, g->ctrl_pages, g->n_ctrl_pages);
}

/* Output. */

/* Offers len bytes of a page on a ring. */
static int offer(struct guest *g, unsigned int ring, const struct guest_page *page, size_t len,
		 void *token)
{
	struct driverq_buf buf = { .addr = page->addr, .len = (uint32_t)len };
	int err = driverq_add(&g->fe->rings[ring].q, &buf, 1, 0, false, token);

	return err == 0 ? vhu_frontend_publish(g->fe, ring) : err;
}

/* Waits until the device has returned a buffer that it only had to read. */
static int await_taken(struct guest *g, unsigned int ring, void **ret_token, int timeout_ms)
{
	uint32_t used_len = 0;
	int err = vhu_frontend_await_used(g->fe, ring, ret_token, &used_len, timeout_ms);

	if (err == 0 && used_len != 0)
		err = vhu_frontend_fail(g->fe, -EPROTO, "output to be used with length 0, not %u",
					used_len);
	return err;
}

static void put_message(uint8_t *at, uint32_t id, uint16_t event, uint16_t value)
{
	id = htole32(id);
	event = htole16(event);
	value = htole16(value);
	memcpy(at, &id, sizeof(id));
	memcpy(at + 4, &event, sizeof(event));
	memcpy(at + 6, &value, sizeof(value));
}

int guest_tell(struct guest *g, uint32_t id, uint16_t event, uint16_t value)
{
	void *token;
	int err;

	if (event == CONSOLE_DEVICE_READY)
		for (unsigned int i = 0; i < g->n_ports; i++)
			g->ports[i].announced = false;
	put_message(g->ctrl_out.host, id, event, value);
	err = offer(g, GUEST_CTRL_TX, &g->ctrl_out, CONSOLE_MSG_LEN, g);
	return err == 0 ? await_taken(g, GUEST_CTRL_TX, &token, g->fe->timeout_ms) : err;
}

int guest_await_taken(struct guest *g, unsigned int id, int timeout_ms)
{
	struct guest_port *p = &g->ports[id];
	int64_t deadline = monotonic_ms() + timeout_ms;
	int err = 0;

	while (err == 0 && p->sending) {
		int64_t left = deadline - monotonic_ms();
		void *token = NULL;

		err = await_taken(g, GUEST_PORT_TX(id), &token, left > 0 ? (int)left : 0);
		if (err == 0 && token == p)
			p->sending = false;
	}
	return err;
}

int guest_try_write_port(struct guest *g, unsigned int id, const void *bytes, size_t len)
{
	struct guest_port *p = &g->ports[id];
	struct driverq *q = &g->fe->rings[GUEST_PORT_TX(id)].q;
	size_t n = min_size(len, GUEST_PAGE);
	enum driverq_result result;
	uint32_t used_len;
	void *token;
	int err = equip_port(g, p);

	while (err == 0 && (result = driverq_get(q, &token, &used_len)) != DRIVERQ_EMPTY) {
		if (result != DRIVERQ_USED || used_len != 0)
			return vhu_frontend_fail(g->fe, -EPROTO, "output to be used with length 0");
		if (token == p)
			p->sending = false;
	}
	if (err < 0)
		return err;
	if (p->sending)
		return -EAGAIN;
	memcpy(p->out.host, bytes, n);
	err = offer(g, GUEST_PORT_TX(id), &p->out, n, p);
	p->sending = err == 0;
	return err == 0 ? (int)n : err;
}

int guest_write_port(struct guest *g, unsigned int id, const void *bytes, size_t len,
		     int timeout_ms)
{
	const uint8_t *at = bytes;
	int err = guest_await_taken(g, id, timeout_ms);

	while (len > 0 && err == 0) {
		int n = guest_try_write_port(g, id, at, len);

		if (n < 0)
			return n;
		at += n;
		len -= (size_t)n;
		err = guest_await_taken(g, id, timeout_ms);
	}
	return err;
}

/* Input and the device's messages. */

static int take_input(struct guest *g, struct guest_port *p, const struct guest_page *page,
		      uint32_t len)
{
	if (len == 0)
		return vhu_frontend_fail(g->fe, -EPROTO, "no empty piece of input");
	/* A program has a port's input from its opening on; a console always (VC-052, VC-053). */
	if (g->multiport && !p->is_console && !p->guest_open)
		return vhu_frontend_fail(g->fe, -EPROTO, "no input for port %u, which is closed",
					 port_id(g, p));
	if (p->input_cap - p->input_len < len) {
		size_t cap = 2 * (p->input_cap + len);
		uint8_t *input = realloc(p->input, cap);

		if (!input)
			return -ENOMEM;
		p->input = input;
		p->input_cap = cap;
	}
	memcpy(p->input + p->input_len, page->host, len);
	p->input_len += len;
	p->n_chunks++;
	p->last_chunk = len;
	return 0;
}

static void parse(const uint8_t *msg, uint32_t len, struct guest_event *ret_event)
{
	struct guest_event e = { .len = len };

	e.id = get_le32(msg);
	e.event = get_le16(msg + 4);
	e.value = get_le16(msg + 6);
	if (e.event == CONSOLE_RESIZE) {
		e.cols = get_le16(msg + 8);
		e.rows = get_le16(msg + 10);
	} else if (e.event == CONSOLE_PORT_NAME && len > CONSOLE_MSG_LEN) {
		memcpy(e.name, msg + 8, min_size(len - CONSOLE_MSG_LEN, GUEST_NAME_MAX));
	}
	*ret_event = e;
}

/* A message is as long as its event makes it, and a name has no NUL (VC-043, VC-070). */
static bool whole(const struct guest_event *e)
{
	size_t name_len = strlen(e->name);

	switch (e->event) {
	case CONSOLE_RESIZE:
		return e->len == RESIZE_LEN;
	case CONSOLE_PORT_NAME:
		return name_len > 0 && e->len == CONSOLE_MSG_LEN + name_len;
	default:
		return e->len == CONSOLE_MSG_LEN;
	}
}

static int keep_event(struct guest *g, const struct guest_event *e)
{
	if (g->n_events == g->events_cap) {
		unsigned int cap = 2 * g->events_cap + 64;
		struct guest_event *events = realloc(g->events, cap * sizeof(*events));

		if (!events)
			return -ENOMEM;
		g->events = events;
		g->events_cap = cap;
	}
	g->events[g->n_events++] = *e;
	return 0;
}

static int add_port(struct guest *g, struct guest_port *p)
{
	int err = post_port(g, p);

	p->added = true;
	p->announced = true;
	if (err == 0 && g->answers)
		err = guest_tell(g, port_id(g, p), CONSOLE_PORT_READY, 1);
	return err;
}

static int become_console(struct guest *g, struct guest_port *p)
{
	p->is_console = true;
	if (!g->answers)
		return 0;
	p->guest_open = true;
	return guest_tell(g, port_id(g, p), CONSOLE_PORT_OPEN, 1);
}

/* What Linux does with a message; one that it would drop or warn of is an error. */
static int obey(struct guest *g, const struct guest_event *e)
{
	struct guest_port *p = e->id < g->n_ports ? &g->ports[e->id] : NULL;

	if (!p || (e->event == CONSOLE_PORT_ADD ? p->announced : !p->added))
		return vhu_frontend_fail(g->fe, -EPROTO, "no message %u for port %u here", e->event,
					 e->id);
	switch (e->event) {
	case CONSOLE_PORT_ADD:
		return add_port(g, p);
	case CONSOLE_PORT_REMOVE:
		forget_port(p);
		p->input_len = 0;
		return 0;
	case CONSOLE_CONSOLE_PORT:
		return e->value ? become_console(g, p) : 0;
	case CONSOLE_PORT_OPEN:
		p->host_open = e->value != 0;
		return 0;
	case CONSOLE_RESIZE:
		p->cols = e->cols;
		p->rows = e->rows;
		return 0;
	case CONSOLE_PORT_NAME:
		memcpy(p->name, e->name, sizeof(p->name));
		return 0;
	default:
		return vhu_frontend_fail(g->fe, -EPROTO, "no message %u from a device", e->event);
	}
}

static int take_control(struct guest *g, const struct guest_page *page, uint32_t len)
{
	struct guest_event e;
	int err;

	parse(page->host, len, &e);
	if (len < CONSOLE_MSG_LEN || !whole(&e))
		return vhu_frontend_fail(g->fe, -EPROTO, "message %u to be whole, not %u bytes",
					 e.event, len);
	err = keep_event(g, &e);
	return err == 0 ? obey(g, &e) : err;
}

/* All entries of a receive ring: taken, and each page posted again. p is NULL for control. */
static int poll_ring(struct guest *g, unsigned int ring, struct guest_port *p)
{
	struct driverq *q = &g->fe->rings[ring].q;
	enum driverq_result result;
	uint32_t len;
	void *token;
	int n = 0;

	while ((result = driverq_get(q, &token, &len)) == DRIVERQ_USED) {
		const struct guest_page *page = token;
		int err = p ? take_input(g, p, page, len) : take_control(g, page, len);

		if (err == 0)
			err = post(g, ring, token);
		if (err == 0)
			err = vhu_frontend_publish(g->fe, ring);
		if (err < 0)
			return err;
		n++;
	}
	if (result != DRIVERQ_EMPTY)
		return vhu_frontend_fail(g->fe, -EPROTO, "ring %u to be kept: %s", ring,
					 driverq_result_text(result));
	return n;
}

int guest_poll_control(struct guest *g)
{
	return g->multiport ? poll_ring(g, GUEST_CTRL_RX, NULL) : 0;
}

int guest_poll(struct guest *g)
{
	int n = guest_poll_control(g);

	for (unsigned int i = 0; i < g->n_ports && n >= 0; i++) {
		int got = g->ports[i].posted ? poll_ring(g, GUEST_PORT_RX(i), &g->ports[i]) : 0;

		n = got < 0 ? got : n + got;
	}
	return n;
}

/* Asks for a call at the next entry of any receive ring; whether there is one already. */
static bool ask_for_calls(struct guest *g)
{
	bool there = g->multiport && driverq_calls_on(&g->fe->rings[GUEST_CTRL_RX].q);

	for (unsigned int i = 0; i < g->n_ports; i++)
		if (g->ports[i].posted)
			there |= driverq_calls_on(&g->fe->rings[GUEST_PORT_RX(i)].q);
	return there;
}

int guest_wait(struct guest *g, int timeout_ms)
{
	int err = guest_poll(g);

	if (err != 0)
		return err < 0 ? err : 0;
	/* Calls for what was sent have been waited for, or came too late to matter. */
	for (unsigned int i = 0; i < g->fe->n_rings; i++)
		vhu_frontend_take_calls(g->fe, i);
	if (!ask_for_calls(g))
		err = vhu_frontend_await_any_call(g->fe, timeout_ms);
	if (err == 0)
		err = guest_poll(g);
	return err < 0 ? err : 0;
}

int guest_settle(struct guest *g, int quiet_ms)
{
	int err;

	do {
		err = guest_wait(g, quiet_ms);
	} while (err == 0);
	return err == -ETIMEDOUT ? 0 : err;
}

int guest_open_port(struct guest *g, unsigned int id, bool open)
{
	struct guest_port *p = &g->ports[id];
	int err;

	p->guest_open |= open; /* input may come as soon as the device has heard of it */
	err = guest_tell(g, id, CONSOLE_PORT_OPEN, open);
	if (open || err < 0)
		return err;
	/* What came before the device had heard of it goes. */
	err = guest_poll(g);
	p->guest_open = false;
	p->input_len = 0;
	return err < 0 ? err : 0;
}
