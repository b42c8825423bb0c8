/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-line.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/load.h"

enum {
	PAGE = 4096,
	MAX_CHAIN = 256,
	READ_LEN = 128 * 1024,
	SHOW_EVERY = 32, /* chains of input that are posted again before the device is told */
};

/* Memory. */

static unsigned int descriptors(const struct load_shape *shape, uint32_t len)
{
	return (unsigned int)min_u64(shape->chain, len);
}

/* How many chains of n descriptors a ring holds. */
static unsigned int chains(const struct load_shape *shape, unsigned int ring, unsigned int n)
{
	return shape->indirect ? ring : ring / n;
}

static unsigned int rx_chains(const struct load_shape *shape, unsigned int ring)
{
	unsigned int n = chains(shape, ring, descriptors(shape, shape->rx_chunk));

	return shape->n_rx > 0 ? (unsigned int)min_u64(n, shape->n_rx) : n;
}

/* A ring's worth of chunks, and whole periods. */
static uint64_t out_area(const struct load_shape *shape, unsigned int ring, size_t period)
{
	uint64_t len =
		(uint64_t)chains(shape, ring, descriptors(shape, shape->chunk)) * shape->chunk;

	return (len + period - 1) / period * period;
}

uint64_t load_line_memory(const struct load_shape *shape, unsigned int ring, size_t period)
{
	uint64_t len = out_area(shape, ring, period);

	len += (uint64_t)rx_chains(shape, ring) * shape->rx_chunk;
	if (shape->indirect)
		len += 2 * driverq_table_bytes(ring, shape->chain);
	return len + 4 * PAGE;
}

static int give_tables(struct vhu_frontend *fe, struct driverq *q, unsigned int n)
{
	uint64_t addr;
	void *host = vhu_frontend_alloc(fe, driverq_table_bytes(q->size, n), PAGE, &addr);

	if (!host)
		return -ENOMEM;
	driverq_set_tables(q, host, addr, n);
	return 0;
}

static int take_memory(struct load_line *l)
{
	const struct load_shape *shape = &l->shape;
	unsigned int ring = l->tx->size;
	int err = 0;
	void *out;

	if (shape->indirect)
		err = give_tables(l->fe, l->tx, shape->chain);
	if (shape->indirect && err == 0)
		err = give_tables(l->fe, l->rx, shape->chain);
	if (err < 0)
		return err;
	l->out_area_len = out_area(shape, ring, l->pattern->period);
	out = vhu_frontend_alloc(l->fe, l->out_area_len, PAGE, &l->out_addr);
	l->in_host = vhu_frontend_alloc(l->fe, (size_t)rx_chains(shape, ring) * shape->rx_chunk,
					PAGE, &l->in_addr);
	l->slots = calloc(ring, sizeof(*l->slots));
	if (!out || !l->in_host || !l->slots)
		return -ENOMEM;
	load_pattern_fill(l->pattern, out, l->out_area_len);
	return 0;
}

int load_line_init(struct load_line *l, struct vhu_frontend *fe, unsigned int tx_ring, int peer,
		   const struct load_shape *shape, const struct load_pattern *pattern)
{
	int err;

	*l = (struct load_line){
		.name = l->name,
		.fe = fe,
		.tx_ring = tx_ring,
		.rx_ring = tx_ring - 1,
		.tx = &fe->rings[tx_ring].q,
		.rx = &fe->rings[tx_ring - 1].q,
		.peer = peer,
		.pattern = pattern,
		.shape = *shape,
	};
	l->n_slots = chains(shape, l->tx->size, descriptors(shape, shape->chunk));
	err = take_memory(l);
	if (err < 0)
		return load_fail(err, "%s: memory for buffers: %s", l->name, strerror(-err));
	load_line_calls_off(l);
	return 0;
}

void load_line_fini(struct load_line *l)
{
	l->peer = fd_close(l->peer);
	free(l->slots);
	l->slots = NULL;
}

/* Offering. */

/* Cuts len bytes at addr into as many buffers as a chain has; the last one has the rest. */
static unsigned int cut(const struct load_shape *shape, uint64_t addr, uint32_t len,
			struct driverq_buf *bufs)
{
	unsigned int n = descriptors(shape, len);
	uint32_t part = len / n;

	for (unsigned int i = 0; i < n; i++)
		bufs[i] = (struct driverq_buf){ .addr = addr + i * part, .len = part };
	bufs[n - 1].len = len - (n - 1) * part;
	return n;
}

static int add(struct load_line *l, struct driverq *q, uint64_t addr, uint32_t len, bool out,
	       void *token)
{
	struct driverq_buf bufs[MAX_CHAIN];
	unsigned int n = cut(&l->shape, addr, len, bufs);
	int err = driverq_add(q, bufs, out ? n : 0, out ? 0 : n, l->shape.indirect, token);

	return err < 0 ? load_fail(err, "%s: a chain of %u descriptors in a ring of %u: %s",
				   l->name, n, q->size, strerror(-err))
		       : 0;
}

static int kick_if(struct load_line *l, unsigned int ring, bool wanted)
{
	int err;

	if (!wanted)
		return 0;
	l->n_kicks++;
	err = vhu_frontend_kick(l->fe, ring);
	return err < 0 ? load_fail(err, "%s: expected %s", l->name, l->fe->error) : 0;
}

int load_line_offer(struct load_line *l, uint64_t at_ns)
{
	struct load_slot *slot = &l->slots[driverq_next_id(l->tx)];
	uint64_t addr = l->out_addr + l->out_next;

	slot->at_ns = at_ns;
	l->out_next += l->shape.chunk;
	if (l->out_next == l->out_area_len)
		l->out_next = 0;
	l->out_offered += l->shape.chunk;
	l->n_out++;
	return add(l, l->tx, addr, l->shape.chunk, true, slot);
}

int load_line_show(struct load_line *l)
{
	return kick_if(l, l->tx_ring, driverq_publish(l->tx));
}

/* A chain for input, known by its place in memory. */
static int post_one(struct load_line *l, uint8_t *place)
{
	uint64_t addr = l->in_addr + (uint64_t)(place - l->in_host);

	return add(l, l->rx, addr, l->shape.rx_chunk, false, place);
}

int load_line_post(struct load_line *l)
{
	unsigned int n = rx_chains(&l->shape, l->rx->size);
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++)
		err = post_one(l, l->in_host + (size_t)i * l->shape.rx_chunk);
	return err == 0 ? kick_if(l, l->rx_ring, driverq_publish(l->rx)) : err;
}

/* Taking back. */

/* What a device must not return is counted; the first one is told. */
static void note_violation(struct load_line *l, const struct driverq *q, const char *what)
{
	if (l->n_violations++ == 0)
		load_fail(0, "%s: ring %u: %s; the used entry is {id %u, len %u}", l->name,
			  q == l->tx ? l->tx_ring : l->rx_ring, what, q->last_id, q->last_len);
}

/*
 * The next chain that came back: 1, what it was offered with and its length; 0:
 * none. Only without knowing where the ring stands there is no going on: a packed
 * ring is lost with a descriptor that names nothing.
 */
static int get(struct load_line *l, struct driverq *q, bool input, void **ret_token,
	       uint32_t *ret_len)
{
	enum driverq_result result;

	while ((result = driverq_get(q, ret_token, ret_len)) == DRIVERQ_BAD_ID && !q->packed)
		note_violation(l, q, driverq_result_text(result));
	if (result == DRIVERQ_EMPTY)
		return 0;
	if (result == DRIVERQ_BAD_IDX || result == DRIVERQ_BAD_ID) {
		l->n_violations++;
		return load_fail(-EPROTO, "%s: ring %u: %s", l->name,
				 input ? l->rx_ring : l->tx_ring, driverq_result_text(result));
	}
	if (result == DRIVERQ_BAD_LEN)
		note_violation(l, q, driverq_result_text(result));
	else if (input && *ret_len == 0)
		note_violation(l, q, "a chain for input returned without any");
	return 1;
}

int load_line_reap(struct load_line *l, uint64_t *ret_at_ns)
{
	uint32_t len;
	void *token;
	int got = get(l, l->tx, false, &token, &len);

	if (got == 1) {
		const struct load_slot *slot = token;

		l->n_out--;
		*ret_at_ns = slot->at_ns;
	}
	return got;
}

static int wrong(const struct load_line *l, const char *where, uint64_t pos, uint8_t is)
{
	return load_fail(-EBADMSG, "%s: byte %" PRIu64 " %s is 0x%02x, not 0x%02x", l->name, pos,
			 where, is, *load_pattern_at(l->pattern, pos));
}

static int check_input(struct load_line *l, const uint8_t *bytes, uint32_t len)
{
	size_t n = load_pattern_match(l->pattern, l->in_seen, bytes, len);

	if (n < len)
		return wrong(l, "of the input", l->in_seen + n, bytes[n]);
	l->in_seen += len;
	if (l->in_seen > l->in_sent)
		return load_fail(-EBADMSG, "%s: %" PRIu64 " bytes of input, %" PRIu64 " were sent",
				 l->name, l->in_seen, l->in_sent);
	return 0;
}

int load_line_take(struct load_line *l)
{
	int n = 0, got, err = 0;
	uint32_t len;
	void *place;

	while (err == 0 && (got = get(l, l->rx, true, &place, &len)) != 0) {
		if (got < 0)
			return got;
		err = check_input(l, place, (uint32_t)min_u64(len, l->shape.rx_chunk));
		if (err == 0)
			err = post_one(l, place);
		if (err == 0 && ++n % SHOW_EVERY == 0)
			err = kick_if(l, l->rx_ring, driverq_publish(l->rx));
	}
	if (err == 0 && n % SHOW_EVERY != 0)
		err = kick_if(l, l->rx_ring, driverq_publish(l->rx));
	return err < 0 ? err : n;
}

/* The peer. */

int load_line_read(struct load_line *l)
{
	static uint8_t bytes[READ_LEN];
	ssize_t len = recv(l->peer, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t n;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len <= 0)
		return load_fail(len < 0 ? -errno : -ECONNRESET,
				 "%s: the peer's connection at byte %" PRIu64 ": %s", l->name,
				 l->out_seen, len < 0 ? strerror(errno) : "closed by the back-end");
	n = load_pattern_match(l->pattern, l->out_seen, bytes, (size_t)len);
	if (n < (size_t)len)
		return wrong(l, "of the output", l->out_seen + n, bytes[n]);
	l->out_seen += (uint64_t)len;
	if (l->out_seen > l->out_offered)
		return load_fail(-EBADMSG,
				 "%s: %" PRIu64 " bytes of output, %" PRIu64 " were written",
				 l->name, l->out_seen, l->out_offered);
	return (int)len;
}

int load_line_send(struct load_line *l, size_t len)
{
	ssize_t n = send(l->peer, load_pattern_at(l->pattern, l->in_sent),
			 min_size(len, l->pattern->period), MSG_DONTWAIT | MSG_NOSIGNAL);

	l->full = n < 0 && errno == EAGAIN;
	if (l->full || (n < 0 && errno == EINTR))
		return 0;
	if (n < 0)
		return load_fail(-errno, "%s: the peer's connection at byte %" PRIu64 ": %s",
				 l->name, l->in_sent, strerror(errno));
	l->in_sent += (uint64_t)n;
	return (int)n;
}

/* Calls. */

bool load_line_calls_on(struct load_line *l, bool out, bool in)
{
	bool there = out && driverq_calls_on(l->tx);

	return (in && driverq_calls_on(l->rx)) || there;
}

void load_line_calls_off(struct load_line *l)
{
	driverq_calls_off(l->tx);
	driverq_calls_off(l->rx);
}

/* An eventfd's value is how often it was written since; a socket has a value for each. */
static uint64_t take_calls(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t values[64], n_calls = 0;
	ssize_t len;

	if (fd < 0 || poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN))
		return 0;
	len = read(fd, values, sizeof(values));
	for (ssize_t i = 0; i < len / (ssize_t)sizeof(values[0]); i++)
		n_calls += values[i];
	return n_calls;
}

void load_line_take_calls(struct load_line *l)
{
	l->n_calls += take_calls(l->fe->rings[l->tx_ring].call_fd);
	l->n_calls += take_calls(l->fe->rings[l->rx_ring].call_fd);
}
