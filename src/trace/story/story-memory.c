/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The map of guest memory, as the front-end gives it. */
#include <stdlib.h>
#include <string.h>

#include "trace/story/story-private.h"
#include "vhu/codec.h"

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

static bool regions_overlap(const struct vhu_region *a, const struct vhu_region *b)
{
	return overlap(a->guest_addr, a->size, b->guest_addr, b->size) ||
	       overlap(a->user_addr, a->size, b->user_addr, b->size);
}

static bool same_place(const struct vhu_region *a, const struct vhu_region *b)
{
	return a->guest_addr == b->guest_addr && a->user_addr == b->user_addr && a->size == b->size;
}

/* So far as the file and its size are known. */
static bool past_file(const struct story_region *r)
{
	if (r->file.path[0] == '\0')
		return false;
	if (r->file.kind != FD_KIND_MEMORY && r->file.kind != FD_KIND_FILE)
		return false;
	return !range_within(r->wire.mmap_offset, r->wire.size, 0, r->file.size);
}

static int by_guest_addr(const void *a, const void *b)
{
	const struct story_region *x = a, *y = b;

	return (x->wire.guest_addr > y->wire.guest_addr) -
	       (x->wire.guest_addr < y->wire.guest_addr);
}

/* Order, and what is wrong with which region, after a change. */
static void review(struct story_memory *m)
{
	qsort(m->region, m->n_regions, sizeof(m->region[0]), by_guest_addr);
	for (unsigned int i = 0; i < m->n_regions; i++) {
		struct story_region *r = &m->region[i];

		r->past_file = past_file(r);
		r->overlaps = false;
		for (unsigned int k = 0; k < m->n_regions && !r->overlaps; k++)
			r->overlaps = k != i && regions_overlap(&r->wire, &m->region[k].wire);
	}
}

static void add(struct story_memory *m, const struct vhu_region *wire, const struct fd_about *file)
{
	struct story_region *r = &m->region[m->n_regions];

	if (m->n_regions == STORY_MAX_REGIONS)
		return;
	m->n_regions++;
	*r = (struct story_region){ .wire = *wire };
	if (file)
		r->file = *file;
}

static void replace_all(struct story_memory *m, const struct vhu_msg *msg,
			const struct fd_about *fds, size_t n_fds)
{
	struct vhu_mem_table t;
	size_t there = vhu_msg_payload_len(msg), head = offsetof(struct vhu_mem_table, regions);
	size_t n;

	vhu_msg_get(msg, &t, sizeof(t));
	n = there > head ? (there - head) / sizeof(t.regions[0]) : 0;
	n = min_size(min_size(n, t.n_regions), VHU_MAX_REGIONS);
	m->n_regions = 0;
	for (size_t i = 0; i < n; i++)
		add(m, &t.regions[i], i < n_fds ? &fds[i] : NULL);
}

static void remove_one(struct story_memory *m, const struct vhu_region *wire)
{
	for (unsigned int i = 0; i < m->n_regions; i++) {
		if (!same_place(&m->region[i].wire, wire))
			continue;
		m->n_regions--;
		memmove(&m->region[i], &m->region[i + 1],
			(m->n_regions - i) * sizeof(m->region[0]));
		return;
	}
}

bool story_memory_changes(const struct vhu_msg *msg)
{
	return msg->dir == VHU_FE &&
	       (msg->id == VHU_FE_SET_MEM_TABLE || msg->id == VHU_FE_ADD_MEM_REG ||
		msg->id == VHU_FE_REM_MEM_REG);
}

void story_memory_take(struct story_memory *m, const struct vhu_msg *msg,
		       const struct fd_about *fds, size_t n_fds)
{
	struct vhu_single_region one;

	vhu_msg_get(msg, &one, sizeof(one));
	if (msg->id == VHU_FE_SET_MEM_TABLE)
		replace_all(m, msg, fds, n_fds);
	else if (msg->id == VHU_FE_ADD_MEM_REG)
		add(m, &one.region, n_fds > 0 ? &fds[0] : NULL);
	else
		remove_one(m, &one.region);
	review(m);
}
