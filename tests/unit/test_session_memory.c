/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The table of guest memory, whole and region by region: VU-054 to VU-080. */
#include "session_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "virtio/features.h"

#define G UINT64_C(0x100000000)
#define U UINT64_C(0x700000000000)
#define MIB UINT64_C(0x100000)
#define REGION(guest, size, user, off) RIG_U64(guest), RIG_U64(size), RIG_U64(user), RIG_U64(off)
#define ONE_REGION(what, ...)                                                                      \
	{                                                                                          \
		.clause = (what), .id = VHU_FE_SET_MEM_TABLE, .size = 40, .n_fds = 1, .words = {   \
			1,                                                                         \
			0,                                                                         \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct rig_refusal bad_tables[] = {
	{ .clause = "VU-025",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .words = { 1, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-026",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 72,
	  .n_fds = 1,
	  .words = { 2, 0, REGION(G, MIB, U, 0), REGION(G + MIB, MIB, U + MIB, 0) } },
	{ .clause = "VU-026",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 2,
	  .words = { 1, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_READ_ONLY,
	  .words = { 1, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_DIRECTORY,
	  .words = { 1, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-028",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_SOCKET,
	  .words = { 1, 0, REGION(G, MIB, U, 0) } },
	ONE_REGION("VU-060", REGION(G, 0, U, 0)),
	ONE_REGION("VU-060", REGION(UINT64_MAX - 4095, MIB, U, 0)),
	ONE_REGION("VU-060", REGION(G, MIB, UINT64_MAX - 4095, 0)),
	ONE_REGION("VU-060", REGION(G, MIB, U, UINT64_MAX - 4095)),
	ONE_REGION("VU-060", REGION(G, MIB, U, INT64_MAX - 4095)),
	ONE_REGION("VU-060", REGION(0, UINT64_MAX, 0, 0)),
	{ .clause = "VU-061",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_SMALL,
	  .words = { 1, 0, REGION(G, 2 * MIB, U, 0) } },
	{ .clause = "VU-061",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_SMALL,
	  .words = { 1, 0, REGION(G, 4096, U, 4096) } },
	{ .clause = "VU-063",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 72,
	  .n_fds = 2,
	  .words = { 2, 0, REGION(G, MIB, U, 0), REGION(G, MIB, U + MIB, 0) } },
	{ .clause = "VU-063",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 72,
	  .n_fds = 2,
	  .words = { 2, 0, REGION(G, MIB, U, 0), REGION(G + MIB, MIB, U + MIB - 4096, 0) } },
	{ .clause = "VU-064", .id = VHU_FE_SET_MEM_TABLE, .size = 8 },
	{ .clause = "VU-064", .id = VHU_FE_SET_MEM_TABLE, .size = 264, .words = { 9 }, .n_fds = 8 },
	{ .clause = "VU-064",
	  .id = VHU_FE_SET_MEM_TABLE,
	  .size = 264,
	  .words = { UINT32_MAX },
	  .n_fds = 8 },
	/* VU-018: bit 15 was not taken here. */
	{ .clause = "VU-018",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 1,
	  .words = { 0, 0, REGION(G, MIB, U, 0) } },
};

/* With CONFIGURE_MEM_SLOTS; the session's own region is the plain one. */
static const struct rig_refusal bad_regions[] = {
	{ .clause = "VU-074",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .words = { 0, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-074",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 2,
	  .words = { 0, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-074",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 1,
	  .words = { 0, 0, REGION(0x40000000, MIB, U, 0) } },
	{ .clause = "VU-074",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 1,
	  .words = { 0, 0, REGION(G, MIB, 0x7f5500000000, 0) } },
	{ .clause = "VU-060",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 1,
	  .words = { 0, 0, REGION(G, 0, U, 0) } },
	{ .clause = "VU-061",
	  .id = VHU_FE_ADD_MEM_REG,
	  .size = 40,
	  .n_fds = 1,
	  .kind = RIG_FD_SMALL,
	  .words = { 0, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-075",
	  .id = VHU_FE_REM_MEM_REG,
	  .size = 40,
	  .words = { 0, 0, REGION(0x40000000, MIB, 0x7f5500000000, 0) } },
	{ .clause = "VU-075",
	  .id = VHU_FE_REM_MEM_REG,
	  .size = 40,
	  .words = { 0, 0, REGION(G, MIB, U, 0) } },
	{ .clause = "VU-077",
	  .id = VHU_FE_REM_MEM_REG,
	  .size = 40,
	  .n_fds = 2,
	  .words = { 0, 0, REGION(0x40000000, MIB, 0x7f5500000000, 0) } },
	{ .clause = "VU-044", .id = VHU_FE_POSTCOPY_ADVISE, .closes = true },
};

static void setup_slots(struct session_rig *rig)
{
	rig_setup_style(rig, VHU_STYLE_QEMU, 0, 0, ~BIT(VHU_PF_STATUS_BIT));
}

static void send_text(struct session_rig *rig, const char *text)
{
	rig_offer_output(rig, text);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_output(rig, text, strlen(text));
}

static void bad_tables_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_tables); i++)
		rig_expect_refusal(*state, &bad_tables[i], rig_setup_usual);
	rig_expect_service(*state);
}

static void bad_regions_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_regions); i++)
		rig_expect_refusal(*state, &bad_regions[i], setup_slots);
	rig_expect_service(*state);
}

/* VU-026, VU-060, VU-068: the table before stays in force, whole. */
static void refused_table_leaves_the_old_one_in_force(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_region good;

	rig_setup_usual(rig);
	rig_join(rig);
	send_text(rig, "before");
	/* The second region is past its file; the first would have done. */
	good = rig->fe.regions[0].wire;
	rig->fe.n_regions = 2;
	rig->fe.regions[1].wire = (struct vhu_region){ G, MIB, U, (uint64_t)1 << 40 };
	assert_int_equal(vhu_frontend_set_mem_table(&rig->fe, 0, true), -EREMOTEIO);
	rig->fe.n_regions = 1;
	assert_memory_equal(&good, &rig->fe.regions[0].wire, sizeof(good));
	send_text(rig, "after");
}

/* VU-054 to VU-058: regions in any order, one file, one chain over all of them. */
static void chain_over_eight_regions_arrives_in_order(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_region regions[8];
	struct driverq_buf bufs[8];
	char expected[8 * 100];

	for (unsigned int i = 0; i < 8; i++)
		regions[i] = (struct vhu_region){
			.guest_addr = G + (7 - i) * 16 * MIB,
			.size = MIB,
			.user_addr = U + i * 32 * MIB,
			.mmap_offset = (i * 3 % 8) * MIB,
		};
	rig_setup_regions(rig, regions, 8);
	rig_join(rig);
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t at = regions[i].guest_addr + MIB - 100;

		memset(vhu_frontend_host(&rig->fe, at), 'a' + (int)i, 100);
		memset(expected + i * 100, 'a' + (int)i, 100);
		bufs[i] = (struct driverq_buf){ .addr = at, .len = 100 };
	}
	assert_int_equal(driverq_add(&rig->fe.rings[GUEST_TX].q, bufs, 8, 0, false, rig), 0);
	assert_fe_ok(rig, vhu_frontend_publish(&rig->fe, GUEST_TX));
	rig_expect_output(rig, expected, sizeof(expected));
}

/* VU-057 */
static void buffer_across_two_regions_arrives_whole(void **state)
{
	static const struct vhu_region regions[2] = {
		{ .guest_addr = G, .size = MIB, .user_addr = U, .mmap_offset = 2 * MIB },
		{ .guest_addr = G + MIB, .size = MIB, .user_addr = U + 64 * MIB, .mmap_offset = 0 },
	};
	struct session_rig *rig = *state;
	struct driverq_buf buf = { .addr = G + MIB - 3, .len = 6 };

	rig_setup_regions(rig, regions, 2);
	rig_join(rig);
	memcpy(vhu_frontend_host(&rig->fe, G + MIB - 3), "abc", 3);
	memcpy(vhu_frontend_host(&rig->fe, G + MIB), "def", 3);
	assert_int_equal(driverq_add(&rig->fe.rings[GUEST_TX].q, &buf, 1, 0, false, rig), 0);
	assert_fe_ok(rig, vhu_frontend_publish(&rig->fe, GUEST_TX));
	rig_expect_output(rig, "abcdef", 6);
}

/* VU-059 */
static void region_off_page_bounds_works(void **state)
{
	static const struct vhu_region region = {
		.guest_addr = G + 0x1800,
		.size = 3 * MIB + 0x800,
		.user_addr = U + 0x1800,
		.mmap_offset = 0x800,
	};
	struct session_rig *rig = *state;

	/* Rings are aligned within their region, so within a multiple of their own unit. */
	rig_setup_regions(rig, &region, 1);
	rig_join(rig);
	send_text(rig, "crooked");
}

static unsigned int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:guest") != NULL;
	fclose(f);
	return n;
}

/* VU-065, VU-066 */
static void table_when_sent_again_replaces_mappings_and_keeps_rings(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_maps;

	rig_setup_usual(rig);
	rig_join(rig);
	n_maps = count_maps();
	for (unsigned int i = 0; i < 100; i++) {
		assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
		send_text(rig, "same");
	}
	assert_int_equal(count_maps(), n_maps);
}

/* VU-066: the guest's memory moves to another place of another file. */
static void table_with_a_moved_copy_goes_on_in_the_copy(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_frontend_region *r = &rig->fe.regions[0];
	int copy = memfd_create("copy", MFD_CLOEXEC), old;
	uint8_t *map;
	uint64_t shift = 8 * MIB;

	rig_setup_usual(rig);
	rig_join(rig);
	send_text(rig, "before");
	assert_int_equal(ftruncate(copy, (off_t)(shift + rig->fe.mem_len)), 0);
	map = mmap(NULL, rig->fe.mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, copy, (off_t)shift);
	assert_ptr_not_equal(map, MAP_FAILED);
	memcpy(map, rig->fe.mem_map, rig->fe.mem_len);
	old = rig->fe.mem_fd;
	rig->fe.mem_fd = copy;
	r->wire.mmap_offset += shift;
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	/* The driver moves too: the same addresses of its own, other memory behind them. */
	assert_ptr_equal(mmap(rig->fe.mem_map, rig->fe.mem_len, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, copy, (off_t)shift),
			 rig->fe.mem_map);
	send_text(rig, "after");
	munmap(map, rig->fe.mem_len);
	close(old);
}

/* VU-067, VU-078: parked while its memory is away, then as if nothing had been. */
static void ring_whose_memory_left_waits_until_it_is_back(void **state)
{
	struct session_rig *rig = *state;
	struct vhu_region mine;

	rig_setup_usual(rig);
	rig_join(rig);
	send_text(rig, "before");
	mine = rig->fe.regions[0].wire;
	rig->fe.regions[0].wire.guest_addr = G;
	rig->fe.regions[0].wire.user_addr = U;
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	rig->fe.regions[0].wire = mine;
	rig_offer_output(rig, "meanwhile");
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	rig_expect_no_output(rig);
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	rig_expect_output(rig, "meanwhile", 9);
}

/* VU-062: the process lives; the session cannot. */
static void file_cut_off_under_a_running_ring_ends_the_session(void **state)
{
	struct session_rig *rig = *state;

	/* The test harness has taken SIGBUS since the rig was set up. */
	assert_int_equal(gmem_fault_guard_install(), 0);
	rig_setup_usual(rig);
	rig_join(rig);
	assert_int_equal(ftruncate(rig->fe.mem_fd, 0), 0);
	assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
	assert_fe_ok(rig, vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
	rig_await_end(rig);
	rig_leave(rig);
	/* driverq has no business with this memory any more. */
	rig_expect_service(rig);
}

/* VU-069 */
static void guest_memory_is_left_out_of_core_dumps(void **state)
{
	struct session_rig *rig = *state;
	FILE *f;
	char line[512];
	bool guest = false;
	unsigned int n_guest = 0, n_left_out = 0;

	rig_setup_usual(rig);
	f = fopen("/proc/self/smaps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "memfd:guest")) {
			guest = true;
			n_guest++;
		} else if (guest && strncmp(line, "VmFlags:", 8) == 0) {
			n_left_out += strstr(line, " dd") != NULL;
			guest = false;
		}
	}
	fclose(f);
	/* The front-end's own mapping, and the back-end's. */
	assert_int_equal(n_guest, 2);
	assert_int_equal(n_left_out, 1);
}

/* VU-072 */
static void slots_are_enough_and_stay_the_same(void **state)
{
	struct session_rig *rig = *state;
	uint64_t first = 0, n = 0;

	for (unsigned int i = 0; i < 3; i++) {
		setup_slots(rig);
		assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_MAX_MEM_SLOTS, &n));
		assert_true(n >= 8);
		first = i == 0 ? n : first;
		assert_true(n == first);
	}
}

/* VU-073, VU-074: as many regions as were promised, and not one more. */
static void regions_up_to_the_promise_are_taken(void **state)
{
	struct session_rig *rig = *state;
	uint64_t n = 0;

	setup_slots(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_MAX_MEM_SLOTS, &n));
	rig->fe.n_regions = 2;
	for (uint64_t i = 1; i < n; i++) {
		rig->fe.regions[1].wire = (struct vhu_region){ G + i * MIB, 4096, U + i * MIB, 0 };
		assert_fe_ok(rig, vhu_frontend_add_region(&rig->fe, 1, true));
	}
	rig->fe.regions[1].wire = (struct vhu_region){ G, 4096, U, 0 };
	assert_int_equal(vhu_frontend_add_region(&rig->fe, 1, true), -EREMOTEIO);
	send_text(rig, "still");
	rig->fe.n_regions = 1;
}

/* VU-075, VU-076, VU-078, VU-079 */
static void region_with_rings_when_removed_and_added_again_works_on(void **state)
{
	struct session_rig *rig = *state;
	unsigned int n_fds;
	struct guest g;
	char got[8];

	setup_slots(rig);
	rig_join(rig);
	assert_fe_ok(rig, guest_init(&g, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	assert_fe_ok(rig, guest_start(&g, RIG_TIMEOUT_MS));
	n_fds = fd_count_open();
	for (unsigned int i = 0; i < 4; i++) {
		assert_fe_ok(rig, vhu_frontend_remove_region(&rig->fe, 0, i % 2, true));
		/* Input finds no memory: it waits. */
		assert_int_equal(port_input(&rig->port, "12", 2), 2);
		rig_offer_output(rig, "later");
		assert_fe_ok(rig, vhu_frontend_kick(&rig->fe, GUEST_TX));
		rig_expect_no_output(rig);
		assert_fe_ok(rig, vhu_frontend_add_region(&rig->fe, 0, true));
		rig_expect_output(rig, "later", 5);
		assert_fe_ok(rig, guest_read(&g, got, 2, RIG_TIMEOUT_MS));
		assert_memory_equal(got, "12", 2);
		assert_int_equal(fd_count_open(), n_fds);
	}
	guest_fini(&g);
}

/* VU-080 */
static void whole_table_with_slots_agreed_on_works_too(void **state)
{
	struct session_rig *rig = *state;

	setup_slots(rig);
	rig_join(rig);
	assert_fe_ok(rig, vhu_frontend_set_mem_table(&rig->fe, 0, true));
	send_text(rig, "table");
	assert_fe_ok(rig, vhu_frontend_remove_region(&rig->fe, 0, false, true));
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(bad_tables_are_refused),
	RIG_TEST(bad_regions_are_refused),
	RIG_TEST(refused_table_leaves_the_old_one_in_force),
	RIG_TEST(chain_over_eight_regions_arrives_in_order),
	RIG_TEST(buffer_across_two_regions_arrives_whole),
	RIG_TEST(region_off_page_bounds_works),
	RIG_TEST(table_when_sent_again_replaces_mappings_and_keeps_rings),
	RIG_TEST(table_with_a_moved_copy_goes_on_in_the_copy),
	RIG_TEST(ring_whose_memory_left_waits_until_it_is_back),
	RIG_TEST(file_cut_off_under_a_running_ring_ends_the_session),
	RIG_TEST(guest_memory_is_left_out_of_core_dumps),
	RIG_TEST(slots_are_enough_and_stay_the_same),
	RIG_TEST(regions_up_to_the_promise_are_taken),
	RIG_TEST(region_with_rings_when_removed_and_added_again_works_on),
	RIG_TEST(whole_table_with_slots_agreed_on_works_too),
};
UNIT_MAIN(tests)
