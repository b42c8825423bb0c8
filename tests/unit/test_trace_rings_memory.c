/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where rings lie, and when they cannot be looked at. */
#include "trace_rings_rig.h"

#include <fcntl.h>

static void ring_when_not_set_up_is_skipped(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	pass_start(&s);
	bump(s.kick);
	for (int i = 0; i < 10; i++)
		step(&s);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 0);
	assert_int_equal(s.n_notes, 0);
	close_session(&s);
}

static void ring_when_asked_for_is_told_unchanged(void **state)
{
	struct session s;

	(void)state;
	open_session_with(&s, false);
	pass_memory(&s);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_ring_addr(&s);
	pass_start(&s);
	offer(&s);
	bump(s.kick);
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_step(s.loop, false), 0);
	assert_int_equal(s.n_seen, 0);
	rings_look(s.rings, TRACE_ASKED);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 2);
	close_session(&s);
	assert_int_equal(s.n_seen, 2);
}

static void ring_when_elsewhere_is_noted_once(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	pass_memory(&s);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_addr(&s, s.driver.desc_addr, s.driver.avail_addr, GUEST + s.len - 8);
	pass_start(&s);
	bump(s.kick);
	for (int i = 0; i < 10; i++)
		step(&s);
	assert_int_equal(s.n_notes, 1);
	assert_non_null(strstr(s.note, "used ring, front-end address 0x7f000000fff8"));
	pass_ring_addr(&s);
	assert_int_equal(s.n_seen, 1);
	close_session(&s);
}

static void ring_when_of_no_valid_size_is_noted(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	pass_memory(&s);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE - 1);
	pass_ring_addr(&s);
	pass_start(&s);
	assert_int_equal(s.n_notes, 1);
	assert_non_null(strstr(s.note, "ring 0 cannot be shown: 15 entries"));
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, UINT32_MAX);
	pass_state(&s, VHU_FE_SET_VRING_NUM, UINT32_MAX, SIZE);
	assert_int_equal(s.n_seen, 0);
	close_session(&s);
}

static void memory_when_it_cannot_be_mapped_is_noted(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	pass_memory_at(&s, s.len + 1, s.mem_fd);
	assert_int_equal(s.n_notes, 1);
	assert_non_null(strstr(s.note, "guest address 0x40000000, size 0x10001"));
	pass_memory_at(&s, s.len, s.kick);
	assert_int_equal(s.n_notes, 2);
	assert_non_null(strstr(s.note, "cannot be mapped"));
	close_session(&s);
}

static void memory_when_only_readable_is_enough(void **state)
{
	char path[64];
	struct session s;
	int fd;

	(void)state;
	open_session(&s);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s.mem_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	pass_memory_at(&s, s.len, fd);
	close(fd);
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_ring_addr(&s);
	pass_start(&s);
	assert_int_equal(s.n_notes, 0);
	assert_int_equal(s.n_seen, 1);
	close_session(&s);
}

static void memory_when_regions_come_and_go_is_followed(void **state)
{
	struct vhu_single_region single = {
		.region = { .guest_addr = GUEST, .user_addr = USER, .mmap_offset = 0 },
	};
	struct session s;

	(void)state;
	open_session(&s);
	single.region.size = s.len;
	pass_state(&s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_ring_addr(&s);
	pass_start(&s);
	assert_int_equal(s.n_seen, 0);
	pass(&s, VHU_FE_ADD_MEM_REG, &single, sizeof(single), s.mem_fd);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 1);
	pass(&s, VHU_FE_REM_MEM_REG, &single, sizeof(single), -1);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 1);
	close_session(&s);
}

static void memory_when_cut_off_is_noted_and_forgotten(void **state)
{
	struct session s;

	(void)state;
	assert_int_equal(gmem_fault_guard_install(), 0);
	open_session(&s);
	start(&s);
	assert_int_equal(ftruncate(s.mem_fd, 0), 0);
	rings_look(s.rings, TRACE_ASKED);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 1);
	assert_int_equal(s.n_notes, 1);
	assert_non_null(strstr(s.note, "was cut off"));
	assert_int_equal(ftruncate(s.mem_fd, (off_t)s.len), 0);
	close_session(&s);
}

/* A look at a page that is missing would put zeroes there. */
static void memory_when_in_postcopy_is_left_alone(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	start(&s);
	pass(&s, VHU_FE_POSTCOPY_LISTEN, NULL, 0, -1);
	offer(&s);
	bump(s.kick);
	for (int i = 0; i < 10; i++)
		step(&s);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 1);
	pass(&s, VHU_FE_POSTCOPY_END, NULL, 0, -1);
	rings_look(s.rings, TRACE_ASKED);
	assert_int_equal(s.n_seen, 2);
	close_session(&s);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(ring_when_not_set_up_is_skipped),
	UNIT_TEST(ring_when_asked_for_is_told_unchanged),
	UNIT_TEST(ring_when_elsewhere_is_noted_once),
	UNIT_TEST(ring_when_of_no_valid_size_is_noted),
	UNIT_TEST(memory_when_it_cannot_be_mapped_is_noted),
	UNIT_TEST(memory_when_only_readable_is_enough),
	UNIT_TEST(memory_when_regions_come_and_go_is_followed),
	UNIT_TEST(memory_when_cut_off_is_noted_and_forgotten),
	UNIT_TEST(memory_when_in_postcopy_is_left_alone),
};

UNIT_MAIN(tests)
