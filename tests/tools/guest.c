/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtio/console-ctrl.h"

enum { F_MULTIPORT = 2 };

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The ring behind a row of pages. */
static unsigned int page_ring(unsigned int row)
{
	return row == 0 ? GUEST_RX : GUEST_CTRL_RX;
}

static unsigned int n_rows(const struct guest *g)
{
	return g->multiport ? 2 : 1;
}

int guest_init(struct guest *g, struct vhu_frontend *fe, uint64_t features)
{
	*g = (struct guest){ .fe = fe, .answers = true };
	g->multiport = (features & F_MULTIPORT) && fe->n_rings > GUEST_CTRL_TX &&
		       fe->rings[GUEST_CTRL_TX].size > 0;
	g->n_pages = fe->rings[GUEST_RX].size;
	if (g->n_pages > GUEST_MAX_PAGES)
		g->n_pages = GUEST_MAX_PAGES;
	for (unsigned int row = 0; row < n_rows(g); row++) {
		for (unsigned int i = 0; i < g->n_pages; i++) {
			struct guest_page *p = &g->pages[row][i];

			p->host = vhu_frontend_alloc(fe, GUEST_PAGE, GUEST_PAGE, &p->addr);
			if (!p->host)
				return -ENOMEM;
		}
	}
	g->out.host = vhu_frontend_alloc(fe, GUEST_PAGE, GUEST_PAGE, &g->out.addr);
	return g->out.host ? 0 : -ENOMEM;
}

void guest_fini(struct guest *g)
{
	free(g->input);
	*g = (struct guest){ .fe = NULL };
}

static int post(struct guest *g, unsigned int ring, struct guest_page *page)
{
	struct driverq_buf buf = { .addr = page->addr, .len = GUEST_PAGE };

	return driverq_add(&g->fe->rings[ring].q, &buf, 0, 1, false, page);
}

static int post_all(struct guest *g, unsigned int row)
{
	int err = 0;

	for (unsigned int i = 0; i < g->n_pages && err == 0; i++)
		err = post(g, page_ring(row), &g->pages[row][i]);
	return err == 0 ? vhu_frontend_publish(g->fe, page_ring(row)) : err;
}

/* With F_MULTIPORT a port's buffers come when the port does, not before. */
int guest_begin(struct guest *g)
{
	g->added = false;
	g->is_console = false;
	g->host_open = false;
	g->n_events = 0;
	return post_all(g, g->multiport ? 1 : 0);
}

/* Sends len bytes of the page on a ring and waits until they were taken. */
static int send_page(struct guest *g, unsigned int ring, size_t len, int timeout_ms)
{
	struct driverq_buf buf = { .addr = g->out.addr, .len = (uint32_t)len };
	void *token;
	uint32_t used_len;
	int err = driverq_add(&g->fe->rings[ring].q, &buf, 1, 0, false, g);

	if (err == 0)
		err = vhu_frontend_publish(g->fe, ring);
	if (err == 0)
		err = vhu_frontend_await_used(g->fe, ring, &token, &used_len, timeout_ms);
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
	put_message(g->out.host, id, event, value);
	return send_page(g, GUEST_CTRL_TX, CONSOLE_MSG_LEN, g->fe->timeout_ms);
}

static int take_input(struct guest *g, const struct guest_page *page, uint32_t len)
{
	if (len == 0)
		return vhu_frontend_fail(g->fe, -EPROTO, "no empty piece of input");
	if (g->input_cap - g->input_len < len) {
		size_t cap = 2 * (g->input_cap + len);
		uint8_t *input = realloc(g->input, cap);

		if (!input)
			return -ENOMEM;
		g->input = input;
		g->input_cap = cap;
	}
	memcpy(g->input + g->input_len, page->host, len);
	g->input_len += len;
	g->n_chunks++;
	g->last_chunk = len;
	return 0;
}

static struct guest_event parse(const struct guest_page *page, uint32_t len)
{
	struct guest_event e = { .len = len };

	memcpy(&e.id, page->host, 4);
	memcpy(&e.event, page->host + 4, 2);
	memcpy(&e.value, page->host + 6, 2);
	memcpy(&e.cols, page->host + 8, 2);
	memcpy(&e.rows, page->host + 10, 2);
	e.id = le32toh(e.id);
	e.event = le16toh(e.event);
	e.value = le16toh(e.value);
	e.cols = le16toh(e.cols);
	e.rows = le16toh(e.rows);
	return e;
}

static int add_port(struct guest *g)
{
	int err = g->added ? 0 : post_all(g, 0);

	g->added = true;
	if (err == 0 && g->answers)
		err = guest_tell(g, 0, CONSOLE_PORT_READY, 1);
	return err;
}

/* What Linux does with a message; one that it would drop or warn of is an error. */
static int obey(struct guest *g, const struct guest_event *e)
{
	bool known = e->event == CONSOLE_PORT_ADD ? e->id == 0 : g->added && e->id == 0;

	if (!known)
		return vhu_frontend_fail(g->fe, -EPROTO, "no message %u for port %u here", e->event,
					 e->id);
	switch (e->event) {
	case CONSOLE_PORT_ADD:
		return add_port(g);
	case CONSOLE_CONSOLE_PORT:
		g->is_console = e->value != 0;
		return g->answers ? guest_tell(g, e->id, CONSOLE_PORT_OPEN, 1) : 0;
	case CONSOLE_PORT_OPEN:
		g->host_open = e->value != 0;
		return 0;
	case CONSOLE_RESIZE:
	case CONSOLE_PORT_NAME:
		return 0;
	default:
		return vhu_frontend_fail(g->fe, -EPROTO, "no message %u from a device", e->event);
	}
}

static int take_control(struct guest *g, const struct guest_page *page, uint32_t len)
{
	struct guest_event e = parse(page, len);

	if (len < CONSOLE_MSG_LEN || (e.event == CONSOLE_RESIZE) != (len == CONSOLE_MSG_MAX))
		return vhu_frontend_fail(g->fe, -EPROTO, "message %u to be whole, not %u bytes",
					 e.event, len);
	if (g->n_events < GUEST_MAX_EVENTS)
		g->events[g->n_events++] = e;
	return obey(g, &e);
}

/* One entry of a receive ring: taken, and the page posted again. */
static int take_one(struct guest *g, unsigned int row, void *token, uint32_t len)
{
	struct guest_page page = *(struct guest_page *)token;
	int err = row == 0 ? take_input(g, &page, len) : take_control(g, &page, len);

	if (err == 0)
		err = post(g, page_ring(row), token);
	return err == 0 ? vhu_frontend_publish(g->fe, page_ring(row)) : err;
}

int guest_poll(struct guest *g)
{
	int n = 0;

	for (unsigned int row = 0; row < n_rows(g); row++) {
		struct driverq *q = &g->fe->rings[page_ring(row)].q;
		enum driverq_result result;
		void *token;
		uint32_t len;
		int err;

		while ((result = driverq_get(q, &token, &len)) == DRIVERQ_USED) {
			err = take_one(g, row, token, len);
			if (err < 0)
				return err;
			n++;
		}
		if (result != DRIVERQ_EMPTY)
			return vhu_frontend_fail(g->fe, -EPROTO, "ring %u to be kept: %s",
						 page_ring(row), driverq_result_text(result));
	}
	return n;
}

int guest_wait(struct guest *g, int timeout_ms)
{
	bool there = false;
	int err = guest_poll(g);

	if (err != 0)
		return err < 0 ? err : 0;
	/* Calls for what was sent have been waited for, or came too late to matter. */
	for (unsigned int i = 0; i < g->fe->n_rings; i++)
		vhu_frontend_take_calls(g->fe, i);
	for (unsigned int row = 0; row < n_rows(g); row++)
		there |= driverq_calls_on(&g->fe->rings[page_ring(row)].q);
	if (!there)
		err = vhu_frontend_await_any_call(g->fe, timeout_ms);
	if (err == 0)
		err = guest_poll(g);
	return err < 0 ? err : 0;
}

int guest_await_events(struct guest *g, unsigned int n, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	int err = 0;

	while (err == 0 && g->n_events < n) {
		if (now_ms() >= deadline)
			return vhu_frontend_fail(g->fe, -ETIMEDOUT, "%u control messages, not %u",
						 n, g->n_events);
		err = guest_wait(g, (int)(deadline - now_ms()));
	}
	return err;
}

int guest_await_host_open(struct guest *g, bool open, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	int err = 0;

	while (err == 0 && g->host_open != open) {
		if (now_ms() >= deadline)
			return vhu_frontend_fail(g->fe, -ETIMEDOUT, "the host side to be %s",
						 open ? "open" : "closed");
		err = guest_wait(g, (int)(deadline - now_ms()));
	}
	return err;
}

int guest_start(struct guest *g, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	int err = guest_begin(g);

	if (err < 0 || !g->multiport)
		return err;
	err = guest_tell(g, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	while (err == 0 && !g->is_console) {
		if (now_ms() >= deadline)
			return vhu_frontend_fail(g->fe, -ETIMEDOUT, "port 0 to become a console");
		err = guest_wait(g, (int)(deadline - now_ms()));
	}
	return err;
}

int guest_write(struct guest *g, const void *bytes, size_t len, int timeout_ms)
{
	const uint8_t *at = bytes;
	int err = 0;

	while (len > 0 && err == 0) {
		size_t n = min_size(len, GUEST_PAGE);

		memcpy(g->out.host, at, n);
		err = send_page(g, GUEST_TX, n, timeout_ms);
		at += n;
		len -= n;
	}
	return err;
}

int guest_read_some(struct guest *g, void *buf, size_t cap, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	int err = 0;
	size_t n;

	while (err == 0 && g->input_len == 0) {
		if (now_ms() >= deadline)
			return vhu_frontend_fail(g->fe, -ETIMEDOUT, "input");
		err = guest_wait(g, (int)(deadline - now_ms()));
	}
	if (err < 0)
		return err;
	n = min_size(cap, g->input_len);
	memcpy(buf, g->input, n);
	g->input_len -= n;
	memmove(g->input, g->input + n, g->input_len);
	return (int)n;
}

int guest_read(struct guest *g, void *buf, size_t len, int timeout_ms)
{
	size_t done = 0;

	while (done < len) {
		int n = guest_read_some(g, (char *)buf + done, len - done, timeout_ms);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return 0;
}
