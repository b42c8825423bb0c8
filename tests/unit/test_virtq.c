/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the device side takes from a ring and writes into it. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "unit.h"

#include "base.h"
#include "virtio/virtq.h"

#include "ring_rig.h"

enum {
	NEXT = VRING_DESC_F_NEXT,
	WRITE = VRING_DESC_F_WRITE,
	INDIRECT = VRING_DESC_F_INDIRECT,
};

/* A sum over bytes that must not change. */
static uint64_t sum_bytes(const void *p, size_t n)
{
	const unsigned char *b = p;
	uint64_t sum = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ b[i]) * 1099511628211u;
	return sum;
}

static void used_entry_is(struct rig *rig, uint16_t idx, uint32_t id, uint32_t len)
{
	uint32_t got_id;
	uint32_t got_len;

	vring_used_entry(&rig->driver.ring, idx, &got_id, &got_len);
	assert_int_equal(got_id, id);
	assert_int_equal(got_len, len);
}

static void pop_says(struct rig *rig, enum pop_result expected)
{
	struct chain chain;

	assert_int_equal(virtq_pop(&rig->device, &chain), expected);
}

/* VR-044 */
static void pop_when_nothing_is_offered_ignores_stale_entries(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	vring_set_avail_entry(&rig.driver.ring, 0, 0xffff);
	pop_says(&rig, POP_EMPTY);
	assert_false(virtq_has_avail(&rig.device));
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_NONE);
	rig_close(&rig);
}

/* VR-048, VR-050, VR-051 */
static void pop_when_one_buffer_is_offered_yields_exactly_it(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	rig_desc(&rig, 3, rig.data + 5, 100, 0, 0);
	rig_offer(&rig, 3);
	assert_true(virtq_has_avail(&rig.device));
	chain = rig_pop(&rig);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.n_out, 1);
	assert_int_equal(chain.n_in, 0);
	assert_int_equal(chain.out_len, 100);
	assert_int_equal(chain.in_len, 0);
	assert_ptr_equal(chain.iov[0].iov_base, rig_at(&rig, rig.data + 5));
	assert_int_equal(chain.iov[0].iov_len, 100);
	pop_says(&rig, POP_EMPTY);
	virtq_push(&rig.device, 3, 0);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 1);
	used_entry_is(&rig, 0, 3, 0);
	rig_close(&rig);
}

/* VR-013, VR-019, VR-020, VR-021 */
static void pop_when_chain_is_oddly_built_keeps_its_bytes_in_order(void **state)
{
	struct chain chain;
	struct rig rig;
	char buf[16] = "";

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	rig_desc(&rig, 0, rig.data, 1, NEXT | 0x8000, 5);
	rig_desc(&rig, 5, RIG_NOWHERE, 0, NEXT, 2);
	rig_desc(&rig, 2, rig.data + 100, 3, NEXT, 7);
	rig_desc(&rig, 7, rig.data + 200, 2, NEXT | WRITE, 1);
	rig_desc(&rig, 1, RIG_NOWHERE, 0, NEXT | WRITE, 6);
	rig_desc(&rig, 6, rig.data + 300, 7, WRITE | 0xfff0, 0xffff);
	memcpy(rig_at(&rig, rig.data), "a", 1);
	memcpy(rig_at(&rig, rig.data + 100), "bcd", 3);
	rig_offer(&rig, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 2);
	assert_int_equal(chain.out_len, 4);
	assert_int_equal(chain.in_len, 9);
	assert_int_equal(chain_read(&chain, 0, buf, sizeof(buf)), 4);
	assert_string_equal(buf, "abcd");
	assert_int_equal(chain_read(&chain, 2, buf, 1), 1);
	assert_int_equal(buf[0], 'c');
	assert_int_equal(chain_read(&chain, 4, buf, 1), 0);
	assert_int_equal(chain_write(&chain, 1, "12345678901", 11), 8);
	assert_memory_equal(rig_at(&rig, rig.data + 200), "\0001\0", 3);
	assert_memory_equal(rig_at(&rig, rig.data + 300), "2345678\0", 8);
	assert_int_equal(chain_write(&chain, 9, "x", 1), 0);
	rig_close(&rig);
}

/* VR-021, VR-023 */
static void pop_when_chain_holds_no_bytes_can_be_returned(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	rig_desc(&rig, 0, 0, 0, 0, 0);
	rig_offer(&rig, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out + chain.n_in, 0);
	assert_int_equal(chain.out_len + chain.in_len, 0);
	virtq_push(&rig.device, chain.head, 0);
	virtq_publish(&rig.device);
	used_entry_is(&rig, 0, 0, 0);
	rig_close(&rig);
}

/* VR-015, with more vectors than are allocated at first. */
static void pop_when_chain_has_ring_size_links_yields_them_all(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 256, RIG_V1);
	for (uint32_t i = 0; i < 256; i++)
		rig_desc(&rig, i, rig.data + i * 16, i + 1, i < 255 ? NEXT : 0, i + 1);
	rig_offer(&rig, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, 256);
	assert_int_equal(chain.out_len, 256 * 257 / 2);
	for (uint32_t i = 0; i < 256; i++) {
		assert_ptr_equal(chain.iov[i].iov_base, rig_at(&rig, rig.data + i * 16));
		assert_int_equal(chain.iov[i].iov_len, i + 1);
	}
	rig_close(&rig);
}

/* VR-025, VR-026, VR-033, VR-034 */
static void pop_when_chain_ends_in_a_table_follows_both(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_INDIRECT);
	for (unsigned int flags = INDIRECT; flags <= (INDIRECT | WRITE); flags += WRITE) {
		rig_desc(&rig, 4, rig.data, 10, NEXT, 2);
		rig_desc(&rig, 2, rig.data + 10, 20, NEXT, 7);
		rig_desc(&rig, 7, rig.tables, 6 * 16, flags, 0xffff);
		rig_table_desc(&rig, rig.tables, 0, rig.data + 100, 1, NEXT, 5);
		rig_table_desc(&rig, rig.tables, 5, rig.data + 200, 2, NEXT | WRITE, 2);
		rig_table_desc(&rig, rig.tables, 2, rig.data + 300, 4, WRITE, 9);
		rig_offer(&rig, 4);
		chain = rig_pop(&rig);
		assert_int_equal(chain.head, 4);
		assert_int_equal(chain.n_out, 3);
		assert_int_equal(chain.n_in, 2);
		assert_int_equal(chain.out_len, 31);
		assert_int_equal(chain.in_len, 6);
		assert_ptr_equal(chain.iov[4].iov_base, rig_at(&rig, rig.data + 300));
		virtq_push(&rig.device, chain.head, 6);
		virtq_publish(&rig.device);
	}
	used_entry_is(&rig, 0, 4, 6);
	used_entry_is(&rig, 1, 4, 6);
	rig_close(&rig);
}

/* VR-014, VR-031: Linux sizes a table by the request, not by the ring. */
static void pop_when_table_is_longer_than_the_ring_follows_it(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 2, RIG_V1 | RIG_INDIRECT);
	for (uint32_t i = 0; i < VIRTQ_MIN_CHAIN_LIMIT; i++)
		rig_table_desc(&rig, rig.data, i, rig.data + 0x8000 + i, 1,
			       i + 1 < VIRTQ_MIN_CHAIN_LIMIT ? NEXT : 0, i + 1);
	rig_desc(&rig, 1, rig.data, 2 * VIRTQ_MIN_CHAIN_LIMIT * 16, INDIRECT, 0);
	rig_offer(&rig, 1);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, VIRTQ_MIN_CHAIN_LIMIT);
	assert_int_equal(chain.out_len, VIRTQ_MIN_CHAIN_LIMIT);
	rig_close(&rig);
}

/* Two regions that adjoin for the guest at *ret_seam, the ring in the first. */
static void open_with_seam(struct rig *rig, uint64_t features, unsigned char **ret_high)
{
	struct gmem_region *regions[2];

	memset(rig, 0, sizeof(*rig));
	rig->features = features;
	regions[0] = rig_region(RIG_GUEST, RIG_USER, 8192);
	regions[1] = rig_region(RIG_GUEST + 8192, RIG_USER + 0x100000, 4096);
	rig->mem = rig_gmem(regions, 2);
	rig->host = gmem_host_from_guest(rig->mem, RIG_GUEST, 8192);
	*ret_high = gmem_host_from_guest(rig->mem, RIG_GUEST + 8192, 4096);
	assert_int_equal(driverq_init(&rig->driver, rig->host, RIG_GUEST, 4, features), 0);
	assert_int_equal(virtq_init(&rig->device, 4, features), 0);
	rig_start(rig, 0);
}

/* VU-057 */
static void pop_when_buffer_crosses_regions_splits_it(void **state)
{
	unsigned char *high;
	struct chain chain;
	struct rig rig;
	char buf[8] = "";

	(void)state;
	open_with_seam(&rig, RIG_V1, &high);
	memcpy(rig.host + 8192 - 3, "abc", 3);
	memcpy(high, "defg", 4);
	rig_desc(&rig, 0, RIG_GUEST + 8192 - 3, 7, 0, 0);
	rig_offer(&rig, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.out_len, 7);
	assert_int_equal(chain.iov[0].iov_len, 3);
	assert_ptr_equal(chain.iov[1].iov_base, high);
	assert_int_equal(chain_read(&chain, 0, buf, 8), 7);
	assert_string_equal(buf, "abcdefg");
	/* Back in the first region: the remembered place is the wrong one now. */
	rig_desc(&rig, 1, RIG_GUEST + 4096, 4, 0, 0);
	rig_offer(&rig, 1);
	chain = rig_pop(&rig);
	assert_ptr_equal(chain.iov[0].iov_base, rig.host + 4096);
	rig_close(&rig);
}

/* VR-032 */
static void pop_when_table_crosses_regions_reads_it_whole(void **state)
{
	struct vring_desc desc = { RIG_GUEST + 4096, 5, NEXT, 1 };
	unsigned char *high;
	struct chain chain;
	struct rig rig;
	uint64_t words[6];

	(void)state;
	open_with_seam(&rig, RIG_V1 | RIG_INDIRECT, &high);
	for (unsigned int i = 0; i < 3; i++) {
		desc.addr += 64;
		desc.next = (uint16_t)(i + 1);
		desc.flags = i < 2 ? NEXT : 0;
		vring_desc_write(words + 2 * (size_t)i, desc);
	}
	memcpy(rig.host + 8192 - 24, words, 24);
	memcpy(high, (unsigned char *)words + 24, 24);
	rig_desc(&rig, 0, RIG_GUEST + 8192 - 24, 48, INDIRECT, 0);
	rig_offer(&rig, 0);
	chain = rig_pop(&rig);
	assert_int_equal(chain.n_out, 3);
	assert_ptr_equal(chain.iov[2].iov_base, rig.host + 4096 + 3 * 64);
	rig_close(&rig);
}

/* VR-010, VR-011, VR-035, VR-041, VR-054, VR-057 */
static void traffic_when_served_leaves_the_drivers_memory_alone(void **state)
{
	struct driverq_buf bufs[3];
	struct chain chain;
	struct rig rig;
	uint64_t ring_sum;
	uint64_t data_sum;
	size_t used_at;

	(void)state;
	rig_open(&rig, 16, RIG_V1 | RIG_INDIRECT);
	memset(rig_at(&rig, rig.data), 0x3c, 0x1000);
	for (unsigned int i = 0; i < 3; i++)
		bufs[i] = (struct driverq_buf){ rig.data + i * 64, 64 };
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(driverq_add(&rig.driver, bufs, 2, 1, i % 2 == 0, &rig), 0);
	driverq_publish(&rig.driver);
	vring_set_avail_event(&rig.driver.ring, 0x7777);
	used_at = rig.driver.used_addr - RIG_GUEST;
	memset(rig.host + used_at + vring_used_bytes(16), 0xa5, 64);
	ring_sum = sum_bytes(rig.host, used_at);
	data_sum = sum_bytes(rig_at(&rig, rig.data), 128);
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t table_sum = sum_bytes(rig_at(&rig, rig.tables), 4096);

		chain = rig_pop(&rig);
		assert_int_equal(chain_write(&chain, 0, "written", 8), 8);
		virtq_push(&rig.device, chain.head, 8);
		virtq_publish(&rig.device);
		assert_int_equal(virtq_kicks_on(&rig.device), i < 4);
		assert_int_equal(sum_bytes(rig_at(&rig, rig.tables), 4096), table_sum);
	}
	assert_int_equal(sum_bytes(rig.host, used_at), ring_sum);
	assert_int_equal(sum_bytes(rig_at(&rig, rig.data), 128), data_sum);
	assert_int_equal(vring_avail_event(&rig.driver.ring), 0x7777);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(rig.host[used_at + vring_used_bytes(16) + i], 0xa5);
	rig_close(&rig);
}

/* VR-042, VR-053, VR-055 */
static void push_when_out_of_order_keeps_one_entry_per_chain(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (uint16_t i = 0; i < 3; i++) {
		rig_desc(&rig, i, rig.data + 64u * i, 64, WRITE, 0);
		rig_offer(&rig, i);
	}
	for (uint16_t i = 0; i < 3; i++) {
		chain = rig_pop(&rig);
		assert_int_equal(chain.head, i);
	}
	virtq_push(&rig.device, 2, 10);
	virtq_push(&rig.device, 0, 20);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 2);
	used_entry_is(&rig, 0, 2, 10);
	used_entry_is(&rig, 1, 0, 20);
	virtq_push(&rig.device, 1, 64);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 3);
	used_entry_is(&rig, 2, 1, 64);
	rig_close(&rig);
}

static void unpop_when_called_yields_the_same_chains_again(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (uint16_t i = 0; i < 4; i++) {
		rig_desc(&rig, 3u - i, rig.data + 64u * i, 64, 0, 0);
		rig_offer(&rig, (uint16_t)(3 - i));
		chain = rig_pop(&rig);
	}
	virtq_push(&rig.device, 3, 0);
	virtq_unpop(&rig.device, 2);
	assert_int_equal(virtq_base(&rig.device), 2);
	virtq_unpop(&rig.device, 1);
	virtq_unpop(&rig.device, 0);
	assert_int_equal(virtq_base(&rig.device), 1);
	assert_true(virtq_has_avail(&rig.device));
	for (uint16_t i = 1; i < 4; i++) {
		chain = rig_pop(&rig);
		assert_int_equal(chain.head, 3 - i);
		assert_ptr_equal(chain.iov[0].iov_base, rig_at(&rig, rig.data + 64u * i));
	}
	pop_says(&rig, POP_EMPTY);
	rig_close(&rig);
}

static void unpop_past_a_pushed_chain(struct rig *rig)
{
	virtq_push(&rig->device, 1, 0);
	virtq_unpop(&rig->device, 2);
}

static void push_twice(struct rig *rig)
{
	virtq_push(&rig->device, 1, 0);
	virtq_push(&rig->device, 1, 0);
}

static void push_never_popped(struct rig *rig)
{
	virtq_push(&rig->device, 2, 0);
}

/* Our own mistakes end the process; asserts stay on in release builds. */
static void misuse_by_the_device_aborts(void **state)
{
	static void (*const misuses[])(struct rig *) = { unpop_past_a_pushed_chain, push_twice,
							 push_never_popped };
	struct rlimit no_core = { 0, 0 };
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	for (uint16_t i = 0; i < 2; i++) {
		rig_desc(&rig, i, rig.data, 64, 0, 0);
		rig_offer(&rig, i);
		rig_pop(&rig);
	}
	for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
		int status = 0;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &no_core);
			signal(SIGABRT, SIG_DFL);
			close(2);
			misuses[i](&rig);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
	rig_close(&rig);
}

/* VR-115: what was sound before the fault is still returned, the rest is not. */
static void fault_when_found_keeps_earlier_chains_and_ends_at_the_bad_one(void **state)
{
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	rig_desc(&rig, 0, rig.data, 64, 0, 0);
	rig_desc(&rig, 1, RIG_NOWHERE, 64, 0, 0);
	rig_desc(&rig, 2, rig.data, 64, 0, 0);
	for (uint16_t i = 0; i < 3; i++)
		rig_offer(&rig, i);
	chain = rig_pop(&rig);
	pop_says(&rig, POP_BROKEN);
	pop_says(&rig, POP_BROKEN);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_UNMAPPED);
	assert_int_equal(virtq_base(&rig.device), 1);
	assert_false(virtq_has_avail(&rig.device));
	assert_false(virtq_kicks_on(&rig.device));
	virtq_break(&rig.device, VIRTQ_FAULT_KICK);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_UNMAPPED);
	virtq_push(&rig.device, chain.head, 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 1);
	rig_close(&rig);
}

/* Arrays are as long as a ring was; a shorter or longer one that follows is whole. */
static void start_when_the_ring_has_another_size_serves_all_of_it(void **state)
{
	static const unsigned int sizes[] = { 8, 2, 8, 64, 4 };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int k = 0; k < ARRAY_SIZE(sizes); k++) {
			unsigned int n_slots = sizes[i] > sizes[k] ? sizes[i] : sizes[k];
			struct virtq_ring ring;
			struct rig small, rig;
			struct virtq fresh;

			rig_open(&small, sizes[i], RIG_V1);
			rig_open(&rig, sizes[k], RIG_V1);
			assert_int_equal(virtq_init(&fresh, 64, RIG_V1), 0);
			assert_int_equal(fresh.n_slots, 0);
			ring = driver_ring(&small.driver, small.mem);
			virtq_start(&fresh, &ring, small.mem, 0, RIG_V1);
			assert_int_equal(fresh.n_slots, sizes[i]);
			rig_desc(&small, 0, small.data, 4, 0, 0);
			rig_offer(&small, 0);
			virtq_fini(&rig.device);
			rig.device = fresh;
			rig_pop(&rig); /* held as the next ring starts */
			rig_start(&rig, 0);
			assert_int_equal(rig.device.n_slots, n_slots);
			for (uint16_t n = 0; n < sizes[k]; n++) {
				rig_desc(&rig, n, rig.data, 4, 0, 0);
				rig_offer(&rig, n);
			}
			for (uint16_t n = 0; n < sizes[k]; n++)
				assert_int_equal(rig_pop(&rig).head, n);
			virtq_unpop(&rig.device, sizes[k]);
			for (uint16_t n = 0; n < sizes[k]; n++)
				virtq_push(&rig.device, rig_pop(&rig).head, 0);
			pop_says(&rig, POP_EMPTY);
			rig_close(&rig);
			rig_close(&small);
		}
}

static void fault_text_when_asked_differs_for_each(void **state)
{
	(void)state;
	for (int i = 0; i < VIRTQ_N_FAULTS; i++) {
		assert_true(strlen(virtq_fault_text((enum virtq_fault)i)) > 10);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(virtq_fault_text((enum virtq_fault)i),
						virtq_fault_text((enum virtq_fault)k));
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(pop_when_nothing_is_offered_ignores_stale_entries),
	UNIT_TEST(pop_when_one_buffer_is_offered_yields_exactly_it),
	UNIT_TEST(pop_when_chain_is_oddly_built_keeps_its_bytes_in_order),
	UNIT_TEST(pop_when_chain_holds_no_bytes_can_be_returned),
	UNIT_TEST(pop_when_chain_has_ring_size_links_yields_them_all),
	UNIT_TEST(pop_when_chain_ends_in_a_table_follows_both),
	UNIT_TEST(pop_when_table_is_longer_than_the_ring_follows_it),
	UNIT_TEST(pop_when_buffer_crosses_regions_splits_it),
	UNIT_TEST(pop_when_table_crosses_regions_reads_it_whole),
	UNIT_TEST(traffic_when_served_leaves_the_drivers_memory_alone),
	UNIT_TEST(push_when_out_of_order_keeps_one_entry_per_chain),
	UNIT_TEST(unpop_when_called_yields_the_same_chains_again),
	UNIT_TEST(misuse_by_the_device_aborts),
	UNIT_TEST(fault_when_found_keeps_earlier_chains_and_ends_at_the_bad_one),
	UNIT_TEST(start_when_the_ring_has_another_size_serves_all_of_it),
	UNIT_TEST(fault_text_when_asked_differs_for_each),
};

UNIT_MAIN(tests)
