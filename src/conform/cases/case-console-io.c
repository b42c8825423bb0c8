/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes through a port, and what its host side does. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/cases/case-console.h"

enum { MARK_LEN = 24, MARKS = 10 };

void con_fill(uint8_t *bytes, size_t len, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)(x >> 32);
	}
}

/* The guest's side. */

static int offer(struct trial *t, unsigned int id, struct con_page *page, const void *bytes,
		 size_t len)
{
	struct driverq_buf buf = { .addr = page->addr, .len = (uint32_t)len };
	unsigned int ring = con_tx(id);
	int err;

	memcpy(page->host, bytes, len);
	err = driverq_add(&t->fe.rings[ring].q, &buf, 1, 0, false, page);
	if (err < 0)
		return trial_error(t, "output on ring %u: %s", ring, strerror(-err));
	return trial_step(t, vhu_frontend_publish(&t->fe, ring), "a kick of ring %u", ring);
}

int con_offer_output(struct trial *t, unsigned int id, const void *bytes, size_t len)
{
	return offer(t, id, &con_of(t)->out, bytes, len);
}

static int write_from(struct trial *t, unsigned int id, struct con_page *page, const void *bytes,
		      size_t len)
{
	const uint8_t *at = bytes;
	int err = 0;

	while (len > 0 && err == 0) {
		size_t part = min_size(len, CON_PAGE);
		uint32_t used_len;
		void *token;

		err = offer(t, id, page, at, part);
		if (err == 0)
			err = con_take(t, con_tx(id), &token, &used_len, TRIAL_ANSWER_MS);
		if (err == 0 && !token)
			err = trial_fail(t,
					 "output of %zu bytes on port %u: expected its buffer "
					 "back, but the device kept it",
					 part, id);
		if (err == 0)
			err = con_check_length(t, con_tx(id), used_len);
		at += part;
		len -= part;
	}
	return err;
}

int con_write(struct trial *t, unsigned int id, const void *bytes, size_t len)
{
	return write_from(t, id, &con_of(t)->out, bytes, len);
}

int con_exchange(struct trial *t, unsigned int n)
{
	int err = con_of(t) ? 0 : con_begin(t);

	while (n-- > 0 && err == 0)
		err = con_write(t, 0, "a line of output\r\n", 18);
	return err;
}

int con_write_beside(struct trial *t, unsigned int id, const void *bytes, size_t len)
{
	struct con_page page = { .len = CON_PAGE };
	void *host;
	int err = trial_alloc(t, CON_PAGE, 16, &host, &page.addr);

	page.host = err == 0 ? host : NULL;
	return err < 0 ? err : write_from(t, id, &page, bytes, len);
}

int con_fill_up(struct trial *t, unsigned int id, size_t max, bool *ret_held, size_t *ret_len)
{
	uint8_t page[CON_PAGE];
	size_t done = 0;
	int err = 0;

	*ret_held = false;
	while (done < max && err == 0 && !*ret_held) {
		uint32_t used_len;
		void *token;

		con_fill(page, sizeof(page), 1 + done / CON_PAGE);
		err = con_offer_output(t, id, page, sizeof(page));
		if (err == 0)
			err = con_take(t, con_tx(id), &token, &used_len, TRIAL_QUIET_MS);
		if (err == 0)
			*ret_held = !token;
		done += sizeof(page);
	}
	if (ret_len)
		*ret_len = done;
	return err;
}

int con_post_input(struct trial *t, unsigned int id, unsigned int n, uint32_t len)
{
	struct con *con = con_of(t);
	int err = 0;

	n = (unsigned int)min_size(n, t->fe.rings[con_rx(id)].size);
	for (con->n_in = 0; con->n_in < n && err == 0; con->n_in++) {
		struct con_page *page = &con->in[con->n_in];
		void *host;

		if (!page->host) {
			err = trial_alloc(t, CON_PAGE, 16, &host, &page->addr);
			page->host = err == 0 ? host : NULL;
		}
		page->len = len;
		if (err == 0)
			err = con_post(t, con_rx(id), page);
	}
	return err;
}

int con_take_input(struct trial *t, unsigned int id, struct con_page **ret_page, uint32_t *ret_len,
		   int ms)
{
	void *token;
	int err = con_take(t, con_rx(id), &token, ret_len, ms);

	*ret_page = err == 0 ? token : NULL;
	if (err == 0 && token && *ret_len == 0)
		err = trial_fail(
			t, "input on port %u: expected bytes, but a buffer came back empty", id);
	return err;
}

static int con_read(struct trial *t, unsigned int id, void *bytes, size_t len)
{
	struct con *con = con_of(t);
	uint8_t *at = bytes;
	int err = con->n_in == 0 ? con_post_input(t, id, ARRAY_SIZE(con->in), CON_PAGE) : 0;

	while (len > 0 && err == 0) {
		struct con_page *page;
		uint32_t n;

		err = con_take_input(t, id, &page, &n, TRIAL_ANSWER_MS);
		if (err == 0 && !page)
			err = trial_fail(t,
					 "expected %zu more bytes of input on port %u, but none "
					 "came",
					 len, id);
		if (err == 0 && n > len)
			err = trial_fail(t, "expected %zu bytes of input on port %u, but %u came",
					 len, id, n);
		if (err < 0)
			return err;
		memcpy(at, page->host, n);
		at += n;
		len -= n;
		err = con_post(t, con_rx(id), page);
	}
	return err;
}

/* The host's side. */

static bool per_port(const struct trial *t)
{
	return strstr(t->target->peer, "{port}") != NULL;
}

int con_connect(struct trial *t, unsigned int id, int *ret_fd)
{
	struct target at = *t->target;
	char word[32], *address;
	const char *words[] = { word, NULL };
	int err;

	if (id > 0 && !per_port(t))
		return -ENOENT;
	snprintf(word, sizeof(word), "port=%u", id);
	address = target_expand(t->target, t->target->peer, words);
	if (!address)
		return trial_error(t, "memory for an address");
	at.peer = address;
	err = target_connect_peer(&at, ret_fd);
	free(address);
	return err < 0 ? -ENOENT : 0;
}

int con_reach(struct trial *t, unsigned int id)
{
	int err = con_connect(t, id, &t->peer_fd);

	return err == -ENOENT ? trial_na(t, "--peer has no address of port %u", id) : err;
}

int con_reach_again(struct trial *t, unsigned int id)
{
	int err = con_connect(t, id, &t->peer_fd);

	return err == -ENOENT ? trial_error(t, "--peer cannot be reached any more") : err;
}

void con_leave(struct trial *t)
{
	t->peer_fd = fd_close(t->peer_fd);
}

/* Waits until the peer can be read or written. */
static int await_peer(struct trial *t, short events, int64_t deadline)
{
	struct pollfd p = { .fd = t->peer_fd, .events = events };
	int64_t left = deadline - monotonic_ms();
	int n = poll(&p, 1, left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR)
		return trial_error(t, "poll: %s", strerror(errno));
	return n > 0 ? 0 : -ETIMEDOUT;
}

static int con_peer_read(struct trial *t, void *bytes, size_t len)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	uint8_t *at = bytes;
	size_t left = len;

	while (left > 0) {
		ssize_t n = read(t->peer_fd, at, left);

		if (n > 0) {
			at += n;
			left -= (size_t)n;
			continue;
		}
		if (n == 0 || errno != EAGAIN)
			return trial_fail(t,
					  "the host's side: expected %zu more bytes, but the "
					  "connection ended",
					  left);
		if (await_peer(t, POLLIN, deadline) < 0)
			return trial_fail(t,
					  "the host's side: expected %zu bytes, but only %zu "
					  "came",
					  len, len - left);
	}
	return 0;
}

int con_peer_read_some(struct trial *t, void *bytes, size_t cap, int quiet_ms, size_t *ret_n)
{
	uint8_t *at = bytes;
	size_t n = 0;

	while (n < cap && await_peer(t, POLLIN, monotonic_ms() + trial_ms(t, quiet_ms)) == 0) {
		ssize_t got = read(t->peer_fd, at + n, cap - n);

		if (got == 0)
			return trial_fail(t, "the host's side: expected it to stay open, but the "
					     "connection ended");
		n += got > 0 ? (size_t)got : 0;
	}
	*ret_n = n;
	return 0;
}

int con_peer_write(struct trial *t, const void *bytes, size_t len)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = write(t->peer_fd, at, len);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN)
			return trial_fail(t,
					  "the host's side: expected to write %zu more bytes, "
					  "but: %s",
					  len, strerror(errno));
		if (await_peer(t, POLLOUT, deadline) < 0)
			return trial_fail(t,
					  "the host's side: expected %zu more bytes to be "
					  "taken, but they were not",
					  len);
	}
	return 0;
}

int con_compare(struct trial *t, const char *what, const void *got, const void *wanted, size_t len)
{
	const uint8_t *a = got, *b = wanted;

	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return trial_fail(
				t, "%s: expected byte %zu of %zu to be %#04x, but it is %#04x",
				what, i, len, b[i], a[i]);
	return 0;
}

int con_peer_expect(struct trial *t, const void *bytes, size_t len, const char *what)
{
	uint8_t *got = malloc(len);
	int err = got ? con_peer_read(t, got, len) : trial_error(t, "memory for output");

	if (err == 0)
		err = con_compare(t, what, got, bytes, len);
	free(got);
	return err;
}

int con_expect_input(struct trial *t, unsigned int id, const void *bytes, size_t len,
		     const char *what)
{
	uint8_t *got = malloc(len);
	int err = got ? con_read(t, id, got, len) : trial_error(t, "memory for input");

	if (err == 0)
		err = con_compare(t, what, got, bytes, len);
	free(got);
	return err;
}

int con_both_ways(struct trial *t, unsigned int id, const void *bytes, size_t len, const char *what)
{
	char text[64];
	int err = con_write(t, id, bytes, len);

	snprintf(text, sizeof(text), "output of %s", what);
	if (err == 0)
		err = con_peer_expect(t, bytes, len, text);
	if (err == 0)
		err = con_peer_write(t, bytes, len);
	snprintf(text, sizeof(text), "input of %s", what);
	return err < 0 ? err : con_expect_input(t, id, bytes, len, text);
}

/* Whether mark comes at the host's side within ms; what is before it goes. */
static int await_mark(struct trial *t, const char *mark, int ms, bool *ret_seen)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, ms);
	uint8_t last[MARK_LEN] = { 0 };

	*ret_seen = false;
	while (memcmp(last, mark, MARK_LEN) != 0) {
		uint8_t byte;
		ssize_t n = read(t->peer_fd, &byte, 1);

		if (n == 1) {
			memmove(last, last + 1, MARK_LEN - 1);
			last[MARK_LEN - 1] = byte;
		} else if (n == 0 || errno != EAGAIN) {
			return trial_fail(t, "the host's side: expected output, but the "
					     "connection ended");
		} else if (await_peer(t, POLLIN, deadline) < 0) {
			return 0;
		}
	}
	*ret_seen = true;
	return 0;
}

/*
 * What a back-end gives from before goes: up to a mark that only we can have
 * written. It may have taken the connection after the first mark was written.
 */
int con_sync(struct trial *t, unsigned int id)
{
	bool seen = false;
	int err = 0;

	for (unsigned int i = 0; i < MARKS && err == 0 && !seen; i++) {
		char mark[MARK_LEN + 1];

		snprintf(mark, sizeof(mark), "[%08x%012llx%02x]", (unsigned int)getpid(),
			 (unsigned long long)monotonic_ms() & 0xffffffffffff, i);
		err = con_write(t, id, mark, MARK_LEN);
		if (err == 0)
			err = await_mark(t, mark, TRIAL_ANSWER_MS / MARKS, &seen);
	}
	if (err == 0 && !seen)
		err = trial_fail(t,
				 "port %u: expected what was written to it at the host's side, but "
				 "it did not come",
				 id);
	return err;
}

/* Host sides open with their first client, or were open before. */
static int await_open(struct trial *t, unsigned int id)
{
	struct con *con = con_of(t);
	struct con_msg *msg;
	int err = 0;

	if (!con->multiport)
		return 0;
	while (err == 0 && !con->ports[id].host_open) {
		err = con_hear(t, &msg, TRIAL_ANSWER_MS);
		if (err == 0 && !msg)
			err = trial_fail(t,
					 "the host's side of port %u was connected: expected "
					 "PORT_OPEN 1, but it did not come",
					 id);
	}
	con->n_seen = con->n_msgs;
	return err;
}

static bool suits(const struct con *con, unsigned int id, bool console)
{
	if (!con->multiport)
		return id == 0 && console;
	return con->ports[id].ready && con->ports[id].console == console;
}

int con_join_port(struct trial *t, unsigned int id)
{
	int err = con_connect(t, id, &t->peer_fd);

	if (err == 0)
		err = await_open(t, id);
	return err < 0 ? err : con_sync(t, id);
}

/* -ENOENT without a verdict: no such port has an address. */
static int try_join(struct trial *t, bool console, unsigned int *ret_id)
{
	struct con *con = con_of(t);
	int err = -ENOENT;

	for (unsigned int id = 0; id < con->n_ports && err == -ENOENT; id++) {
		*ret_id = id;
		if (suits(con, id, console))
			err = con_join_port(t, id);
	}
	return err;
}

int con_join(struct trial *t, bool console, unsigned int *ret_id)
{
	int err = try_join(t, console, ret_id);

	if (err != -ENOENT)
		return err;
	return trial_na(t, "--peer has no address of a port that is %sa console",
			console ? "" : "not ");
}

int con_join_any(struct trial *t, unsigned int *ret_id)
{
	int err = try_join(t, false, ret_id);

	return err == -ENOENT ? con_join(t, true, ret_id) : err;
}

int con_act(struct trial *t, const char *name, unsigned int port, const char *word,
	    const char *other)
{
	char number[32];
	const char *words[] = { number, word, other, NULL };
	int err;

	snprintf(number, sizeof(number), "port=%u", port);
	err = target_act(t->target, name, words);
	if (err < 0)
		return trial_error(t, "the command of --do %s failed: %s", name, t->target->error);
	return 0;
}
