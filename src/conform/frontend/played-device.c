/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Devices of the played back-end: as much of each as a Linux driver needs to find and use it. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conform/frontend/played.h"

enum {
	CONSOLE_RX = 0,
	CONSOLE_TX = 1,
	BLOCK_SECTORS = 2048,
	BLOCK_SECTOR = 512,
	BLOCK_ID = 20,
	VSOCK_RX = 0,
	VSOCK_TX = 1,
	VSOCK_HEADER = 44,
	VSOCK_CID = 42,
	VSOCK_ANSWERS = 64, /* packets that may wait for room */
	TURN = 256,	    /* chains of a ring before others get theirs */
};

static void put(uint8_t *config, size_t at, uint64_t value, size_t len)
{
	const uint64_t le = htole64(value);

	memcpy(config + at, &le, len);
}

/* Takes what comes and gives it back; nothing is written. */
static void swallow(struct played *p, unsigned int idx)
{
	struct chain chain;

	for (unsigned int n = 0; n < TURN && played_ring_pop(p, idx, &chain); n++)
		played_ring_push(p, idx, chain.head, 0);
}

/* Console: output is swallowed; after the first of it a line end is typed. */

static void console_config(uint8_t *config)
{
	put(config, 0, 80, 2);
	put(config, 2, 25, 2);
	put(config, 4, 1, 4);
}

static void console_type(struct played *p)
{
	struct chain chain;

	if (p->newline_sent || !played_ring_runs(p, CONSOLE_RX) ||
	    !played_ring_pop(p, CONSOLE_RX, &chain))
		return;
	p->newline_sent = true;
	played_ring_push(p, CONSOLE_RX, chain.head, (uint32_t)chain_write(&chain, 0, "\n", 1));
}

static void console_serve(struct played *p, unsigned int idx)
{
	if (idx != CONSOLE_TX)
		return;
	swallow(p, idx);
	if (p->rings[idx].n_chains > 0)
		console_type(p);
}

/* Entropy. */

static void no_config(uint8_t *config)
{
	(void)config;
}

static void rng_serve(struct played *p, unsigned int idx)
{
	struct chain chain;

	for (unsigned int n = 0; n < TURN && played_ring_pop(p, idx, &chain); n++) {
		uint8_t bytes[256];
		size_t want = min_size(chain.in_len, sizeof(bytes));
		ssize_t got = getrandom(bytes, want, GRND_NONBLOCK);
		size_t len = got < 0 ? 0 : chain_write(&chain, 0, bytes, (size_t)got);

		played_ring_push(p, idx, chain.head, (uint32_t)len);
	}
}

/* Block: a disk in memory. */

enum { BLOCK_IN = 0, BLOCK_OUT = 1, BLOCK_FLUSH = 4, BLOCK_GET_ID = 8 };
enum { BLOCK_OK = 0, BLOCK_IOERR = 1, BLOCK_UNSUPPORTED = 2 };

static void block_config(uint8_t *config)
{
	put(config, 0, BLOCK_SECTORS, 8);
	put(config, 12, 62, 4);		  /* seg_max */
	put(config, 20, BLOCK_SECTOR, 4); /* blk_size */
	put(config, 32, 1, 1);		  /* writeback */
	put(config, 34, 1, 2);		  /* num_queues */
}

struct block_request {
	uint32_t type;
	uint64_t sector;
	size_t out_len, in_len; /* data without header and status */
	size_t written;
};

/* The stretch of the disk, or NULL when it does not lie within. */
static uint8_t *block_at(const struct played *p, const struct block_request *r, size_t len)
{
	uint64_t at;

	if (!mul_u64(r->sector, BLOCK_SECTOR, &at) ||
	    !range_within(at, len, 0, (uint64_t)BLOCK_SECTORS * BLOCK_SECTOR))
		return NULL;
	return p->disk + at;
}

static uint8_t block_do(const struct played *p, const struct chain *chain, struct block_request *r)
{
	static const char id[BLOCK_ID] = "vhu-conform";
	uint8_t *at;

	switch (r->type) {
	case BLOCK_IN:
		at = block_at(p, r, r->in_len);
		if (!at)
			return BLOCK_IOERR;
		r->written = chain_write(chain, 0, at, r->in_len);
		return BLOCK_OK;
	case BLOCK_OUT:
		at = block_at(p, r, r->out_len);
		if (!at)
			return BLOCK_IOERR;
		chain_read(chain, 16, at, r->out_len);
		return BLOCK_OK;
	case BLOCK_FLUSH:
		return BLOCK_OK;
	case BLOCK_GET_ID:
		r->written = chain_write(chain, 0, id, min_size(r->in_len, sizeof(id)));
		return BLOCK_OK;
	default:
		return BLOCK_UNSUPPORTED;
	}
}

static uint32_t block_take(struct played *p, const struct chain *chain)
{
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} head = { 0 };
	struct block_request r = { 0 };
	uint8_t status;

	if (chain->out_len < sizeof(head) || chain->in_len < 1)
		return 0;
	chain_read(chain, 0, &head, sizeof(head));
	r.type = le32toh(head.type);
	r.sector = le64toh(head.sector);
	r.out_len = (size_t)chain->out_len - sizeof(head);
	r.in_len = (size_t)chain->in_len - 1;
	status = p->disk ? block_do(p, chain, &r) : BLOCK_IOERR;
	chain_write(chain, r.in_len, &status, 1);
	return (uint32_t)r.written + 1;
}

static void block_serve(struct played *p, unsigned int idx)
{
	struct chain chain;

	if (!p->disk)
		p->disk = calloc(BLOCK_SECTORS, BLOCK_SECTOR);
	for (unsigned int n = 0; n < TURN && played_ring_pop(p, idx, &chain); n++)
		played_ring_push(p, idx, chain.head, block_take(p, &chain));
}

/* Sockets: every packet but a reset is answered with a reset. */

enum { VSOCK_OP_RST = 3 };

static void vsock_config(uint8_t *config)
{
	put(config, 0, VSOCK_CID, 8);
}

/* src_cid, dst_cid, src_port, dst_port, len, type, op, flags, buf_alloc, fwd_cnt */
static void vsock_answer(struct played *p, const uint8_t *h)
{
	uint8_t *a;

	if (!p->answers)
		p->answers = calloc(VSOCK_ANSWERS, VSOCK_HEADER);
	if (!p->answers || p->n_answers == (size_t)VSOCK_ANSWERS * VSOCK_HEADER)
		return;
	a = p->answers + p->n_answers;
	memset(a, 0, VSOCK_HEADER);
	memcpy(a, h + 8, 8);
	memcpy(a + 8, h, 8);
	memcpy(a + 16, h + 20, 4);
	memcpy(a + 20, h + 16, 4);
	memcpy(a + 28, h + 28, 2);
	put(a, 30, VSOCK_OP_RST, 2);
	p->n_answers += VSOCK_HEADER;
}

static void vsock_deliver(struct played *p)
{
	struct chain chain;

	while (p->n_answers > 0 && played_ring_runs(p, VSOCK_RX) &&
	       played_ring_pop(p, VSOCK_RX, &chain)) {
		size_t len = chain_write(&chain, 0, p->answers, VSOCK_HEADER);

		p->n_answers -= VSOCK_HEADER;
		memmove(p->answers, p->answers + VSOCK_HEADER, p->n_answers);
		played_ring_push(p, VSOCK_RX, chain.head, (uint32_t)len);
	}
}

static void vsock_serve(struct played *p, unsigned int idx)
{
	struct chain chain;

	if (idx != VSOCK_TX)
		return;
	for (unsigned int n = 0; n < TURN && played_ring_pop(p, idx, &chain); n++) {
		uint8_t h[VSOCK_HEADER];
		size_t len = chain_read(&chain, 0, h, sizeof(h));

		played_ring_push(p, idx, chain.head, 0);
		if (len == sizeof(h) && get_le16(h + 30) != VSOCK_OP_RST)
			vsock_answer(p, h);
	}
	vsock_deliver(p);
}

/* Network: swallows, says nothing. */

static void net_config(uint8_t *config)
{
	static const uint8_t mac[6] = { 0x02, 'v', 'h', 'u', 0, 1 };

	memcpy(config, mac, sizeof(mac));
	put(config, 6, 1, 2); /* link up */
	put(config, 8, 1, 2);
	put(config, 10, 1500, 2);
}

static void net_serve(struct played *p, unsigned int idx)
{
	if (idx % 2 == 1)
		swallow(p, idx);
}

const struct played_device played_devices[] = {
#define DEVICE(name, n_rings, per_queue, features, config_len, make_config, serve, poked)          \
	{ name, n_rings, per_queue, features, config_len, make_config, serve, poked },
#include "conform/frontend/played-devices.def"
};

const size_t n_played_devices = ARRAY_SIZE(played_devices);

const struct played_device *played_device_find(const char *name)
{
	for (size_t i = 0; i < n_played_devices; i++)
		if (strcmp(played_devices[i].name, name) == 0)
			return &played_devices[i];
	return NULL;
}
