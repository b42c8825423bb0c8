/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a front-end carries from one back-end to the next, against a back-end that is played. */
#include "peer_rig.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "vhu/frontend-log.h"
#include "vhu/frontend-migrate.h"

enum { PAGE = 4096, BIG = 300000 };

/* The dirty log. */

struct log_seen {
	struct vhu_log wire;
	uint64_t features;
	struct vhu_vring_addr addr[4];
	unsigned int n_addr, n_fds;
	uint64_t page; /* that the back-end marks when it gets the log */
};

static void mark(const struct vhu_msg *msg, const struct log_seen *seen)
{
	size_t len = (size_t)(seen->wire.mmap_offset + seen->wire.mmap_size);
	uint8_t *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, msg->fds.fd[0], 0);

	assert_true(map != MAP_FAILED);
	map[seen->wire.mmap_offset + seen->page / 8] |= (uint8_t)(1 << seen->page % 8);
	munmap(map, len);
}

static bool handle_log(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct log_seen *seen = rig->arg;

	switch (msg->id) {
	case VHU_FE_SET_LOG_BASE:
		assert_int_equal(msg->fds.n_fds, 1);
		vhu_msg_get(msg, &seen->wire, sizeof(seen->wire));
		mark(msg, seen);
		peer_reply(rig, msg, &seen->wire, sizeof(seen->wire), -1);
		return true;
	case VHU_FE_SET_LOG_FD:
		seen->n_fds += msg->fds.n_fds;
		return false;
	case VHU_FE_SET_FEATURES:
		seen->features = vhu_msg_u64(msg);
		return false;
	case VHU_FE_SET_VRING_ADDR:
		assert_true(seen->n_addr < ARRAY_SIZE(seen->addr));
		vhu_msg_get(msg, &seen->addr[seen->n_addr++], sizeof(seen->addr[0]));
		return false;
	default:
		return false;
	}
}

static void open_logged(struct peer_rig *rig, struct log_seen *seen, uint64_t features)
{
	peer_open(rig, features | BIT(VHOST_F_LOG_ALL_BIT), BIT(VHU_PF_LOG_SHMFD_BIT));
	peer_make_guest(rig, 2);
	rig->arg = seen;
	rig->handle = handle_log;
}

/* VU-157, VU-163, VU-165 */
static void log_when_given_is_the_file_that_the_back_end_marks(void **state)
{
	static const uint64_t offsets[] = { 0, PAGE };
	struct log_seen seen = { 0 };
	struct peer_rig rig;

	(void)state;
	open_logged(&rig, &seen, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct vhu_frontend_log log = VHU_FRONTEND_LOG_NONE;
		uint64_t last = rig.fe.regions[0].wire.guest_addr + PEER_MEM - 1;

		assert_said(&rig, vhu_frontend_log_make(&rig.fe, &log, offsets[i]));
		seen.page = last / PAGE;
		assert_said(&rig, vhu_frontend_log_give(&rig.fe, &log));
		assert_int_equal(seen.wire.mmap_offset, offsets[i]);
		assert_true(seen.wire.mmap_size > last / PAGE / 8);
		assert_int_equal(vhu_frontend_log_count(&log), 1);
		assert_true(vhu_frontend_log_has(&log, last));
		assert_false(vhu_frontend_log_has(&log, last - PAGE));
		assert_false(vhu_frontend_log_has(&log, UINT64_MAX));
		assert_true(vhu_frontend_log_take(&log, last));
		assert_false(vhu_frontend_log_take(&log, last));
		assert_false(vhu_frontend_log_take(&log, UINT64_MAX));
		assert_int_equal(vhu_frontend_log_count(&log), 0);
		vhu_frontend_log_fini(&log);
	}
	peer_close(&rig);
}

/* VU-160, VU-161: LOG_ALL and each ring's flag come and go while rings run. */
static void log_when_switched_tells_features_and_rings(void **state)
{
	static const uint64_t kinds[] = { 0, BIT(VIRTIO_F_RING_PACKED_BIT) };
	struct peer_rig rig;

	(void)state;
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct log_seen seen = { 0 };
		const struct driverq *q;

		open_logged(&rig, &seen, kinds[k]);
		assert_said(&rig, vhu_frontend_log_switch(&rig.fe, 2, true));
		assert_true(seen.features & BIT(VHOST_F_LOG_ALL_BIT));
		assert_int_equal(seen.n_addr, 2);
		for (unsigned int i = 0; i < 2; i++) {
			q = &rig.fe.rings[i].q;
			assert_int_equal(seen.addr[i].index, i);
			assert_int_equal(seen.addr[i].flags, VHU_VRING_F_LOG);
			assert_int_equal(seen.addr[i].log, kinds[k] ? q->desc_addr : q->used_addr);
		}
		assert_said(&rig, vhu_frontend_log_switch(&rig.fe, 1, false));
		assert_false(seen.features & BIT(VHOST_F_LOG_ALL_BIT));
		assert_int_equal(seen.n_addr, 3);
		assert_int_equal(seen.addr[2].flags, 0);
		assert_false(rig.fe.nego.features & BIT(VHOST_F_LOG_ALL_BIT));
		peer_close(&rig);
	}
}

/* VU-168 */
static void log_fd_when_sent_is_one_descriptor(void **state)
{
	struct log_seen seen = { 0 };
	AUTO_FD int fd = eventfd(0, EFD_CLOEXEC);
	struct peer_rig rig;

	(void)state;
	open_logged(&rig, &seen, 0);
	assert_said(&rig, vhu_frontend_log_fd(&rig.fe, fd));
	assert_int_equal(seen.n_fds, 1);
	peer_close(&rig);
}

static void log_when_not_agreed_on_is_not_given(void **state)
{
	struct vhu_frontend_log log = VHU_FRONTEND_LOG_NONE;
	struct peer_rig rig;

	(void)state;
	peer_open(&rig, 0, 0);
	peer_make_guest(&rig, 1);
	assert_said(&rig, vhu_frontend_log_make(&rig.fe, &log, 0));
	assert_int_equal(vhu_frontend_log_give(&rig.fe, &log), -EINVAL);
	assert_int_equal(rig.n_kept, 0);
	vhu_frontend_log_fini(&log);
	peer_close(&rig);
}

/* Requests in flight. */

struct record {
	int fd; /* -1: refused */
	struct vhu_inflight wire, got;
	ino_t got_inode;
	unsigned int n_got;
};

static bool handle_record(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct record *record = rig->arg;
	struct stat st;

	if (msg->id == VHU_FE_GET_INFLIGHT_FD) {
		AUTO_FD int fd = record->fd < 0 ? -1 : dup(record->fd);

		vhu_msg_get(msg, &record->got, sizeof(record->got));
		peer_reply(rig, msg, &record->wire, sizeof(record->wire), fd);
		return true;
	}
	if (msg->id == VHU_FE_SET_INFLIGHT_FD) {
		vhu_msg_get(msg, &record->got, sizeof(record->got));
		assert_int_equal(fstat(msg->fds.fd[0], &st), 0);
		record->got_inode = st.st_ino;
		record->n_got++;
	}
	return false;
}

static int record_file(off_t len)
{
	int fd = memfd_create("record", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, len), 0);
	return fd;
}

/* VU-169, VU-172: the same file, with what is in it, comes to the next back-end. */
static void inflight_when_kept_is_given_back_after_a_disconnect(void **state)
{
	struct vhu_frontend_inflight inflight = VHU_FRONTEND_INFLIGHT_NONE;
	struct record record = { .fd = record_file(3 * PAGE) };
	struct peer_rig rig;
	struct stat st;

	(void)state;
	peer_open(&rig, 0, BIT(VHU_PF_INFLIGHT_SHMFD_BIT));
	rig.arg = &record;
	rig.handle = handle_record;
	record.wire = (struct vhu_inflight){ .mmap_size = 2 * PAGE, .mmap_offset = PAGE };
	assert_said(&rig, vhu_frontend_inflight_get(&rig.fe, &inflight, 4, 64));
	assert_int_equal(record.got.num_queues, 4);
	assert_int_equal(record.got.queue_size, 64);
	assert_int_equal(vhu_frontend_inflight_part_len(&inflight), 2 * PAGE / 4);
	memset(vhu_frontend_inflight_part(&inflight, 3), 7, 1);
	peer_connect(&rig);
	peer_negotiate(&rig);
	assert_said(&rig, vhu_frontend_inflight_set(&rig.fe, &inflight));
	assert_int_equal(fstat(record.fd, &st), 0);
	assert_int_equal(record.got_inode, st.st_ino);
	assert_int_equal(record.n_got, 1);
	assert_int_equal(record.got.mmap_size, 2 * PAGE);
	assert_int_equal(record.got.mmap_offset, PAGE);
	assert_int_equal(record.got.num_queues, 4);
	assert_int_equal(record.got.queue_size, 64);
	assert_int_equal(((uint8_t *)vhu_frontend_inflight_part(&inflight, 3))[0], 7);
	vhu_frontend_inflight_fini(&inflight);
	fd_close(record.fd);
	peer_close(&rig);
}

/* VU-170, VU-172: a packed ring's record is larger, so features come first. */
static void inflight_when_made_ready_follows_the_features(void **state)
{
	static const uint32_t first[] = { VHU_FE_SET_FEATURES, VHU_FE_GET_INFLIGHT_FD,
					  VHU_FE_SET_INFLIGHT_FD };
	static const uint32_t again[] = { VHU_FE_SET_FEATURES, VHU_FE_SET_INFLIGHT_FD };
	struct vhu_frontend_inflight inflight = VHU_FRONTEND_INFLIGHT_NONE;
	struct record record = { .fd = record_file(PAGE), .wire = { .mmap_size = PAGE } };
	struct peer_rig rig;

	(void)state;
	peer_open(&rig, 0, BIT(VHU_PF_INFLIGHT_SHMFD_BIT));
	rig.arg = &record;
	rig.handle = handle_record;
	assert_said(&rig, vhu_frontend_inflight_ready(&rig.fe, &inflight, rig.features, 2, 8));
	assert_int_equal(rig.n_kept, ARRAY_SIZE(first));
	assert_memory_equal(rig.kept, first, sizeof(first));
	peer_connect(&rig);
	peer_negotiate(&rig);
	assert_said(&rig, vhu_frontend_inflight_ready(&rig.fe, &inflight, rig.features, 2, 8));
	assert_int_equal(rig.n_kept, ARRAY_SIZE(again));
	assert_memory_equal(rig.kept, again, sizeof(again));
	vhu_frontend_inflight_fini(&inflight);
	fd_close(record.fd);
	peer_close(&rig);
}

static void inflight_when_refused_or_false_says_so(void **state)
{
	struct vhu_frontend_inflight inflight = VHU_FRONTEND_INFLIGHT_NONE;
	struct record record = { .fd = -1 };
	struct peer_rig rig;

	(void)state;
	peer_open(&rig, 0, BIT(VHU_PF_INFLIGHT_SHMFD_BIT));
	rig.arg = &record;
	rig.handle = handle_record;
	assert_int_equal(vhu_frontend_inflight_get(&rig.fe, &inflight, 1, 8), -EREMOTEIO);
	record.fd = record_file(PAGE);
	record.wire.mmap_size = 2 * PAGE;
	assert_int_equal(vhu_frontend_inflight_get(&rig.fe, &inflight, 1, 8), -EPROTO);
	record.wire = (struct vhu_inflight){ .mmap_size = PAGE, .mmap_offset = PAGE };
	assert_int_equal(vhu_frontend_inflight_get(&rig.fe, &inflight, 1, 8), -EPROTO);
	vhu_frontend_inflight_fini(&inflight);
	fd_close(record.fd);
	peer_close(&rig);
}

/* Positions. */

static bool handle_base(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct vhu_vring_state state;

	if (msg->id != VHU_FE_GET_VRING_BASE_SKIP_DRAIN && msg->id != VHU_FE_GET_VRING_BASE)
		return false;
	vhu_msg_get(msg, &state, sizeof(state));
	state.num = 0x80018003;
	peer_reply(rig, msg, &state, sizeof(state), -1);
	return true;
}

/* VU-097: both halves of a packed ring's position. */
static void base_when_packed_has_both_positions(void **state)
{
	const uint64_t protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT) |
				  BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) |
				  BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT);
	struct peer_rig rig;
	uint32_t base = 0;

	(void)state;
	peer_open(&rig, BIT(VIRTIO_F_RING_PACKED_BIT), protocol);
	rig.handle = handle_base;
	assert_said(&rig, vhu_frontend_vring_base(&rig.fe, 1, &base));
	assert_int_equal(base, 0x80018003);
	base = 0;
	assert_said(&rig, vhu_frontend_vring_base_now(&rig.fe, 1, &base));
	assert_int_equal(base, 0x80018003);
	peer_close(&rig);
}

/* VU-235 */
static void bases_when_recovered_are_the_used_indices(void **state)
{
	struct peer_rig rig;

	(void)state;
	peer_open(&rig, 0, 0);
	peer_make_guest(&rig, 2);
	driverq_set_base(&rig.fe.rings[1].q, 77);
	rig.fe.rings[0].base = 5;
	vhu_frontend_recover_bases(&rig.fe);
	assert_int_equal(rig.fe.rings[0].base, 0);
	assert_int_equal(rig.fe.rings[1].base, 77);
	peer_close(&rig);
}

/* The device's state. */

struct device {
	int fd;	  /* the way, or -1 */
	bool own; /* sends an end of its own */
	uint32_t direction;
	uint8_t *bytes; /* to be saved, or loaded */
	size_t len, done;
	uint64_t refusal, verdict;
	bool checked_early; /* asked before the transfer was at its end */
};

static void move_state(struct device *d)
{
	ssize_t n = -1;

	if (d->direction == 0 && d->done < d->len)
		n = write(d->fd, d->bytes + d->done, min_size(d->len - d->done, 1000));
	else if (d->direction == 1)
		n = read(d->fd, d->bytes + d->done, BIG - d->done);
	if (n > 0)
		d->done += (size_t)n;
	if ((d->direction == 0 && d->done == d->len) || (d->direction == 1 && n == 0))
		d->fd = fd_close(d->fd);
}

static void device_idle(struct peer_rig *rig)
{
	struct device *d = rig->arg;

	if (d->fd >= 0)
		move_state(d);
}

static void answer_state_fd(struct peer_rig *rig, struct vhu_msg *msg, struct device *d)
{
	struct vhu_device_state s;
	uint64_t value = 0;
	int fds[2];

	vhu_msg_get(msg, &s, sizeof(s));
	d->direction = s.direction;
	d->done = 0;
	if (d->refusal) {
		peer_reply_u64(rig, msg, d->refusal | VHU_DEVICE_STATE_NOFD);
		return;
	}
	d->fd = fdset_take(&msg->fds, 0);
	if (d->own) {
		fd_close(d->fd);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		d->fd = fds[0];
		peer_reply(rig, msg, &value, sizeof(value), fds[1]);
		fd_close(fds[1]);
	} else {
		peer_reply_u64(rig, msg, VHU_DEVICE_STATE_NOFD);
	}
	fcntl(d->fd, F_SETFL, O_NONBLOCK);
}

static bool handle_state(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct device *d = rig->arg;

	if (msg->id == VHU_FE_SET_DEVICE_STATE_FD) {
		answer_state_fd(rig, msg, d);
		return true;
	}
	if (msg->id != VHU_FE_CHECK_DEVICE_STATE)
		return false;
	for (unsigned int i = 0; i < 1000 && d->fd >= 0; i++)
		move_state(d);
	d->checked_early = d->fd >= 0;
	peer_reply_u64(rig, msg, d->verdict);
	return true;
}

static void open_stateful(struct peer_rig *rig, struct device *d)
{
	peer_open(rig, 0, BIT(VHU_PF_DEVICE_STATE_BIT));
	*d = (struct device){ .fd = -1, .bytes = malloc(BIG), .len = BIG };
	assert_non_null(d->bytes);
	for (size_t i = 0; i < BIG; i++)
		d->bytes[i] = (uint8_t)(i * i >> 3);
	rig->arg = d;
	rig->handle = handle_state;
	rig->idle = device_idle;
}

static void close_stateful(struct peer_rig *rig, struct device *d)
{
	d->fd = fd_close(d->fd);
	free(d->bytes);
	peer_close(rig);
}

/* VU-192, VU-194, VU-195, VU-197, VU-201: more than a pipe holds, by every way. */
static void state_when_saved_and_loaded_is_the_same(void **state)
{
	struct vhu_frontend_state saved = { 0 };
	struct peer_rig rig;
	struct device d;

	(void)state;
	open_stateful(&rig, &d);
	for (unsigned int i = 0; i < 4; i++) {
		enum vhu_state_way way = i % 2 ? VHU_STATE_SOCKET : VHU_STATE_PIPE;

		d.own = i >= 2;
		assert_said(&rig, vhu_frontend_save_state(&rig.fe, way, &saved));
		assert_int_equal(saved.len, BIG);
		assert_memory_equal(saved.bytes, d.bytes, BIG);
		memset(d.bytes, 0, BIG);
		assert_said(&rig, vhu_frontend_load_state(&rig.fe, way, saved.bytes, saved.len));
		assert_false(d.checked_early);
		assert_int_equal(d.done, BIG);
		assert_memory_equal(saved.bytes, d.bytes, BIG);
	}
	vhu_frontend_state_fini(&saved);
	close_stateful(&rig, &d);
}

/* VU-196 */
static void state_when_the_back_end_refuses_it_says_so(void **state)
{
	struct vhu_frontend_state saved = { 0 };
	struct peer_rig rig;
	struct device d;

	(void)state;
	open_stateful(&rig, &d);
	d.verdict = 1;
	assert_int_equal(vhu_frontend_save_state(&rig.fe, VHU_STATE_PIPE, &saved), -EREMOTEIO);
	assert_int_equal(vhu_frontend_load_state(&rig.fe, VHU_STATE_PIPE, "x", 1), -EREMOTEIO);
	d.refusal = 1;
	assert_int_equal(vhu_frontend_save_state(&rig.fe, VHU_STATE_PIPE, &saved), -EREMOTEIO);
	assert_int_equal(saved.len, 0);
	vhu_frontend_state_fini(&saved);
	close_stateful(&rig, &d);
}

/* Memory. */

static bool handle_memory(struct peer_rig *rig, struct vhu_msg *msg)
{
	struct stat *st = rig->arg;

	if (msg->id == VHU_FE_SET_MEM_TABLE)
		assert_int_equal(fstat(msg->fds.fd[0], st), 0);
	return false;
}

static void memory_when_swapped_stays_where_the_driver_knows_it(void **state)
{
	struct vhu_frontend_memory memory = VHU_FRONTEND_MEMORY_NONE;
	struct stat first, second;
	struct peer_rig rig;
	uint64_t addr;
	uint8_t *page;

	(void)state;
	peer_open(&rig, 0, 0);
	peer_make_guest(&rig, 1);
	rig.arg = &first;
	rig.handle = handle_memory;
	page = vhu_frontend_alloc(&rig.fe, 2 * PAGE, PAGE, &addr);
	memset(page, 'a', 2 * PAGE);
	assert_said(&rig, vhu_frontend_set_mem_table(&rig.fe, 0, true));
	assert_said(&rig, vhu_frontend_memory_make(&rig.fe, &memory));
	vhu_frontend_memory_copy_page(&rig.fe, &memory, addr + 17);
	vhu_frontend_memory_copy_page(&rig.fe, &memory, 0); /* not the guest's: nothing */
	assert_said(&rig, vhu_frontend_memory_swap(&rig.fe, &memory));
	assert_int_equal(page[0], 'a');
	assert_int_equal(page[PAGE - 1], 'a');
	assert_int_equal(page[PAGE], 0);
	assert_int_equal(memory.map[page - rig.fe.mem_map + PAGE], 'a');
	rig.arg = &second;
	assert_said(&rig, vhu_frontend_set_mem_table(&rig.fe, 0, true));
	assert_true(first.st_ino != second.st_ino);
	vhu_frontend_memory_copy(&rig.fe, &memory);
	assert_int_equal(memory.map[page - rig.fe.mem_map + PAGE], 0);
	vhu_frontend_memory_fini(&memory);
	peer_close(&rig);
}

/* VU-071 */
static void addresses_when_gpa_addresses_are_the_guests(void **state)
{
	struct peer_rig rig;
	uint64_t addr = 0;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct vhu_mem_table table;

		peer_open(&rig, 0, i ? BIT(VHU_PF_GPA_ADDRESSES_BIT) : 0);
		peer_make_guest(&rig, 1);
		assert_non_null(vhu_frontend_alloc(&rig.fe, 16, 16, &addr));
		assert_int_equal(vhu_frontend_user_addr(&rig.fe, addr) == addr, i);
		assert_said(&rig, vhu_frontend_set_mem_table(&rig.fe, 0, true));
		vhu_msg_get(&rig.last, &table, sizeof(table));
		assert_int_equal(table.regions[0].user_addr == table.regions[0].guest_addr, i);
		peer_close(&rig);
	}
}

/* The guest's memory and rings stay; what was agreed on belongs to the connection. */
static void connection_when_swapped_takes_what_was_agreed_on_along(void **state)
{
	struct peer_rig here, there;

	(void)state;
	peer_open(&here, BIT(VHOST_F_LOG_ALL_BIT), BIT(VHU_PF_LOG_SHMFD_BIT));
	peer_make_guest(&here, 1);
	peer_open(&there, 0, BIT(VHU_PF_DEVICE_STATE_BIT));
	here.fe.regions[0].added = true;
	vhu_frontend_swap_connection(&here.fe, &there.fe);
	assert_true(vhu_frontend_has_protocol(&here.fe, VHU_PF_DEVICE_STATE_BIT));
	assert_false(vhu_frontend_has_protocol(&here.fe, VHU_PF_LOG_SHMFD_BIT));
	assert_true(vhu_frontend_has_protocol(&there.fe, VHU_PF_LOG_SHMFD_BIT));
	assert_false(here.fe.regions[0].added);
	assert_int_equal(here.fe.n_rings, 1);
	here.fe.pump_arg = &there;
	assert_said(&here, vhu_frontend_ping(&here.fe));
	here.fe.pump_arg = &here;
	vhu_frontend_swap_connection(&there.fe, &here.fe);
	assert_true(vhu_frontend_has_protocol(&here.fe, VHU_PF_LOG_SHMFD_BIT));
	assert_said(&here, vhu_frontend_ping(&here.fe));
	peer_close(&there);
	peer_close(&here);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(log_when_given_is_the_file_that_the_back_end_marks),
	UNIT_TEST(log_when_switched_tells_features_and_rings),
	UNIT_TEST(log_fd_when_sent_is_one_descriptor),
	UNIT_TEST(log_when_not_agreed_on_is_not_given),
	UNIT_TEST(inflight_when_kept_is_given_back_after_a_disconnect),
	UNIT_TEST(inflight_when_made_ready_follows_the_features),
	UNIT_TEST(inflight_when_refused_or_false_says_so),
	UNIT_TEST(base_when_packed_has_both_positions),
	UNIT_TEST(bases_when_recovered_are_the_used_indices),
	UNIT_TEST(state_when_saved_and_loaded_is_the_same),
	UNIT_TEST(state_when_the_back_end_refuses_it_says_so),
	UNIT_TEST(memory_when_swapped_stays_where_the_driver_knows_it),
	UNIT_TEST(connection_when_swapped_takes_what_was_agreed_on_along),
	UNIT_TEST(addresses_when_gpa_addresses_are_the_guests),
};

UNIT_MAIN(tests)
