/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "side.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

void side_init(struct side *s, struct vhu_frontend *fe, unsigned int id)
{
	*s = (struct side){
		.fe = fe,
		.id = id,
		.fd = -1,
		.out.pattern.salt = 2 * id - 1,
		.in.pattern.salt = 2 * id,
	};
}

/* Whether some are missing or come again. */
static void say_where(const struct line *l, const uint8_t *bytes, size_t len)
{
	uint64_t pos;

	if (pattern_locate(&l->pattern, bytes, len < PATTERN_LOCATE ? len : PATTERN_LOCATE, &pos))
		printf("# what came is from byte %" PRIu64 " on\n", pos);
}

void side_compare(const struct side *s, struct line *l, const uint8_t *bytes, size_t len,
		  const char *who)
{
	size_t n = pattern_match(&l->pattern, l->got, bytes, len);

	l->got += n;
	if (n < len) {
		say_where(l, bytes + n, len - n);
		die("port %u, %s: byte %" PRIu64 " of %" PRIu64 " sent is 0x%02x, expected 0x%02x",
		    s->id, who, l->got, l->sent, bytes[n], pattern_byte(&l->pattern, l->got));
	}
	if (l->got > l->sent)
		die("port %u, %s: more bytes than were sent", s->id, who);
}

/* The guest */

static struct driverq *tx_queue(const struct side *s)
{
	return &s->fe->rings[GUEST_PORT_TX(s->id)].q;
}

static struct driverq *rx_queue(const struct side *s)
{
	return &s->fe->rings[GUEST_PORT_RX(s->id)].q;
}

static void equip(struct side *s, struct side_page *pages)
{
	for (unsigned int i = 0; i < SIDE_PAGES; i++) {
		struct side_page *page = &pages[i];

		page->host = vhu_frontend_alloc(s->fe, GUEST_PAGE, GUEST_PAGE, &page->buf.addr);
		page->buf.len = GUEST_PAGE;
		if (!page->host)
			die("no guest memory");
	}
}

static void post(struct side *s, struct side_page *page)
{
	must(s->fe, driverq_add(rx_queue(s), &page->buf, 0, 1, false, page), "offering a buffer");
	s->rx_written = true;
}

static void publish_input(struct side *s)
{
	must(s->fe, vhu_frontend_publish(s->fe, GUEST_PORT_RX(s->id)), "kicking");
}

void side_open(struct side *s, struct guest *g)
{
	equip(s, s->tx);
	equip(s, s->rx);
	for (unsigned int i = 0; i < SIDE_PAGES; i++)
		post(s, &s->rx[i]);
	publish_input(s);
	must(s->fe, guest_open_port(g, s->id, true), "opening a port");
}

void side_collect(struct side *s)
{
	enum driverq_result result;
	uint32_t len;
	void *token;

	while ((result = driverq_get(tx_queue(s), &token, &len)) == DRIVERQ_USED) {
		struct side_page *page = token;

		if (len != 0 || !page->out)
			die("port %u: a transmit chain came back %s", s->id,
			    len ? "with a length" : "twice");
		page->out = false;
	}
	if (result != DRIVERQ_EMPTY)
		die("port %u: %s", s->id, driverq_result_text(result));
}

/* A chain of a few buffers, which lie next to each other. */
static void send_page(struct side *s, struct side_page *page)
{
	struct driverq_buf bufs[SIDE_BUFS];
	unsigned int n = 1 + (unsigned int)(run_random() % SIDE_BUFS);
	uint64_t at = page->buf.addr;
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; at += bufs[i++].len) {
		bufs[i].addr = at;
		bufs[i].len = 1 + (uint32_t)(run_random() % (GUEST_PAGE / SIDE_BUFS));
		len += bufs[i].len;
	}
	page->buf.len = len;
	pattern_fill(&s->out.pattern, s->out.sent, page->host, len);
	must(s->fe, driverq_add(tx_queue(s), bufs, n, 0, false, page), "offering output");
	page->out = true;
	page->written = true;
	s->tx_written = true;
	s->out.sent += page->buf.len;
}

void side_send(struct side *s)
{
	side_collect(s);
	for (unsigned int i = 0; i < SIDE_PAGES; i++)
		if (!s->tx[i].out && run_random() % 4 != 0)
			send_page(s, &s->tx[i]);
	must(s->fe, vhu_frontend_publish(s->fe, GUEST_PORT_TX(s->id)), "kicking");
}

static void take_input(struct side *s, const struct side_page *page, uint32_t len)
{
	if (len == 0)
		die("port %u: an empty piece of input", s->id);
	if (s->take)
		s->take(s, page->host, len);
	else
		side_compare(s, &s->in, page->host, len, "input");
}

void side_receive(struct side *s, unsigned int max)
{
	enum driverq_result result = DRIVERQ_EMPTY;
	uint32_t len;
	void *token;

	for (; max > 0; max--) {
		result = driverq_get(rx_queue(s), &token, &len);
		if (result != DRIVERQ_USED)
			break;
		take_input(s, token, len);
		post(s, token);
		publish_input(s);
	}
	if (result != DRIVERQ_EMPTY && result != DRIVERQ_USED)
		die("port %u: %s", s->id, driverq_result_text(result));
}

void side_drain(struct side *s)
{
	uint32_t len;
	void *token;

	while (driverq_get(rx_queue(s), &token, &len) == DRIVERQ_USED) {
		const struct side_page *page = token;

		take_input(s, page, len);
	}
}

/* The client */

void side_connect(struct side *s, const struct run_daemon *d)
{
	char path[128];

	daemon_port_path(d, s->id, path);
	s->fd = daemon_dial_patiently(d, path);
}

bool side_client_receive(struct side *s)
{
	uint8_t buf[SIDE_CHUNK];
	ssize_t n;

	while ((n = read(s->fd, buf, sizeof(buf))) > 0)
		side_compare(s, &s->out, buf, (size_t)n, "output");
	return n < 0 && errno == EAGAIN;
}

void side_leave(struct side *s)
{
	side_client_receive(s);
	s->fd = fd_close(s->fd);
}

void side_input(const struct side *s, uint8_t *ret_bytes, size_t len)
{
	pattern_fill(&s->in.pattern, s->in.sent, ret_bytes, len);
}

void side_client_send(struct side *s)
{
	uint8_t buf[SIDE_CHUNK];
	size_t len = 1 + run_random() % SIDE_CHUNK;
	ssize_t n;

	pattern_fill(&s->in.pattern, s->in.sent, buf, len);
	n = send(s->fd, buf, len, MSG_NOSIGNAL);
	if (n > 0)
		s->in.sent += (uint64_t)n;
}

bool side_all_read(const struct side *s)
{
	int left = 0;

	if (ioctl(s->fd, SIOCOUTQ, &left) < 0)
		die("SIOCOUTQ: %s", strerror(errno));
	return left == 0;
}
