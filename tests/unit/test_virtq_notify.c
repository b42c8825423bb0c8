/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The device side's notifications, and its life: start, stop, other memory. */
#include <string.h>
#include <sys/mman.h>

#include "unit.h"

#include "base.h"
#include "virtio/virtq.h"

#include "ring_rig.h"

#define RIG_ON_EMPTY BIT(VIRTIO_F_NOTIFY_ON_EMPTY_BIT)

/* The driver offers n one-byte buffers, the device returns them in one batch. */
static bool batch(struct rig *rig, unsigned int n)
{
	struct driverq_buf buf = { rig->data, 1 };
	uint32_t len;
	void *token;
	bool call;

	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(driverq_add(&rig->driver, &buf, 1, 0, false, rig), 0);
	driverq_publish(&rig->driver);
	for (unsigned int i = 0; i < n; i++)
		virtq_push(&rig->device, rig_pop(rig).head, 0);
	call = virtq_publish(&rig->device);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(driverq_get(&rig->driver, &token, &len), DRIVERQ_USED);
	return call;
}

/* VR-058, VR-059, VR-060 */
static void call_when_no_event_index_obeys_the_flag_alone(void **state)
{
	const struct vring *ring;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	ring = &rig.driver.ring;
	vring_set_used_event(ring, 0x4321);
	assert_true(batch(&rig, 1));
	assert_true(batch(&rig, 5));
	vring_set_avail_flags(ring, VRING_AVAIL_F_NO_INTERRUPT);
	vring_set_used_event(ring, 6);
	assert_false(batch(&rig, 1));
	assert_false(batch(&rig, 8));
	vring_set_avail_flags(ring, 0xfffe);
	assert_true(batch(&rig, 1));
	rig_close(&rig);
}

static void call_when_nothing_was_pushed_is_not_made(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	assert_false(virtq_publish(&rig.device));
	assert_true(batch(&rig, 1));
	assert_false(virtq_publish(&rig.device));
	rig_close(&rig);
}

/* VR-061, VR-062 */
static void call_when_event_index_is_passed_is_made_once(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_EVENT);
	vring_set_avail_flags(&rig.driver.ring, VRING_AVAIL_F_NO_INTERRUPT);
	assert_true(batch(&rig, 1)); /* VR-065: the first is always told */
	vring_set_used_event(&rig.driver.ring, 3);
	assert_false(batch(&rig, 1));
	assert_false(batch(&rig, 1));
	assert_true(batch(&rig, 1));
	assert_false(batch(&rig, 1));
	vring_set_used_event(&rig.driver.ring, 8);
	assert_true(batch(&rig, 8));
	assert_false(batch(&rig, 8));
	rig_close(&rig);
}

/* VR-063, VR-066 */
static void call_when_event_is_just_behind_waits_for_a_whole_round(void **state)
{
	unsigned int quiet = 0;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_EVENT);
	batch(&rig, 1);
	vring_set_used_event(&rig.driver.ring, 0);
	while (!batch(&rig, 1))
		quiet++;
	assert_int_equal(quiet, 65535);
	rig_close(&rig);
}

/* VR-065, VU-096 */
static void call_when_restarted_does_not_remember_the_old_index(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_EVENT);
	batch(&rig, 8);
	vring_set_used_event(&rig.driver.ring, 8);
	rig_start(&rig, 8);
	assert_true(batch(&rig, 1));
	assert_false(batch(&rig, 1));
	/* A call owed from before the stop may be lost: the first is always made. */
	vring_set_used_event(&rig.driver.ring, 1000);
	rig_start(&rig, 10);
	assert_true(batch(&rig, 1));
	assert_false(batch(&rig, 1));
	rig_close(&rig);
}

/* VR-067 */
static void call_when_ring_runs_empty_is_made_if_negotiated(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_ON_EMPTY);
	vring_set_avail_flags(&rig.driver.ring, VRING_AVAIL_F_NO_INTERRUPT);
	assert_true(batch(&rig, 2));
	for (uint16_t i = 0; i < 3; i++) {
		rig_desc(&rig, i, rig.data, 1, 0, 0);
		rig_offer(&rig, i);
	}
	virtq_push(&rig.device, rig_pop(&rig).head, 0);
	assert_false(virtq_publish(&rig.device));
	virtq_push(&rig.device, rig_pop(&rig).head, 0);
	rig_pop(&rig);
	assert_false(virtq_publish(&rig.device)); /* one is still held */
	virtq_push(&rig.device, 2, 0);
	assert_true(virtq_publish(&rig.device));
	rig_close(&rig);
}

/* VR-070, VR-071, VR-074 */
static void kicks_when_no_event_index_are_asked_for_by_the_flag(void **state)
{
	const struct vring *ring;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1);
	ring = &rig.driver.ring;
	assert_int_equal(vring_used_flags(ring), 0);
	virtq_kicks_off(&rig.device);
	assert_int_equal(vring_used_flags(ring), VRING_USED_F_NO_NOTIFY);
	assert_false(virtq_kicks_on(&rig.device));
	assert_int_equal(vring_used_flags(ring), 0);
	rig_desc(&rig, 0, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	assert_true(virtq_kicks_on(&rig.device));
	rig_pop(&rig);
	assert_false(virtq_kicks_on(&rig.device));
	assert_int_equal(vring_avail_event(ring), 0);
	rig_close(&rig);
}

/* VR-072, VR-073, VR-075, VR-076 */
static void kicks_when_event_index_are_asked_for_by_the_next_one(void **state)
{
	const struct vring *ring;
	struct rig rig;

	(void)state;
	rig_open(&rig, 8, RIG_V1 | RIG_EVENT);
	ring = &rig.driver.ring;
	batch(&rig, 5);
	virtq_kicks_off(&rig.device);
	assert_int_equal(vring_used_flags(ring), 0);
	assert_false(virtq_kicks_on(&rig.device));
	assert_int_equal(vring_avail_event(ring), 5);
	assert_int_equal(vring_used_flags(ring), 0);
	rig_desc(&rig, 0, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	assert_true(virtq_kicks_on(&rig.device));
	rig_close(&rig);
}

/* VR-043, VR-052, VR-053, VU-091 */
static void start_when_indices_are_not_zero_goes_on_from_them(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	driverq_set_base(&rig.driver, 65535);
	rig_start(&rig, 65535);
	assert_int_equal(virtq_base(&rig.device), 65535);
	batch(&rig, 3);
	assert_int_equal(virtq_base(&rig.device), 2);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 2);
	rig_close(&rig);
}

/* VR-056 */
static void used_index_when_the_driver_scribbles_on_it_is_our_own(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	batch(&rig, 2);
	rig_desc(&rig, 0, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	vring_set_used_idx(&rig.driver.ring, 0x5555);
	virtq_push(&rig.device, rig_pop(&rig).head, 0);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 3);
	rig_close(&rig);
}

/* VR-002, VR-108, VU-079: stopped, it neither reads nor holds memory. */
static void stop_when_done_lets_go_of_memory_and_keeps_the_base(void **state)
{
	unsigned char vec;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	batch(&rig, 3);
	rig_desc(&rig, 0, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	rig_pop(&rig);
	virtq_stop(&rig.device);
	gmem_unref(rig.mem);
	rig.mem = NULL;
	assert_int_not_equal(mincore(rig.host, 1, &vec), 0);
	assert_int_equal(virtq_base(&rig.device), 4);
	assert_false(virtq_has_avail(&rig.device));
	assert_false(virtq_kicks_on(&rig.device));
	virtq_kicks_off(&rig.device);
	assert_false(virtq_publish(&rig.device));
	assert_int_equal(virtq_pop(&rig.device, &(struct chain){ .head = 0 }), POP_EMPTY);
	rig_close(&rig);
}

/* VU-066, VU-067, VU-078: the same guest memory, mapped elsewhere. */
static void memory_when_exchanged_keeps_indices_and_held_chains(void **state)
{
	struct gmem_region *region;
	struct gmem *other;
	struct virtq_ring ring;
	unsigned char *host;
	struct chain chain;
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	batch(&rig, 2);
	for (uint16_t i = 0; i < 2; i++) {
		rig_desc(&rig, i, rig.data + i, 1, 0, 0);
		rig_offer(&rig, i);
	}
	chain = rig_pop(&rig);
	region = rig_region(RIG_GUEST, RIG_USER, rig.len);
	other = rig_gmem(&region, 1);
	host = gmem_host_from_guest(other, RIG_GUEST, rig.len);
	virtq_set_memory(&rig.device, NULL, NULL);
	assert_int_equal(virtq_pop(&rig.device, &chain), POP_EMPTY);
	memcpy(host, rig.host, rig.len);
	ring = driver_ring(&rig.driver, other);
	virtq_set_memory(&rig.device, &ring, other);
	gmem_unref(other);
	assert_int_equal(virtq_base(&rig.device), 3);
	virtq_push(&rig.device, chain.head, 0);
	chain = rig_pop(&rig);
	assert_ptr_equal(chain.iov[0].iov_base, host + (rig.data - RIG_GUEST) + 1);
	virtq_publish(&rig.device);
	assert_int_equal(vring_used_idx(&ring.split), 3);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 2);
	rig_close(&rig);
}

/* VR-114, VU-219 */
static void start_when_broken_before_is_sound_again(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 4, RIG_V1);
	rig_desc(&rig, 0, rig.data, 1, 0, 0);
	rig_offer(&rig, 0);
	rig_offer(&rig, 0);
	rig_pop(&rig);
	assert_int_equal(virtq_pop(&rig.device, &(struct chain){ .head = 0 }), POP_BROKEN);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_HEAD_IN_USE);
	driverq_reset(&rig.driver);
	rig_start(&rig, 0);
	assert_int_equal(virtq_broken(&rig.device), VIRTQ_FAULT_NONE);
	batch(&rig, 4);
	rig_close(&rig);
}

/* VR-106 */
static void start_when_size_changed_uses_the_new_one(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, 64, RIG_V1);
	batch(&rig, 64);
	driverq_fini(&rig.driver);
	assert_int_equal(driverq_init(&rig.driver, rig.host, RIG_GUEST, 2, RIG_V1), 0);
	rig_start(&rig, 0);
	for (unsigned int i = 0; i < 10; i++)
		batch(&rig, 2);
	assert_int_equal(vring_used_idx(&rig.driver.ring), 20);
	rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(call_when_no_event_index_obeys_the_flag_alone),
	UNIT_TEST(call_when_nothing_was_pushed_is_not_made),
	UNIT_TEST(call_when_event_index_is_passed_is_made_once),
	UNIT_TEST(call_when_event_is_just_behind_waits_for_a_whole_round),
	UNIT_TEST(call_when_restarted_does_not_remember_the_old_index),
	UNIT_TEST(call_when_ring_runs_empty_is_made_if_negotiated),
	UNIT_TEST(kicks_when_no_event_index_are_asked_for_by_the_flag),
	UNIT_TEST(kicks_when_event_index_are_asked_for_by_the_next_one),
	UNIT_TEST(start_when_indices_are_not_zero_goes_on_from_them),
	UNIT_TEST(used_index_when_the_driver_scribbles_on_it_is_our_own),
	UNIT_TEST(stop_when_done_lets_go_of_memory_and_keeps_the_base),
	UNIT_TEST(memory_when_exchanged_keeps_indices_and_held_chains),
	UNIT_TEST(start_when_broken_before_is_sound_again),
	UNIT_TEST(start_when_size_changed_uses_the_new_one),
};

UNIT_MAIN(tests)
