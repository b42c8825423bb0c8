/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "picture_rig.h"

#include "virtio/driverq-packed.h"

struct packed_rig {
	struct rig rig; /* its memory */
	struct driverq_packed q;
	struct packed_position avail, used;
	uint16_t lists[SIZE];
};

static void packed_open(struct packed_rig *pr)
{
	memset(pr, 0, sizeof(*pr));
	rig_open(&pr->rig, SIZE, RIG_V1);
	assert_int_equal(driverq_packed_init(&pr->q, rig_at(&pr->rig, pr->rig.tables),
					     pr->rig.tables, SIZE, RIG_V1),
			 0);
	pr->avail.wrap = pr->used.wrap = true;
}

static void packed_close(struct packed_rig *pr)
{
	driverq_packed_fini(&pr->q);
	rig_close(&pr->rig);
}

static struct ring_picture *packed_take(struct packed_rig *pr, bool since)
{
	const struct picture_source source = {
		.packed = &pr->q.ring,
		.host = host,
		.arg = pr->rig.mem,
		.avail = &pr->avail,
		.used = &pr->used,
		.lists = pr->lists,
	};
	struct ring_picture *p =
		picture_take(&source, &(struct picture_want){ .data = 16, .since = since });

	assert_non_null(p);
	return p;
}

static void packed_offer(struct packed_rig *pr)
{
	const struct driverq_buf bufs[] = { { pr->rig.data, 7 }, { pr->rig.data + 64, 32 } };
	static int token;

	assert_int_equal(driverq_packed_add(&pr->q, bufs, 1, 1, &token), 0);
	driverq_packed_publish(&pr->q);
}

/* As a device returns the list of two descriptors that begins at *at. */
static void packed_return(struct packed_rig *pr, struct packed_position *at, uint16_t id)
{
	const struct packed_desc d = { .addr = 0, .len = 5, .id = id };

	packed_desc_store_body(&pr->q.ring, at->offset, d);
	packed_desc_store_flags(&pr->q.ring, at->offset,
				packed_used_flags(at->wrap) | PACKED_DESC_F_WRITE);
	*at = packed_advance(&pr->q.ring, *at, 2);
}

static void packed_when_lists_come_and_go_follows_both_sides(void **state)
{
	struct packed_position device = { .wrap = true };
	struct packed_rig pr;
	struct ring_picture *p;
	void *token;
	uint32_t len;

	(void)state;
	packed_open(&pr);
	for (unsigned int i = 0; i < 5 * SIZE; i++) {
		uint16_t id;

		packed_offer(&pr);
		p = packed_take(&pr, true);
		assert_int_equal(p->n_chains, 1);
		assert_int_equal(p->chains[0].owner, PICTURE_DEVICE);
		assert_int_equal(p->chains[0].n_descs, 2);
		assert_int_equal(p->chains[0].out_len, 7);
		assert_int_equal(picture_n_offered(p), 1);
		id = p->chains[0].head;
		picture_free(p);
		packed_return(&pr, &device, id);
		p = packed_take(&pr, true);
		assert_int_equal(p->n_chains, 1);
		assert_int_equal(p->chains[0].owner, PICTURE_DRIVER);
		assert_int_equal(p->chains[0].used_len, 5);
		assert_int_equal(p->avail_idx, p->used_idx);
		picture_free(p);
		assert_int_equal(driverq_packed_get(&pr.q, &token, &len), DRIVERQ_USED);
	}
	packed_close(&pr);
}

/* Nobody looked while the sides went round the ring: the positions are found again. */
static void packed_when_laps_were_missed_finds_the_place(void **state)
{
	struct packed_position device = { .wrap = true };
	struct packed_rig pr;
	struct ring_picture *p;
	void *token;
	uint32_t len;

	(void)state;
	packed_open(&pr);
	for (unsigned int i = 0; i < SIZE / 2 + 3; i++) {
		packed_offer(&pr);
		packed_return(&pr, &device, 0);
		assert_int_equal(driverq_packed_get(&pr.q, &token, &len), DRIVERQ_USED);
	}
	packed_offer(&pr);
	p = packed_take(&pr, false);
	assert_int_equal(pr.avail.offset, 8);
	assert_false(pr.avail.wrap);
	assert_int_equal(pr.used.offset, 6);
	assert_int_equal(p->n_chains, 1);
	assert_int_equal(p->chains[0].at, 6);
	assert_int_equal(p->chains[0].owner, PICTURE_DEVICE);
	picture_free(p);
	packed_close(&pr);
}

static void packed_when_there_is_a_table_follows_it(void **state)
{
	const struct driverq_buf bufs[] = { { RIG_NOWHERE, 7 }, { RIG_NOWHERE, 32 } };
	struct packed_rig pr;
	struct ring_picture *p;
	static int token;

	(void)state;
	packed_open(&pr);
	assert_int_equal(driverq_packed_add_indirect(&pr.q, rig_at(&pr.rig, pr.rig.data),
						     pr.rig.data, bufs, 1, 1, &token),
			 0);
	driverq_packed_publish(&pr.q);
	p = packed_take(&pr, false);
	assert_int_equal(p->chains[0].n_descs, 3);
	assert_int_equal(p->chains[0].out_len, 7);
	assert_int_equal(p->chains[0].in_len, 32);
	assert_int_equal(p->chains[0].fault, PICTURE_UNMAPPED);
	assert_says(p, false, "16 entries, packed; ");
	assert_says(p, false, "available 1 (wrap 1), used 0 (wrap 1): 1 chain is the device's\n");
	picture_free(p);
	packed_close(&pr);
}

static void packed_when_a_table_is_long_counts_the_rest(void **state)
{
	const uint32_t n = 1024;
	struct packed_desc d = { .len = n * PACKED_DESC_BYTES, .flags = PACKED_DESC_F_INDIRECT };
	struct packed_rig pr;
	struct ring_picture *p;

	(void)state;
	packed_open(&pr);
	d.addr = pr.rig.data;
	for (uint32_t i = 0; i < n; i++)
		packed_table_store(rig_at(&pr.rig, pr.rig.data), i,
				   (struct packed_desc){ .addr = pr.rig.data, .len = 3 });
	packed_desc_store_body(&pr.q.ring, 0, d);
	packed_desc_store_flags(&pr.q.ring, 0, d.flags | packed_avail_flags(true));
	p = packed_take(&pr, false);
	assert_int_equal(p->chains[0].fault, PICTURE_SOUND);
	assert_int_equal(p->chains[0].n_descs + p->chains[0].n_more, n + 1);
	assert_int_equal(p->chains[0].out_len, 3 * n);
	picture_free(p);
	packed_close(&pr);
}

/* A list whose buffers are nowhere; it may come back while it is looked at. */
struct busy {
	struct packed_rig *pr;
	struct packed_position *returns; /* or NULL */
};

static const void *host_meanwhile(void *arg, uint64_t guest_addr, uint64_t len)
{
	struct busy *busy = arg;

	if (busy->returns)
		packed_return(busy->pr, busy->returns, 0);
	busy->returns = NULL;
	return host(busy->pr->rig.mem, guest_addr, len);
}

static struct picture_chain look_meanwhile(struct packed_rig *pr, struct packed_position *returns)
{
	struct busy busy = { .pr = pr, .returns = returns };
	const struct picture_source source = {
		.packed = &pr->q.ring,
		.host = host_meanwhile,
		.arg = &busy,
		.avail = &pr->avail,
		.used = &pr->used,
		.lists = pr->lists,
	};
	struct ring_picture *p = picture_take(&source, &(struct picture_want){ .data = 16 });
	struct picture_chain chain;

	assert_non_null(p);
	assert_true(p->n_chains > 0);
	chain = p->chains[0];
	picture_free(p);
	return chain;
}

static void packed_when_lists_come_back_meanwhile_blames_nobody(void **state)
{
	const struct driverq_buf bufs[] = { { RIG_NOWHERE, 7 }, { RIG_NOWHERE, 32 } };
	struct packed_position device = { .wrap = true };
	struct picture_chain chain;
	struct packed_rig pr;
	static int token;

	(void)state;
	packed_open(&pr);
	assert_int_equal(driverq_packed_add(&pr.q, bufs, 1, 1, &token), 0);
	driverq_packed_publish(&pr.q);
	chain = look_meanwhile(&pr, NULL);
	assert_int_equal(chain.fault, PICTURE_UNMAPPED);
	assert_true(picture_chain_broken(&chain));
	chain = look_meanwhile(&pr, &device);
	assert_int_equal(chain.fault, PICTURE_REUSED);
	assert_int_equal(chain.n_descs, 0);
	/* It is the driver's by now, and the device has another. */
	packed_offer(&pr);
	chain = look_meanwhile(&pr, NULL);
	assert_int_equal(chain.owner, PICTURE_DRIVER);
	assert_int_equal(chain.fault, PICTURE_REUSED);
	assert_int_equal(chain.n_descs + chain.out_len + chain.in_len, 0);
	packed_close(&pr);
}

static void packed_when_the_ring_is_noise_ends(void **state)
{
	uint64_t random = 1;
	struct packed_rig pr;

	(void)state;
	packed_open(&pr);
	for (int i = 0; i < 2000; i++) {
		unsigned char *ring = rig_at(&pr.rig, pr.rig.tables);
		struct ring_picture *p;

		for (size_t k = 0; k < driverq_packed_bytes(SIZE); k++)
			if (rig_below(&random, 4) == 0)
				ring[k] = (unsigned char)rig_random(&random);
		p = packed_take(&pr, i & 1);
		assert_true(pr.avail.offset < SIZE && pr.used.offset < SIZE);
		free(text_of(p, true));
		picture_free(p);
	}
	packed_close(&pr);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(packed_when_lists_come_and_go_follows_both_sides),
	UNIT_TEST(packed_when_laps_were_missed_finds_the_place),
	UNIT_TEST(packed_when_there_is_a_table_follows_it),
	UNIT_TEST(packed_when_a_table_is_long_counts_the_rest),
	UNIT_TEST(packed_when_lists_come_back_meanwhile_blames_nobody),
	UNIT_TEST(packed_when_the_ring_is_noise_ends),
};

UNIT_MAIN(tests)
