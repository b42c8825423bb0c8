/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record as a file, and what split rings write there. */
#include "inflight_rig.h"

#include <fcntl.h>

#include "virtio/vring.h"

enum {
	SIZE = 16,
	N_HEADS = 5,
	HEAD = INFLIGHT_SPLIT_HEAD,
	DESC = INFLIGHT_SPLIT_DESC,
};

static struct inflight_rig rig;

/* A device, which keeps what it knows to itself, and a driver, which does not. */
struct device {
	struct inflight_ring r;
	struct vring ring;
	uint16_t last_avail, used_idx;
};

static struct device device;

static struct vring map_ring(void)
{
	uint8_t *at = rig.mem + rig.ring_off;
	struct vring ring = { .size = 0 };

	assert_true(vring_map(&ring, at, at + vring_desc_bytes(SIZE), at + 1024, SIZE));
	return ring;
}

static void begin(void)
{
	inflight_rig_open(&rig, SIZE, false, 2048);
	device = (struct device){ .ring = map_ring() };
}

static void end(void)
{
	inflight_detach(&device.r);
	inflight_rig_close(&rig);
}

static uint8_t entry_inflight(unsigned int head)
{
	return rig.mem[HEAD + DESC * head];
}

static uint64_t entry_counter(unsigned int head)
{
	uint64_t counter;

	memcpy(&counter, rig.mem + HEAD + DESC * head + 8, sizeof(counter));
	return counter;
}

static uint16_t word(size_t off)
{
	uint16_t v;

	memcpy(&v, rig.mem + off, sizeof(v));
	return v;
}

static void set_word(size_t off, uint16_t v)
{
	memcpy(rig.mem + off, &v, sizeof(v));
}

/* What an earlier device left in flight. */
static void forge(unsigned int head, uint64_t counter)
{
	rig.mem[HEAD + DESC * head] = 1;
	memcpy(rig.mem + HEAD + DESC * head + 8, &counter, sizeof(counter));
}

static void forge_begun(void)
{
	set_word(8, INFLIGHT_VERSION);
	set_word(10, SIZE);
}

static int resume(struct device *dev, uint16_t base, uint16_t *ret_heads)
{
	int n;

	inflight_attach(&dev->r, rig.record, 0, SIZE);
	dev->used_idx = vring_used_idx(&dev->ring);
	n = inflight_split_resume(&dev->r, dev->used_idx, base, ret_heads);
	dev->last_avail = n < 0 ? base : (uint16_t)(dev->used_idx + n);
	return n;
}

static void start(struct device *dev)
{
	uint16_t heads[SIZE];

	assert_int_equal(resume(dev, 0, heads), -ENOENT);
}

static void offer(const struct vring *ring, uint16_t head)
{
	uint16_t idx = vring_avail_idx(ring);

	vring_set_avail_entry(ring, idx, head);
	vring_set_avail_idx(ring, (uint16_t)(idx + 1));
}

static uint16_t take(struct device *dev)
{
	uint16_t head = vring_avail_entry(&dev->ring, dev->last_avail);

	inflight_split_take(&dev->r, head);
	dev->last_avail++;
	return head;
}

static void untake(struct device *dev, uint16_t head)
{
	inflight_split_untake(&dev->r, head);
	dev->last_avail--;
}

static void give_back(struct device *dev, uint16_t head)
{
	vring_set_used_entry(&dev->ring, dev->used_idx++, head, 0);
	inflight_split_return(&dev->r, head);
}

static void publish(struct device *dev)
{
	vring_set_used_idx(&dev->ring, dev->used_idx);
	inflight_split_published(&dev->r, dev->used_idx);
}

static void record_has_room_for_what_the_text_lays_out(void **state)
{
	(void)state;
	assert_int_equal(inflight_bytes(1, 1, false), 64);
	assert_int_equal(inflight_bytes(1, 3, false), 64);
	assert_int_equal(inflight_bytes(1, 4, false), 128);
	assert_int_equal(inflight_bytes(4, 256, false), 4 * (16 + 16 * 256 + 48));
	assert_int_equal(inflight_bytes(4, 256, true), 4 * (32 + 32 * 256 + 32));
	assert_int_equal(inflight_bytes(0, 256, false), 0);
	assert_int_equal(inflight_bytes(1, 0, false), 0);
	assert_int_equal(inflight_bytes(1, 32769, true), 0);
	assert_int_equal(inflight_bytes(65536, 1, false), 0);
}

/* VU-170 */
static void new_record_is_zeroes_that_cannot_be_cut_off(void **state)
{
	struct inflight *record;
	uint64_t len = inflight_bytes(3, 8, false);
	uint8_t *bytes;
	int fd;

	(void)state;
	assert_int_equal(inflight_new(3, 8, false, &record, &fd), 0);
	bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (uint64_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], 0);
	assert_true(ftruncate(fd, 0) < 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(inflight_fits(record, 2, 8, false));
	assert_true(inflight_fits(record, 0, 4, false));
	assert_false(inflight_fits(record, 3, 8, false));
	assert_false(inflight_fits(record, 0, 16, false));
	assert_false(inflight_fits(record, 0, 8, true));
	assert_false(inflight_faulted(record));
	munmap(bytes, len);
	inflight_unref(record);
	close(fd);
}

/* VU-175 */
static void record_that_is_too_short_or_odd_is_refused(void **state)
{
	struct inflight *record = NULL;
	uint64_t len = inflight_bytes(1, SIZE, false);

	(void)state;
	begin();
	assert_int_equal(inflight_map(len - 1, 0, rig.fd, 1, SIZE, false, &record), GMEM_PAST_FILE);
	assert_int_equal(inflight_map(0, 0, rig.fd, 1, SIZE, false, &record), GMEM_PAST_FILE);
	assert_int_equal(inflight_map(len, 0, rig.fd, 0, SIZE, false, &record), GMEM_EMPTY_REGION);
	assert_int_equal(inflight_map(len, 4, rig.fd, 1, SIZE, false, &record), GMEM_MAP_FAILED);
	assert_int_equal(inflight_map(len, 1 << 20, rig.fd, 1, SIZE, false, &record),
			 GMEM_PAST_FILE);
	assert_int_equal(inflight_map(UINT64_MAX, 0, rig.fd, 8, SIZE, false, &record),
			 GMEM_PAST_FILE);
	assert_null(record);
	end();
}

/* VU-171 */
static void request_is_in_flight_from_fetch_to_publish(void **state)
{
	uint16_t first, second;

	(void)state;
	begin();
	start(&device);
	assert_int_equal(word(8), INFLIGHT_VERSION);
	assert_int_equal(word(10), SIZE);
	offer(&device.ring, 3);
	offer(&device.ring, 1);
	first = take(&device);
	second = take(&device);
	assert_int_equal(entry_inflight(3), 1);
	assert_int_equal(entry_inflight(1), 1);
	assert_true(entry_counter(1) > entry_counter(3));
	give_back(&device, first);
	give_back(&device, second);
	assert_int_equal(entry_inflight(3), 1);
	assert_int_equal(word(12), 1); /* the batch: 1, then 3 */
	assert_int_equal(word(HEAD + DESC * 1 + 6), 3);
	publish(&device);
	assert_int_equal(entry_inflight(3), 0);
	assert_int_equal(entry_inflight(1), 0);
	assert_int_equal(word(14), 2);
	end();
}

/* VU-172 */
static void resume_lists_what_is_in_flight_in_order_of_counters(void **state)
{
	uint16_t heads[SIZE];

	(void)state;
	begin();
	forge_begun();
	forge(1, 7);
	forge(3, 5);
	forge(0, UINT64_MAX);
	forge(2, 5); /* not possible, and harmless */
	vring_set_used_idx(&device.ring, 40);
	set_word(14, 40);
	assert_int_equal(resume(&device, 99, heads), 4);
	assert_int_equal(heads[0], 2);
	assert_int_equal(heads[1], 3);
	assert_int_equal(heads[2], 1);
	assert_int_equal(heads[3], 0);
	assert_int_equal(device.last_avail, 44);
	end();
}

/* VU-173: a batch of more than one, whose end did not get into the record. */
static void resume_when_the_last_batch_was_published_clears_it(void **state)
{
	uint16_t heads[SIZE];

	(void)state;
	begin();
	forge_begun();
	for (unsigned int head = 0; head < 5; head++)
		forge(head, head);
	set_word(12, 4); /* 4, 2, 0 */
	set_word(HEAD + DESC * 4 + 6, 2);
	set_word(HEAD + DESC * 2 + 6, 0);
	set_word(HEAD + DESC * 0 + 6, 4);
	set_word(14, 0xffff);
	vring_set_used_idx(&device.ring, 2);
	assert_int_equal(resume(&device, 0, heads), 2);
	assert_int_equal(heads[0], 1);
	assert_int_equal(heads[1], 3);
	assert_int_equal(word(14), 2);
	assert_int_equal(entry_inflight(0) + entry_inflight(2) + entry_inflight(4), 0);
	end();
}

/* VU-174 */
static void resume_of_what_makes_no_sense_begins_anew(void **state)
{
	static const struct {
		size_t off;
		uint16_t value;
	} forgeries[] = {
		{ 8, 2 },	{ 10, SIZE - 1 }, { 10, 0xffff },     { 12, SIZE },
		{ 12, 0xffff }, { 14, 0xff00 },	  { HEAD + 6, SIZE }, { HEAD + 6, 0xffff },
	};
	uint16_t heads[SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forgeries); i++) {
		begin();
		forge_begun();
		forge(0, 1);
		forge(5, 2);
		vring_set_used_idx(&device.ring, 2); /* a batch of two, from head 0 on */
		set_word(forgeries[i].off, forgeries[i].value);
		assert_int_equal(resume(&device, 2, heads), -ENOENT);
		assert_non_null(device.r.record);
		for (unsigned int head = 0; head < SIZE; head++)
			assert_int_equal(entry_inflight(head), 0);
		assert_int_equal(word(8), INFLIGHT_VERSION);
		assert_int_equal(word(14), 2);
		offer(&device.ring, 0);
		end();
	}
}

/* VU-174: all at once, in a circle; only as many as there are. */
static void resume_when_all_is_in_flight_lists_each_head_once(void **state)
{
	uint16_t heads[SIZE];
	bool seen[SIZE] = { false };

	(void)state;
	begin();
	forge_begun();
	for (unsigned int head = 0; head < SIZE; head++)
		forge(head, 3);
	assert_int_equal(resume(&device, 0, heads), SIZE);
	for (unsigned int i = 0; i < SIZE; i++) {
		assert_true(heads[i] < SIZE && !seen[heads[i]]);
		seen[heads[i]] = true;
	}
	end();
}

/* What is out was taken by somebody who kept no record: ours would be wrong from the start. */
static void start_amid_requests_that_no_record_has_keeps_none(void **state)
{
	uint16_t heads[SIZE];

	(void)state;
	begin();
	assert_int_equal(resume(&device, 3, heads), -ENOENT);
	assert_null(device.r.record);
	assert_int_equal(word(8), 0);
	offer(&device.ring, 3);
	give_back(&device, take(&device)); /* harmless */
	publish(&device);
	end();
}

static void stop_with_nothing_in_flight_leaves_the_base_to_the_front_end(void **state)
{
	uint16_t heads[SIZE];

	(void)state;
	begin();
	start(&device);
	offer(&device.ring, 3);
	take(&device);
	inflight_close(rig.record, 0);
	assert_int_equal(word(8), INFLIGHT_VERSION);
	give_back(&device, 3);
	publish(&device);
	inflight_close(rig.record, 0);
	assert_int_equal(word(8), 0);
	vring_set_used_idx(&device.ring, 0);
	assert_int_equal(resume(&device, 0, heads), -ENOENT);
	end();
}

static void record_that_is_cut_off_is_survived(void **state)
{
	(void)state;
	begin();
	start(&device);
	assert_int_equal(gmem_fault_guard_install(), 0);
	assert_int_equal(ftruncate(rig.fd, 0), 0);
	inflight_split_take(&device.r, 2);
	assert_true(inflight_faulted(rig.record));
	end();
}

/* Kicks and returns as a device that has several chains out, not in order, and gives some up. */
static void script(void *arg)
{
	struct device *dev = arg;
	uint16_t a, b, c;

	for (uint16_t head = 0; head < 3; head++)
		offer(&dev->ring, head);
	start(dev);
	a = take(dev);
	b = take(dev);
	give_back(dev, a);
	c = take(dev); /* while another is returned and not published */
	publish(dev);
	offer(&dev->ring, a);
	give_back(dev, c);
	a = take(dev);
	untake(dev, a);
	a = take(dev);
	give_back(dev, b);
	give_back(dev, a);
	publish(dev);
	offer(&dev->ring, c);
	offer(&dev->ring, 4);
	offer(&dev->ring, b);
	a = take(dev);
	b = take(dev);
	untake(dev, b);
	untake(dev, a);
	a = take(dev);
	give_back(dev, a);
	publish(dev);
	take(dev);
}

/* What is taken and not returned: all before next, in order, but those in the used ring. */
static unsigned int list_taken(const struct vring *ring, uint16_t next, uint16_t *ret_heads)
{
	unsigned int n_used[N_HEADS] = { 0 }, n = 0;
	uint32_t head, len;

	for (uint16_t i = 0; i < vring_used_idx(ring); i++) {
		vring_used_entry(ring, i, &head, &len);
		assert_true(head < N_HEADS);
		n_used[head]++;
	}
	for (uint16_t i = 0; i < next; i++) {
		head = vring_avail_entry(ring, i);
		if (n_used[head] > 0)
			n_used[head]--;
		else
			ret_heads[n++] = (uint16_t)head;
	}
	return n;
}

/* Another device goes on, to the end: each chain is returned once, in order. */
static void expect_served_once(void)
{
	struct device second = { .ring = map_ring() };
	uint16_t heads[SIZE], taken[SIZE];
	int n = resume(&second, 0, heads);

	if (n < 0)
		n = 0; /* nobody had taken anything */
	assert_int_equal(list_taken(&second.ring, second.last_avail, taken), n);
	assert_memory_equal(heads, taken, (size_t)n * sizeof(heads[0]));
	for (int i = 0; i < n; i++)
		give_back(&second, heads[i]);
	while (second.last_avail != vring_avail_idx(&second.ring))
		give_back(&second, take(&second));
	publish(&second);
	assert_int_equal(vring_used_idx(&second.ring), vring_avail_idx(&second.ring));
	assert_int_equal(list_taken(&second.ring, second.last_avail, taken), 0);
	for (unsigned int head = 0; head < SIZE; head++)
		assert_int_equal(entry_inflight(head), 0);
	inflight_detach(&second.r);
}

static void resume_alone(void *arg)
{
	uint16_t heads[SIZE];

	resume(arg, 0, heads);
}

/* VU-172, VU-173: and killed once more while it puts the record in order. */
static void device_killed_at_any_instruction_is_resumed(void **state)
{
	unsigned int n_again = 0;

	(void)state;
	begin();
	moments_collect(&rig.moments, &rig, script, &device);
	assert_true(rig.moments.n > 40);
	for (unsigned int i = 0; i < rig.moments.n; i++) {
		struct moments again = { .n = 0 };
		struct device second = { .ring = map_ring() };

		moments_restore(&rig.moments, i, &rig);
		if (word(8) == INFLIGHT_VERSION && word(14) != vring_used_idx(&second.ring) &&
		    n_again < 4)
			moments_collect(&again, &rig, resume_alone, &second);
		for (unsigned int k = 0; k < again.n; k++) {
			moments_restore(&again, k, &rig);
			expect_served_once();
		}
		n_again += again.n;
		moments_free(&again);
		moments_restore(&rig.moments, i, &rig);
		expect_served_once();
	}
	assert_true(n_again > 0);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(record_has_room_for_what_the_text_lays_out),
	UNIT_TEST(new_record_is_zeroes_that_cannot_be_cut_off),
	UNIT_TEST(record_that_is_too_short_or_odd_is_refused),
	UNIT_TEST(request_is_in_flight_from_fetch_to_publish),
	UNIT_TEST(resume_lists_what_is_in_flight_in_order_of_counters),
	UNIT_TEST(resume_when_the_last_batch_was_published_clears_it),
	UNIT_TEST(resume_of_what_makes_no_sense_begins_anew),
	UNIT_TEST(resume_when_all_is_in_flight_lists_each_head_once),
	UNIT_TEST(start_amid_requests_that_no_record_has_keeps_none),
	UNIT_TEST(stop_with_nothing_in_flight_leaves_the_base_to_the_front_end),
	UNIT_TEST(record_that_is_cut_off_is_survived),
	UNIT_TEST(device_killed_at_any_instruction_is_resumed),
};
UNIT_MAIN(tests)
