/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The record of requests in flight, as packed rings write it. */
#include "inflight_rig.h"

enum {
	SIZE = 12, /* as many slots as the chains below take up */
	N_IDS = 8,
	HEAD = INFLIGHT_PACKED_HEAD,
	DESC = INFLIGHT_PACKED_DESC,
};

static const struct packed_position base = { .offset = 7, .wrap = true };

static struct inflight_rig rig;

struct device {
	struct inflight_ring r;
	struct packed_ring ring;
	struct packed_position avail, used, first; /* first: used, and not shown yet */
	unsigned int n_unshown;
	uint16_t entry[N_IDS];
};

static struct device device;

static uint16_t chain_len(uint16_t id)
{
	return (uint16_t)(1 + id % 2);
}

static struct packed_ring map_ring(void)
{
	uint8_t *at = rig.mem + rig.ring_off;
	struct packed_ring ring;

	assert_true(packed_map(&ring, at, at + 512, at + 516, SIZE));
	return ring;
}

static struct packed_desc desc_of(uint16_t id, uint16_t i, bool wrap)
{
	return (struct packed_desc){
		.addr = 0x1000u * (id + 1u) + i,
		.len = id + 10u * i,
		.id = id,
		.flags = (uint16_t)(packed_avail_flags(wrap) |
				    (i + 1 < chain_len(id) ? PACKED_DESC_F_NEXT : 0)),
	};
}

/* The driver offers all chains, around the end of the ring. */
static void offer_all(const struct packed_ring *ring)
{
	struct packed_position at = base;

	for (uint16_t id = 0; id < N_IDS; id++) {
		for (uint16_t i = 0; i < chain_len(id); i++) {
			struct packed_desc desc = desc_of(id, i, at.wrap);

			packed_desc_store_body(ring, at.offset, desc);
			packed_desc_store_flags(ring, at.offset, desc.flags);
			at = packed_advance(ring, at, 1);
		}
	}
}

/* As after the round before: all was used. */
static void begin(void)
{
	inflight_rig_open(&rig, SIZE, true, 1024);
	device = (struct device){ .ring = map_ring() };
	for (uint16_t i = 0; i < SIZE; i++)
		packed_desc_store_flags(&device.ring, i, packed_used_flags(i < base.offset));
	offer_all(&device.ring);
}

static void end(void)
{
	inflight_detach(&device.r);
	inflight_rig_close(&rig);
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

static int resume(struct device *dev, struct inflight_chain *ret_chains)
{
	int n;

	inflight_attach(&dev->r, rig.record, 0, SIZE);
	dev->avail = dev->used = base;
	n = inflight_packed_resume(&dev->r, &dev->ring, dev->avail, &dev->used, ret_chains);
	dev->avail = dev->used;
	for (int i = 0; i < n; i++)
		dev->avail = packed_advance(&dev->ring, dev->avail, ret_chains[i].n_descs);
	return n;
}

static void start(struct device *dev)
{
	struct inflight_chain chains[SIZE];

	assert_int_equal(resume(dev, chains), -ENOENT);
}

static uint16_t take(struct device *dev)
{
	struct packed_desc descs[2];
	unsigned int n = 0;
	uint16_t id;

	do {
		assert_true(n < ARRAY_SIZE(descs));
		descs[n] = packed_desc_load(&dev->ring, dev->avail.offset);
		dev->avail = packed_advance(&dev->ring, dev->avail, 1);
	} while (descs[n++].flags & PACKED_DESC_F_NEXT);
	id = descs[n - 1].id;
	assert_true(id < N_IDS);
	dev->entry[id] = inflight_packed_take(&dev->r, descs, n);
	return id;
}

static void untake(struct device *dev, uint16_t id)
{
	inflight_packed_untake(&dev->r, dev->entry[id]);
	for (uint16_t i = 0; i < SIZE - chain_len(id); i++)
		dev->avail = packed_advance(&dev->ring, dev->avail, 1);
	dev->avail.wrap = !dev->avail.wrap; /* once around, but for its length */
}

/* The first flags of a batch are stored last. */
static void give_back(struct device *dev, uint16_t id)
{
	packed_desc_store_body(&dev->ring, dev->used.offset, (struct packed_desc){ .id = id });
	if (dev->n_unshown++ == 0)
		dev->first = dev->used;
	else
		packed_desc_store_flags(&dev->ring, dev->used.offset,
					packed_used_flags(dev->used.wrap));
	dev->used = packed_advance(&dev->ring, dev->used, chain_len(id));
	inflight_packed_return(&dev->r, dev->entry[id]);
}

static void publish(struct device *dev)
{
	if (dev->n_unshown == 0)
		return;
	inflight_packed_publish(&dev->r, dev->used);
	packed_desc_store_flags(&dev->ring, dev->first.offset, packed_used_flags(dev->first.wrap));
	inflight_packed_published(&dev->r);
	dev->n_unshown = 0;
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
	first = take(&device);
	second = take(&device);
	assert_int_equal(first, 0);
	assert_int_equal(second, 1);
	assert_int_equal(rig.mem[HEAD], 1);
	assert_int_equal(rig.mem[HEAD + DESC], 1);
	assert_int_equal(word(HEAD + 6), 1);
	assert_int_equal(word(HEAD + DESC + 6), 2); /* num */
	assert_int_equal(word(HEAD + DESC + 4), 2); /* last */
	assert_int_equal(word(HEAD + DESC + 8), 1); /* counter */
	assert_int_equal(word(14), 3);		    /* old_free_head */
	give_back(&device, second);
	give_back(&device, first);
	assert_int_equal(rig.mem[HEAD], 1);
	assert_int_equal(word(18), base.offset); /* old_used_idx */
	publish(&device);
	assert_int_equal(rig.mem[HEAD] + rig.mem[HEAD + DESC], 0);
	assert_int_equal(word(16), base.offset + 3);
	assert_int_equal(word(18), base.offset + 3);
	assert_int_equal(word(12), word(14));
	end();
}

static void take_when_no_entry_is_left_says_so(void **state)
{
	const struct packed_desc descs[2] = { { .len = 1 } };

	(void)state;
	begin();
	start(&device);
	for (unsigned int i = 0; i < SIZE - 1; i++)
		assert_int_equal(inflight_packed_take(&device.r, descs, 1), i);
	assert_int_equal(inflight_packed_take(&device.r, descs, 2), INFLIGHT_NO_ENTRY);
	assert_int_equal(inflight_packed_take(&device.r, descs, 1), SIZE - 1);
	assert_int_equal(inflight_packed_take(&device.r, descs, 1), INFLIGHT_NO_ENTRY);
	inflight_packed_untake(&device.r, SIZE - 1);
	assert_int_equal(inflight_packed_take(&device.r, descs, 1), SIZE - 1);
	end();
}

/* VU-174 */
static void resume_of_a_forged_record_is_contained(void **state)
{
	static const struct {
		size_t off;
		uint16_t value;
		int n; /* still in flight */
	} forgeries[] = {
		{ 8, 7, -ENOENT },		      /* version */
		{ 10, SIZE + 1, -ENOENT },	      /* desc_num */
		{ 16, SIZE, -ENOENT },		      /* used_idx */
		{ 18, 0xffff, -ENOENT },	      /* old_used_idx */
		{ HEAD + DESC + 6, 0, -ENOENT },      /* num of nothing */
		{ HEAD + DESC + 6, 0xffff, -ENOENT }, /* of more than there is */
		{ HEAD + DESC + 2, 0xffff, -ENOENT }, /* next */
		{ HEAD + DESC + 2, 1, -ENOENT },      /* a chain in a circle */
		{ HEAD + DESC + 2, 0, -ENOENT },      /* part of another one */
		{ 14, 1, 1 },			      /* free and taken, in part */
		{ 14, 0xffff, 2 },		      /* no free list */
		{ HEAD + DESC * 5 + 2, 3, 2 },	      /* a free list in a circle */
		{ HEAD + DESC * 5 + 2, 99, 2 },	      /* one that ends early */
		{ HEAD + DESC + 4, 99, 2 },	      /* last is found, not believed */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forgeries); i++) {
		struct inflight_chain chains[SIZE];
		struct packed_desc descs[SIZE];
		int n;

		begin();
		start(&device);
		take(&device);
		take(&device);
		set_word(forgeries[i].off, forgeries[i].value);
		n = resume(&device, chains);
		assert_int_equal(n, forgeries[i].n);
		for (int k = 0; k < n; k++)
			inflight_packed_load(&device.r, chains[k].entry, descs);
		for (unsigned int k = 0; k <= SIZE; k++)
			inflight_packed_take(&device.r, descs, 1);
		end();
	}
}

/* VU-174: a free list that was cut short, as take() finds it. */
static void return_of_a_chain_without_an_entry_changes_nothing(void **state)
{
	const struct packed_desc desc = { .len = 1 };
	struct inflight_chain chains[SIZE];

	(void)state;
	begin();
	start(&device);
	set_word(12, SIZE);
	set_word(14, SIZE);
	assert_int_equal(resume(&device, chains), 0);
	assert_int_equal(inflight_packed_take(&device.r, &desc, 1), INFLIGHT_NO_ENTRY);
	inflight_packed_return(&device.r, INFLIGHT_NO_ENTRY);
	publish(&device);
	assert_int_equal(inflight_packed_take(&device.r, &desc, 1), INFLIGHT_NO_ENTRY);
	inflight_packed_untake(&device.r, INFLIGHT_NO_ENTRY);
	assert_int_equal(word(12), SIZE);
	assert_int_equal(word(14), SIZE);
	end();
}

static void stop_with_nothing_in_flight_leaves_the_base_to_the_front_end(void **state)
{
	(void)state;
	begin();
	start(&device);
	take(&device);
	inflight_close(rig.record, 0);
	assert_int_equal(word(8), INFLIGHT_VERSION);
	give_back(&device, 0);
	publish(&device);
	inflight_close(rig.record, 0);
	assert_int_equal(word(8), 0);
	end();
}

/* Several chains out, not in order, some given up, one taken while another is not shown yet. */
static void script(void *arg)
{
	struct device *dev = arg;

	start(dev);
	take(dev); /* 0 */
	take(dev); /* 1 */
	give_back(dev, 1);
	take(dev); /* 2 */
	publish(dev);
	give_back(dev, 0);
	take(dev); /* 3 */
	untake(dev, 3);
	take(dev); /* 3 */
	give_back(dev, 3);
	give_back(dev, 2);
	publish(dev);
	take(dev); /* 4 */
	take(dev); /* 5 */
	untake(dev, 5);
	untake(dev, 4);
	take(dev); /* 4 */
	give_back(dev, 4);
	publish(dev);
	take(dev); /* 5 */
}

/* How often the driver finds each chain used; returns how many slots that is. */
static unsigned int collect_used(const struct packed_ring *ring, unsigned int *ret_n_used)
{
	struct packed_position at = base;
	unsigned int n = 0;

	memset(ret_n_used, 0, N_IDS * sizeof(*ret_n_used));
	while (n < SIZE && packed_is_used(packed_desc_flags(ring, at.offset), at.wrap)) {
		uint16_t id = packed_desc_load(ring, at.offset).id;

		assert_true(id < N_IDS);
		ret_n_used[id]++;
		at = packed_advance(ring, at, chain_len(id));
		n += chain_len(id);
	}
	return n;
}

/* What is in flight was taken, is not used, and has what the driver wrote. */
static void expect_in_flight(struct device *dev, const struct inflight_chain *chains, int n)
{
	struct packed_position at = base;
	unsigned int n_used[N_IDS];
	struct packed_desc descs[2];
	int k = 0;

	collect_used(&dev->ring, n_used);
	for (uint16_t id = 0; at.offset != dev->avail.offset || at.wrap != dev->avail.wrap; id++) {
		assert_true(id < N_IDS && n_used[id] <= 1);
		if (n_used[id] == 0) {
			assert_true(k < n);
			assert_int_equal(chains[k].n_descs, chain_len(id));
			inflight_packed_load(&dev->r, chains[k].entry, descs);
			dev->entry[id] = chains[k++].entry;
			for (uint16_t i = 0; i < chain_len(id); i++) {
				struct packed_desc desc = desc_of(id, i, at.wrap);

				assert_memory_equal(&descs[i].addr, &desc.addr, 8);
				assert_int_equal(descs[i].len, desc.len);
				assert_int_equal(descs[i].id, id);
				at = packed_advance(&dev->ring, at, 1);
			}
		} else {
			at = packed_advance(&dev->ring, at, chain_len(id));
		}
	}
	assert_int_equal(k, n);
}

static void expect_served_once(void)
{
	struct device second = { .ring = map_ring() };
	struct inflight_chain chains[SIZE];
	struct packed_desc descs[2];
	unsigned int n_used[N_IDS];
	int n = resume(&second, chains);
	uint16_t id = N_IDS;

	if (n < 0)
		n = 0; /* nobody had taken anything */
	expect_in_flight(&second, chains, n);
	for (int i = 0; i < n; i++) {
		inflight_packed_load(&second.r, chains[i].entry, descs);
		id = descs[chains[i].n_descs - 1].id;
		give_back(&second, id);
	}
	for (id = N_IDS; id > 0 && collect_used(&second.ring, n_used) < SIZE; id--) {
		publish(&second);
		if (collect_used(&second.ring, n_used) < SIZE)
			give_back(&second, take(&second));
		publish(&second);
	}
	assert_int_equal(collect_used(&second.ring, n_used), SIZE);
	for (id = 0; id < N_IDS; id++)
		assert_int_equal(n_used[id], 1);
	for (unsigned int i = 0; i < SIZE; i++)
		assert_int_equal(rig.mem[HEAD + DESC * i], 0);
	inflight_detach(&second.r);
}

static void resume_alone(void *arg)
{
	struct inflight_chain chains[SIZE];

	resume(arg, chains);
}

/* VU-172, VU-173: and killed once more while it puts the record in order. */
static void device_killed_at_any_instruction_is_resumed(void **state)
{
	unsigned int n_again = 0;

	(void)state;
	begin();
	moments_collect(&rig.moments, &rig, script, &device);
	assert_true(rig.moments.n > 60);
	for (unsigned int i = 0; i < rig.moments.n; i++) {
		struct moments again = { .n = 0 };
		struct device second = { .ring = map_ring() };

		moments_restore(&rig.moments, i, &rig);
		if (word(16) != word(18) && n_again < 4)
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
	UNIT_TEST(request_is_in_flight_from_fetch_to_publish),
	UNIT_TEST(take_when_no_entry_is_left_says_so),
	UNIT_TEST(resume_of_a_forged_record_is_contained),
	UNIT_TEST(return_of_a_chain_without_an_entry_changes_nothing),
	UNIT_TEST(stop_with_nothing_in_flight_leaves_the_base_to_the_front_end),
	UNIT_TEST(device_killed_at_any_instruction_is_resumed),
};
UNIT_MAIN(tests)
