/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Chains that cross together. */
#include "ring_rig.h"

#include "virtio/batch.h"

enum { SIZE = 1024, PLENTY = 100000, ALL = 1 << 30 };

static struct rig rig;
static uint64_t n_data; /* bytes of buffers given out */

static void begin(void)
{
	rig_open(&rig, SIZE, RIG_V1 | RIG_INDIRECT);
	n_data = 0;
}

static void end(void)
{
	rig_close(&rig);
}

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 7 + pos / 251);
}

/* A chain of n buffers of len bytes each, one way; what is read is a stream's next bytes. */
static void offer(bool in, unsigned int n, uint32_t len)
{
	struct driverq_buf bufs[300];

	assert_true(n <= ARRAY_SIZE(bufs) && n_data + (uint64_t)n * len <= RIG_DATA_BYTES);
	for (unsigned int i = 0; i < n; i++) {
		bufs[i] = (struct driverq_buf){ .addr = rig.data + n_data, .len = len };
		for (uint32_t k = 0; k < len && !in; k++, n_data++)
			*rig_at(&rig, rig.data + n_data) = byte_at(n_data);
		n_data += in ? len : 0;
	}
	assert_int_equal(driverq_add(&rig.driver, bufs, in ? 0 : n, in ? n : 0, false, &rig), 0);
	driverq_publish(&rig.driver);
}

/* Its vectors hold len bytes of the stream from pos on, and no more. */
static void expect_bytes(const struct batch *b, uint64_t pos, uint64_t len)
{
	assert_int_equal(b->len, len);
	for (unsigned int i = 0; i < b->n_iov; i++)
		for (size_t k = 0; k < b->iov[i].iov_len; k++, len--)
			assert_int_equal(((uint8_t *)b->iov[i].iov_base)[k], byte_at(pos++));
	assert_int_equal(len, 0);
}

/* The next that came back, written to for len bytes. */
static void expect_used(uint32_t len)
{
	void *token;
	uint32_t got;

	virtq_publish(&rig.device);
	assert_int_equal(driverq_get(&rig.driver, &token, &got), DRIVERQ_USED);
	assert_int_equal(got, len);
}

static void expect_unused(void)
{
	void *token;
	uint32_t got;

	virtq_publish(&rig.device);
	assert_int_equal(driverq_get(&rig.driver, &token, &got), DRIVERQ_EMPTY);
}

static void fill_of_an_empty_queue_has_nothing(void **state)
{
	struct batch b;
	uint64_t len = 0;

	(void)state;
	begin();
	batch_init(&b, &rig.device, PLENTY);
	assert_false(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains + b.n_iov + b.len, 0);
	assert_int_equal(batch_skip(&b, 5), 0);
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_false(batch_fill_in(&b, ALL));
	assert_true(batch_return_in(&b, 0));
	assert_int_equal(b.budget, PLENTY);
	expect_unused();
	end();
}

static void fill_takes_chains_until_the_bytes_are_enough(void **state)
{
	uint64_t len = 300;
	struct batch b;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 5; i++)
		offer(false, 2, 50);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_out(&b, 201));
	assert_int_equal(b.n_chains, 3);
	assert_int_equal(b.n_iov, 6);
	expect_bytes(&b, 0, 300);
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_int_equal(len, 0);
	assert_false(batch_fill_out(&b, 201));
	expect_bytes(&b, 300, 200);
	for (unsigned int i = 0; i < 3; i++)
		expect_used(0);
	expect_unused();
	end();
}

static void fill_ends_with_the_budget(void **state)
{
	struct batch b;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 5; i++)
		offer(false, 1, 4096); /* costs two */
	batch_init(&b, &rig.device, 5);
	assert_true(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, 3);
	assert_int_equal(b.budget, 0);
	end();
}

static void fill_ends_with_the_chains_that_it_has_room_for(void **state)
{
	uint64_t len = BATCH_CHAINS;
	struct batch b;

	(void)state;
	begin();
	for (unsigned int i = 0; i < BATCH_CHAINS + 1; i++)
		offer(false, 1, 1);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, BATCH_CHAINS);
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_false(batch_fill_out(&b, ALL));
	expect_bytes(&b, BATCH_CHAINS, 1);
	end();
}

/* The chain that does not fit is the first of the next. */
static void fill_ends_with_the_vectors_that_it_has_room_for(void **state)
{
	unsigned int n = BATCH_VECTORS / 3;
	struct batch b;
	uint64_t len;

	(void)state;
	begin();
	for (unsigned int i = 0; i < n + 1; i++)
		offer(false, 3, 10);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, n);
	assert_int_equal(b.budget, PLENTY - n);
	expect_bytes(&b, 0, n * UINT64_C(30));
	len = b.len;
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_false(batch_fill_out(&b, ALL));
	expect_bytes(&b, n * UINT64_C(30), 30);
	end();
}

static void fill_takes_exactly_as_many_vectors_as_there_is_room_for(void **state)
{
	struct batch b;

	(void)state;
	begin();
	for (unsigned int i = 0; i < 3; i++)
		offer(false, BATCH_VECTORS / 2, 2);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, 2);
	assert_int_equal(b.n_iov, BATCH_VECTORS);
	expect_bytes(&b, 0, 2 * BATCH_VECTORS);
	end();
}

static void chain_of_too_many_vectors_is_alone(void **state)
{
	uint64_t n = 2 * BATCH_VECTORS, len;
	struct batch b;

	(void)state;
	begin();
	offer(false, 1, 5);
	offer(false, 2 * BATCH_VECTORS, 3);
	offer(false, 1, 7);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_out(&b, ALL));
	expect_bytes(&b, 0, 5);
	len = 5;
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_true(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, 1);
	expect_bytes(&b, 5, 3 * n);
	assert_int_equal(batch_skip(&b, 100), 100);
	expect_bytes(&b, 105, 3 * n - 100);
	len = 3 * n - 100;
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_false(batch_fill_out(&b, ALL));
	expect_bytes(&b, 5 + 3 * n, 7);
	end();
}

/* For each number of bytes that may have gone already. */
static void skip_leaves_out_bytes_of_the_first_chain_alone(void **state)
{
	struct batch b;

	(void)state;
	begin();
	offer(false, 3, 4);
	offer(false, 1, 9);
	for (uint64_t n = 0; n < 15; n++) {
		uint64_t skipped = min_u64(n, 12);

		batch_init(&b, &rig.device, PLENTY);
		assert_false(batch_fill_out(&b, ALL));
		assert_int_equal(batch_skip(&b, n), skipped);
		expect_bytes(&b, skipped, 21 - skipped);
		virtq_unpop(&rig.device, 2);
	}
	end();
}

/* However many bytes went, the chains that they fill are back and the others are next. */
static void return_out_gives_back_what_has_gone_whole(void **state)
{
	static const uint64_t ends[] = { 10, 30, 60 };

	(void)state;
	for (uint64_t n = 0; n <= 60; n++) {
		unsigned int n_back = 0;
		struct batch b;
		uint64_t len = n;

		begin();
		for (uint32_t i = 1; i <= 3; i++)
			offer(false, i, 10);
		batch_init(&b, &rig.device, PLENTY);
		assert_false(batch_fill_out(&b, ALL));
		while (n_back < 3 && ends[n_back] <= n)
			n_back++;
		assert_int_equal(batch_return_out(&b, &len), 3 - n_back);
		assert_int_equal(len, n - (n_back > 0 ? ends[n_back - 1] : 0));
		assert_int_equal(virtq_base(&rig.device), n_back);
		for (unsigned int i = 0; i < n_back; i++)
			expect_used(0);
		expect_unused();
		end();
	}
}

static void chain_without_output_goes_with_those_before_it(void **state)
{
	struct batch b;
	uint64_t len = 10;

	(void)state;
	begin();
	offer(true, 1, 100);
	offer(false, 1, 10);
	offer(true, 1, 100);
	offer(false, 1, 10);
	batch_init(&b, &rig.device, PLENTY);
	assert_false(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, 4);
	assert_int_equal(b.n_iov, 2);
	assert_int_equal(batch_return_out(&b, &len), 1);
	assert_int_equal(len, 0);
	for (unsigned int i = 0; i < 3; i++)
		expect_used(0);
	expect_unused();
	end();
}

/* The last that was written to is the driver's, whether or not it is full. */
static void return_in_gives_back_what_was_written_to(void **state)
{
	(void)state;
	for (uint32_t n = 0; n <= 30; n++) {
		uint32_t left = n;
		struct batch b;

		begin();
		for (unsigned int i = 0; i < 3; i++)
			offer(true, 2, 5);
		batch_init(&b, &rig.device, PLENTY);
		assert_false(batch_fill_in(&b, ALL));
		assert_int_equal(b.len, 30);
		assert_int_equal(batch_return_in(&b, n), n > 20);
		for (uint32_t k; left > 0; left -= k) {
			k = left < 10 ? left : 10;
			expect_used(k);
		}
		expect_unused();
		assert_int_equal(virtq_base(&rig.device), (n + 9) / 10);
		end();
	}
}

static void chain_without_room_goes_with_those_before_it(void **state)
{
	struct batch b;

	(void)state;
	begin();
	offer(false, 1, 10);
	offer(true, 1, 10);
	offer(false, 1, 10);
	offer(true, 1, 10);
	batch_init(&b, &rig.device, PLENTY);
	assert_true(batch_fill_in(&b, 20));
	assert_int_equal(b.len, 20);
	assert_false(batch_return_in(&b, 10));
	expect_used(0);
	expect_used(10);
	expect_used(0);
	expect_unused();
	end();
}

/* What came before the fault is served. */
static void fill_of_a_broken_queue_ends_at_the_fault(void **state)
{
	struct batch b;
	uint64_t len = 5;

	(void)state;
	begin();
	offer(false, 1, 5);
	rig_desc(&rig, 7, RIG_NOWHERE, 5, 0, 0);
	rig_offer(&rig, 7);
	batch_init(&b, &rig.device, PLENTY);
	assert_false(batch_fill_out(&b, ALL));
	expect_bytes(&b, 0, 5);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_UNMAPPED);
	assert_int_equal(batch_return_out(&b, &len), 0);
	assert_false(batch_fill_out(&b, ALL));
	assert_int_equal(b.n_chains, 0);
	expect_used(0);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(fill_of_an_empty_queue_has_nothing),
	UNIT_TEST(fill_takes_chains_until_the_bytes_are_enough),
	UNIT_TEST(fill_ends_with_the_budget),
	UNIT_TEST(fill_ends_with_the_chains_that_it_has_room_for),
	UNIT_TEST(fill_ends_with_the_vectors_that_it_has_room_for),
	UNIT_TEST(fill_takes_exactly_as_many_vectors_as_there_is_room_for),
	UNIT_TEST(chain_of_too_many_vectors_is_alone),
	UNIT_TEST(skip_leaves_out_bytes_of_the_first_chain_alone),
	UNIT_TEST(return_out_gives_back_what_has_gone_whole),
	UNIT_TEST(chain_without_output_goes_with_those_before_it),
	UNIT_TEST(return_in_gives_back_what_was_written_to),
	UNIT_TEST(chain_without_room_goes_with_those_before_it),
	UNIT_TEST(fill_of_a_broken_queue_ends_at_the_fault),
};
UNIT_MAIN(tests)
