/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Devices other than consoles: that data flows, and answers are right. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/devices/device-fs.h"
#include "conform/devices/device-list.h"
#include "conform/devices/device-vsock.h"
#include "conform/trial/trial-ring.h"

/* Block. */

enum {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_NONSENSE = 0x7fffff,

	BLK_OK = 0,
	BLK_IOERR = 1,
	BLK_UNSUPP = 2,

	BLK_HEADER_LEN = 16,
	BLK_ID_LEN = 20,
	SECTOR = 512,
	SECTORS = 8, /* of a larger request */
};

struct blk {
	uint32_t type;
	uint64_t sector;
	const uint8_t *out; /* what is written */
	size_t out_len;
	uint8_t *in; /* what is read, in_len bytes */
	size_t in_len;
	uint8_t status;
	uint32_t used_len;
};

static int block(struct trial *t, struct blk *b)
{
	uint8_t out[BLK_HEADER_LEN + SECTOR] = { 0 };
	uint8_t in[SECTORS * SECTOR + 1];
	uint32_t type = htole32(b->type);
	uint64_t sector = htole64(b->sector);
	int err;

	memcpy(out, &type, sizeof(type));
	memcpy(out + 8, &sector, sizeof(sector));
	if (b->out_len > 0)
		memcpy(out + BLK_HEADER_LEN, b->out, b->out_len);
	memset(in, 0xff, sizeof(in));
	err = device_io(t, trial_ring(t), out, BLK_HEADER_LEN + b->out_len, in, b->in_len + 1,
			&b->used_len);
	if (err < 0)
		return err;
	if (b->in_len > 0)
		memcpy(b->in, in, b->in_len);
	b->status = in[b->in_len];
	return 0;
}

static int expect_status(struct trial *t, const struct blk *b, uint8_t status, const char *what)
{
	if (b->status == status)
		return 0;
	return trial_fail(t, "%s: expected status %u, but it is %u", what, status, b->status);
}

static int read_sectors(struct trial *t, uint64_t sector, unsigned int n, uint8_t *bytes)
{
	struct blk b = { .type = BLK_IN, .sector = sector, .in = bytes, .in_len = n * SECTOR };
	int err = block(t, &b);

	if (err == 0)
		err = expect_status(t, &b, BLK_OK, "a read");
	if (err == 0 && b.used_len != b.in_len + 1)
		err = trial_fail(t, "a read: expected used length %zu, but it is %u", b.in_len + 1,
				 b.used_len);
	return err;
}

static int write_sector(struct trial *t, uint64_t sector, const uint8_t *bytes)
{
	struct blk b = { .type = BLK_OUT, .sector = sector, .out = bytes, .out_len = SECTOR };
	int err = block(t, &b);

	return err < 0 ? err : expect_status(t, &b, BLK_OK, "a write");
}

/* How many sectors there are. */
static int capacity(struct trial *t, uint64_t at_least, uint64_t *ret_n)
{
	uint64_t n = 0;
	int err = trial_step(t, vhu_frontend_get_config(&t->fe, 0, sizeof(n), VHU_CONFIG_GUEST, &n),
			     "GET_CONFIG of the capacity");

	*ret_n = le64toh(n);
	if (err == 0 && *ret_n < at_least)
		err = trial_na(t, "it has less than %llu sectors", (unsigned long long)at_least);
	return err;
}

int case_block_read(struct trial *t)
{
	uint8_t all[SECTORS * SECTOR], one[SECTOR];
	uint64_t n;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = capacity(t, SECTORS, &n);
	if (err == 0)
		err = read_sectors(t, 0, SECTORS, all);
	for (unsigned int i = 0; i < SECTORS && err == 0; i++) {
		err = read_sectors(t, i, 1, one);
		if (err == 0 && memcmp(one, all + (size_t)i * SECTOR, SECTOR) != 0)
			err = trial_fail(t,
					 "sector %u: expected the same read alone and with "
					 "others, but they differ",
					 i);
	}
	return err;
}

int case_block_write(struct trial *t)
{
	uint8_t before[SECTOR], other[SECTOR], after[SECTOR];
	uint64_t n;
	int err = trial_boot(t, NULL), undone;

	if (err == 0)
		err = capacity(t, 1, &n);
	if (err == 0)
		err = read_sectors(t, n - 1, 1, before);
	if (err < 0)
		return err;
	for (unsigned int i = 0; i < SECTOR; i++)
		other[i] = (uint8_t)(before[i] ^ (i + 1));
	err = write_sector(t, n - 1, other);
	if (err < 0)
		return err;
	err = read_sectors(t, n - 1, 1, after);
	undone = write_sector(t, n - 1, before);
	if (err == 0 && memcmp(other, after, SECTOR) != 0)
		err = trial_fail(t, "the last sector: expected what was written to it, but "
				    "something else was read");
	return err < 0 ? err : undone;
}

int case_block_flush(struct trial *t)
{
	struct blk b = { .type = BLK_FLUSH };
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = block(t, &b);
	return err < 0 ? err : expect_status(t, &b, BLK_OK, "a flush");
}

int case_block_id(struct trial *t)
{
	uint8_t id[BLK_ID_LEN];
	struct blk b = { .type = BLK_GET_ID, .in = id, .in_len = sizeof(id) };
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = block(t, &b);
	if (err == 0 && b.status == BLK_UNSUPP)
		return trial_remark(t, "GET_ID is not supported");
	if (err == 0)
		err = expect_status(t, &b, BLK_OK, "GET_ID");
	if (err == 0 && b.used_len != BLK_ID_LEN + 1)
		trial_remark(t, "GET_ID: the used length is %u", b.used_len);
	return err;
}

int case_block_beyond(struct trial *t)
{
	uint8_t bytes[SECTOR];
	struct blk b = { .type = BLK_IN, .in = bytes, .in_len = sizeof(bytes) };
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = capacity(t, 0, &b.sector);
	if (err == 0)
		err = block(t, &b);
	if (err == 0)
		err = expect_status(t, &b, BLK_IOERR, "a read beyond the last sector");
	b.sector = UINT64_MAX;
	if (err == 0)
		err = block(t, &b);
	if (err == 0)
		err = expect_status(t, &b, BLK_IOERR, "a read of sector 2^64 - 1");
	return err;
}

int case_block_unknown(struct trial *t)
{
	struct blk b = { .type = BLK_NONSENSE };
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = block(t, &b);
	if (err == 0)
		err = expect_status(t, &b, BLK_UNSUPP, "a request of an unknown type");
	return err < 0 ? err : trial_exchange(t, 1);
}

/* Entropy. */

enum { RNG_LEN = 64, RNG_PAGE = 4096, GUARD = 0xa5 };

static int random_bytes(struct trial *t, uint8_t *bytes, size_t len, uint32_t *ret_len)
{
	int err = device_io(t, trial_ring(t), NULL, 0, bytes, len, ret_len);

	if (err == 0 && (*ret_len == 0 || *ret_len > len))
		err = trial_fail(t, "entropy: expected 1 to %zu bytes, but %u came", len, *ret_len);
	return err;
}

int case_rng_differs(struct trial *t)
{
	uint8_t a[RNG_LEN], b[RNG_LEN];
	uint32_t n_a = 0, n_b = 0;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = random_bytes(t, a, sizeof(a), &n_a);
	if (err == 0)
		err = random_bytes(t, b, sizeof(b), &n_b);
	if (err == 0 && n_a >= 16 && n_b >= 16 && memcmp(a, b, 16) == 0)
		err = trial_fail(t, "entropy: expected other bytes the second time, but the first "
				    "16 are the same");
	return err;
}

int case_rng_lengths(struct trial *t)
{
	static const size_t lens[] = { 1, 7, 64, 4096 };
	uint8_t bytes[RNG_PAGE];
	int err = trial_boot(t, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(lens) && err == 0; i++) {
		uint32_t n = 0;

		err = random_bytes(t, bytes, lens[i], &n);
		if (err == 0 && n < lens[i])
			trial_remark(t, "%u of %zu bytes are given", n, lens[i]);
	}
	return err;
}

int case_rng_within(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	struct driverq_buf buf;
	uint32_t n = 0;
	uint64_t addr;
	uint8_t *host;
	void *at, *token;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_alloc(t, RNG_PAGE, 16, &at, &addr);
	if (err < 0)
		return err;
	host = at;
	memset(host, GUARD, RNG_PAGE);
	buf = (struct driverq_buf){ addr + 100, RNG_LEN };
	err = driverq_add(&t->fe.rings[ring].q, &buf, 0, 1, false, host);
	if (err < 0)
		return trial_error(t, "a buffer: %s", strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, ring), "a kick");
	if (err == 0)
		err = trial_step(t,
				 vhu_frontend_await_used(&t->fe, ring, &token, &n,
							 trial_ms(t, TRIAL_ANSWER_MS)),
				 "entropy");
	for (unsigned int i = 0; i < RNG_PAGE && err == 0; i++)
		if ((i < 100 || i >= 100 + RNG_LEN) && host[i] != GUARD)
			err = trial_fail(t,
					 "entropy: expected nothing outside of the buffer, but "
					 "byte %d from its start was written",
					 (int)i - 100);
	return err;
}

/* Sockets. */

/* A packet of the guest on the transmit ring, and what comes back on the receive ring. */
static int converse(struct trial *t, const struct vsock_packet *sent,
		    struct vsock_packet *ret_heard, bool *ret_any)
{
	uint8_t out[VSOCK_HEADER_LEN];
	struct driverq_buf buf = { .len = RNG_PAGE };
	uint32_t n = 0;
	void *host, *token;
	int err = trial_alloc(t, buf.len, 16, &host, &buf.addr);

	if (err < 0)
		return err;
	err = driverq_add(&t->fe.rings[0].q, &buf, 0, 1, false, host);
	if (err < 0)
		return trial_error(t, "a receive buffer: %s", strerror(-err));
	vsock_pack(sent, out);
	err = trial_step(t, vhu_frontend_publish(&t->fe, 0), "a kick of ring 0");
	if (err == 0)
		err = device_io(t, 1, out, sizeof(out), NULL, 0, &n);
	if (err == 0)
		err = vhu_frontend_await_used(&t->fe, 0, &token, &n, trial_ms(t, TRIAL_ANSWER_MS));
	if (err == -ETIMEDOUT)
		return 0;
	err = trial_step(t, err, "an answer to a packet");
	if (err == 0 && n < VSOCK_HEADER_LEN)
		err = trial_fail(t, "a packet: expected at least %d bytes, but %u came",
				 VSOCK_HEADER_LEN, n);
	if (err < 0)
		return err;
	vsock_unpack(host, ret_heard);
	*ret_any = true;
	return 0;
}

static void begin_packet(const struct trial *t, struct vsock_packet *ret_packet, enum vsock_op op)
{
	*ret_packet = (struct vsock_packet){
		.src_cid = vsock_guest_cid(t),
		.dst_cid = VSOCK_HOST_CID,
		.src_port = 0x12345,
		.dst_port = 0xfffffff0,
		.type = VSOCK_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = 64 << 10,
	};
}

/* The text wants RST; no clause of rings is broken without. */
static int expect_reset(struct trial *t, const struct vsock_packet *sent, const char *what)
{
	struct vsock_packet heard = { 0 };
	bool any = false;
	int err = converse(t, sent, &heard, &any);

	if (err < 0)
		return err;
	if (!any)
		return trial_warn(t, "%s: expected RST, but nothing came", what);
	if (heard.op != VSOCK_RST)
		return trial_fail(t, "%s: expected RST, but operation %u came", what, heard.op);
	if (heard.src_cid != sent->dst_cid || heard.dst_cid != sent->src_cid ||
	    heard.src_port != sent->dst_port || heard.dst_port != sent->src_port)
		return trial_fail(t,
				  "%s: expected RST from where it was sent to, but its addresses "
				  "are others",
				  what);
	return 0;
}

int case_vsock_refused(struct trial *t)
{
	struct vsock_packet packet;
	int err = trial_boot(t, NULL);

	begin_packet(t, &packet, VSOCK_REQUEST);
	return err < 0 ? err
		       : expect_reset(t, &packet, "REQUEST for a port that nobody listens on");
}

int case_vsock_stray(struct trial *t)
{
	struct vsock_packet packet;
	int err = trial_boot(t, NULL);

	begin_packet(t, &packet, VSOCK_RW);
	return err < 0 ? err : expect_reset(t, &packet, "RW for a connection that there is not");
}

int case_vsock_cid(struct trial *t)
{
	uint64_t cid = 0;
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_step(
			t, vhu_frontend_get_config(&t->fe, 0, sizeof(cid), VHU_CONFIG_GUEST, &cid),
			"GET_CONFIG of the guest's number");
	cid = le64toh(cid);
	if (err == 0 && (cid <= VSOCK_HOST_CID || cid >= UINT32_MAX))
		err = trial_fail(t, "expected a guest's number from 3 to 2^32 - 2, but it is %llu",
				 (unsigned long long)cid);
	return err;
}

/* File systems. */

enum { FUSE_MAJOR = 7, MODE_DIR = 0040000, MODE_TYPE = 0170000, ATTR_MODE_OFFSET = 16 + 60 };

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

int case_fs_init(struct trial *t)
{
	static const struct trial_plan plan = { .no_prepare = true };
	uint8_t in[FUSE_OUT_LEN + FUSE_INIT_LEN] = { 0 };
	struct fuse_answer answer;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = fuse_init(t, in, sizeof(in), &answer);
	if (err == 0 && answer.error != 0)
		err = trial_fail(t, "FUSE_INIT: expected no error, but it is %d", answer.error);
	if (err == 0 && load32(in + FUSE_OUT_LEN) != FUSE_MAJOR)
		err = trial_fail(t, "FUSE_INIT: expected version %d, but it is %u", FUSE_MAJOR,
				 load32(in + FUSE_OUT_LEN));
	return err;
}

static int ask(struct trial *t, uint32_t opcode, const void *body, size_t body_len, uint8_t *in,
	       size_t in_len, struct fuse_answer *ret_answer)
{
	uint8_t out[FUSE_IN_LEN + 64] = { 0 };
	uint64_t unique = 1000 + 2 * (uint64_t)opcode;
	size_t len = fuse_head(out, opcode, unique, FUSE_ROOT, body_len);
	uint32_t n = 0;
	int err;

	memcpy(out + FUSE_IN_LEN, body, body_len);
	err = device_io(t, trial_ring(t), out, len, in, in_len, &n);
	return err < 0 ? err : fuse_check_answer(t, in, n, unique, ret_answer);
}

int case_fs_root(struct trial *t)
{
	static const uint8_t body[16];
	uint8_t in[FUSE_OUT_LEN + FUSE_ATTR_OUT_LEN] = { 0 };
	struct fuse_answer answer;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = ask(t, FUSE_GETATTR, body, sizeof(body), in, sizeof(in), &answer);
	if (err == 0 && answer.error != 0)
		err = trial_fail(t, "GETATTR of the root: expected no error, but it is %d",
				 answer.error);
	if (err == 0 && (load32(in + FUSE_OUT_LEN + ATTR_MODE_OFFSET) & MODE_TYPE) != MODE_DIR)
		err = trial_fail(t,
				 "GETATTR of the root: expected a directory, but its mode is %#o",
				 load32(in + FUSE_OUT_LEN + ATTR_MODE_OFFSET));
	return err;
}

int case_fs_lookup(struct trial *t)
{
	static const char name[] = "no.such.file.for.the.tester";
	uint8_t in[FUSE_OUT_LEN + FUSE_ENTRY_OUT_LEN] = { 0 };
	struct fuse_answer answer;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = ask(t, FUSE_LOOKUP, name, sizeof(name), in, sizeof(in), &answer);
	if (err == 0 && answer.error != -ENOENT && (answer.error != 0 || load32(in + 16) != 0))
		err = trial_fail(t,
				 "LOOKUP of a name that there is not: expected -ENOENT, but the "
				 "answer's error is %d",
				 answer.error);
	return err;
}

int case_fs_unknown(struct trial *t)
{
	static const uint8_t body[8];
	uint8_t in[FUSE_OUT_LEN];
	struct fuse_answer answer;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = ask(t, 4000, body, sizeof(body), in, sizeof(in), &answer);
	if (err == 0 && answer.error >= 0)
		err = trial_fail(t, "an unknown operation: expected an error, but it is %d",
				 answer.error);
	return err < 0 ? err : trial_exchange(t, 1);
}

/* Networks. */

int case_net_many(struct trial *t)
{
	int err = trial_boot(t, NULL);

	return err < 0 ? err : trial_exchange(t, 200);
}

int case_net_parts(struct trial *t)
{
	static const uint32_t parts[] = { 12, 14 };
	static const struct trial_layout layout = { .out = parts, .n_out = 3 };
	int err = trial_boot(t, NULL);

	return err < 0 ? err : trial_exchange_as(t, &layout, 1);
}
