/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A session as a tracer sees it, with guest memory and both sides of a ring. */
#ifndef VHU_TESTS_TRACE_RINGS_RIG_H
#define VHU_TESTS_TRACE_RINGS_RIG_H

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "trace/proxy/rings.h"
#include "vhu/codec.h"
#include "virtio/driverq.h"

#define GUEST UINT64_C(0x40000000)
#define USER UINT64_C(0x7f0000000000)

enum {
	SIZE = 16,
	DATA = 0x8000, /* offset of buffers in memory */
	PATIENCE =
		500, /* iterations of the loop: each ends with a completion, at most 20 ms away */
	MAX_SEEN = 64,
};

/* A picture that was told, without what it points to. */
struct seen {
	enum trace_cause cause;
	uint32_t ring;
	uint64_t ns;
	uint16_t avail_idx, used_idx;
	size_t n_chains;
	char data[16]; /* what the device has written into the newest that came back */
};

struct session {
	struct trace_sink sink;
	struct loop *loop;
	struct trace_rings *rings;
	struct seen seen[MAX_SEEN];
	unsigned int n_seen, n_notes, n_closed;
	char note[TRACE_MAX_TEXT];
	int mem_fd, kick, call;
	unsigned char *mem;
	size_t len;
	struct driverq driver;
};

static inline void take(struct trace_sink *sink, const struct trace_record *record)
{
	struct session *s = container_of(sink, struct session, sink);
	const struct ring_picture *p = record->picture;
	struct seen *seen = &s->seen[s->n_seen];

	assert_int_equal(record->session, 7);
	if (record->kind == TRACE_NOTE) {
		s->n_notes++;
		snprintf(s->note, sizeof(s->note), "%s", record->text);
		return;
	}
	assert_int_equal(record->kind, TRACE_RING);
	assert_true(s->n_seen < MAX_SEEN);
	*seen = (struct seen){ record->cause, record->ring, record->ns, p->avail_idx,
			       p->used_idx,   p->n_chains,  "" };
	for (size_t i = 0; i < p->n_chains; i++)
		if (p->chains[i].n_in > 0)
			memcpy(seen->data, p->data + p->chains[i].in_at,
			       min_size(p->chains[i].n_in, sizeof(seen->data) - 1));
	s->n_seen++;
}

static inline void open_session_with(struct session *s, bool pictures)
{
	const struct trace_rings_options options = { .pictures = pictures, .data = 64 };
	const char *why = NULL;

	memset(s, 0, sizeof(*s));
	s->sink.take = take;
	if (loop_new(16, &s->loop, &why) < 0)
		fail_msg("%s", why);
	s->len = 0x10000;
	s->mem_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(s->mem_fd, (off_t)s->len), 0);
	s->mem = mmap(NULL, s->len, PROT_READ | PROT_WRITE, MAP_SHARED, s->mem_fd, 0);
	assert_true(s->mem != MAP_FAILED);
	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(driverq_init(&s->driver, s->mem, GUEST, SIZE, 0), 0);
	s->rings = rings_new(s->loop, &s->sink, 7, &options);
	assert_non_null(s->rings);
}

static inline void open_session(struct session *s)
{
	open_session_with(s, true);
}

static inline void step(struct session *s)
{
	assert_int_equal(loop_step(s->loop, true), 0);
}

/* The next picture; the test fails if none comes. */
static inline const struct seen *next(struct session *s, unsigned int number)
{
	for (unsigned int i = 0; s->n_seen <= number; i++) {
		assert_true(i < PATIENCE);
		step(s);
	}
	return &s->seen[number];
}

static inline void on_closed(void *arg)
{
	struct session *s = arg;

	s->n_closed++;
}

static inline void close_session(struct session *s)
{
	rings_close(s->rings, on_closed, s);
	assert_int_equal(s->n_closed, 0);
	while (s->n_closed == 0)
		step(s);
	driverq_fini(&s->driver);
	munmap(s->mem, s->len);
	close(s->mem_fd);
	close(s->kick);
	close(s->call);
	loop_free(s->loop);
}

/* Messages as they pass. */

static inline void pass(struct session *s, enum vhu_fe_id id, const void *payload, size_t len,
			int fd)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put(&msg, payload, len);
	rings_message(s->rings, &msg, &fd, fd >= 0);
}

static inline void pass_state(struct session *s, enum vhu_fe_id id, uint32_t ring, uint32_t num)
{
	const struct vhu_vring_state state = { ring, num };

	pass(s, id, &state, sizeof(state), -1);
}

static inline void pass_u64(struct session *s, enum vhu_fe_id id, uint64_t value, int fd)
{
	pass(s, id, &value, sizeof(value), fd);
}

static inline void pass_memory_at(struct session *s, uint64_t size, int fd)
{
	const struct vhu_mem_table table = {
		.n_regions = 1,
		.regions[0] = { .guest_addr = GUEST, .size = size, .user_addr = USER },
	};

	pass(s, VHU_FE_SET_MEM_TABLE, &table, 8 + sizeof(table.regions[0]), fd);
}

static inline void pass_memory(struct session *s)
{
	pass_memory_at(s, s->len, s->mem_fd);
}

static inline void pass_addr(struct session *s, uint64_t desc, uint64_t avail, uint64_t used)
{
	const struct vhu_vring_addr addr = {
		.desc = desc - GUEST + USER,
		.avail = avail - GUEST + USER,
		.used = used - GUEST + USER,
	};

	pass(s, VHU_FE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
}

static inline void pass_ring_addr(struct session *s)
{
	pass_addr(s, s->driver.desc_addr, s->driver.avail_addr, s->driver.used_addr);
}

static inline void pass_start(struct session *s)
{
	pass_u64(s, VHU_FE_SET_VRING_CALL, 0, s->call);
	pass_u64(s, VHU_FE_SET_VRING_KICK, 0, s->kick);
}

/* A ring in use, its first picture seen. */
static inline void start(struct session *s)
{
	pass_memory(s);
	pass_state(s, VHU_FE_SET_VRING_NUM, 0, SIZE);
	pass_state(s, VHU_FE_SET_VRING_BASE, 0, 0);
	pass_ring_addr(s);
	pass_start(s);
	assert_int_equal(s->n_seen, 1);
	assert_int_equal(s->seen[0].cause, TRACE_BEGIN);
}

/* What the two sides do. */

static inline void bump(int fd)
{
	static const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), 8);
}

static inline uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == 8 ? n : 0;
}

static inline void offer(struct session *s)
{
	const struct driverq_buf bufs[] = { { GUEST + DATA, 16 }, { GUEST + DATA + 64, 16 } };
	static int token;

	assert_int_equal(driverq_add(&s->driver, bufs, 1, 1, false, &token), 0);
	driverq_publish(&s->driver);
}

static inline void give_back(struct session *s)
{
	const struct vring *ring = &s->driver.ring;
	uint16_t idx = vring_used_idx(ring);

	memcpy(s->mem + DATA + 64, "answer", 6);
	vring_set_used_entry(ring, idx, vring_avail_entry(ring, idx), 6);
	vring_set_used_idx(ring, (uint16_t)(idx + 1));
}

#endif
