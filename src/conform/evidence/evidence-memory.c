/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the case writes into guest memory, as differences between one look and
 * the next. What the back-end writes into used rings is told apart, and told as
 * indices to wait for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform/evidence/evidence-events.h"
#include "virtio/vring.h"

enum {
	PAGE = 4096,
	JOIN = 16,	/* equal bytes between two differences that make one of them */
	RUN_MAX = 4096, /* bytes of one statement */
	RING_IDX = 2,	/* offset of the index in either ring */
};

/* Used rings. */

/*
 * The same is written by the back-end when all is played again, so that only
 * what the driver does to it afterwards is a difference.
 */
static void take_over(const struct evidence *e, const struct owned *w)
{
	struct object *o = &e->objects[w->object];

	if (o->shadow && range_within(w->at, w->len, 0, o->shadow_len) &&
	    pread(o->fd, o->shadow + w->at, w->len, (off_t)w->at) < 0)
		memset(o->shadow + w->at, 0, w->len);
}

static void add_await(struct evidence *e, const struct owned *w, uint16_t idx)
{
	struct event *event = evidence_add(e, EVENT_AWAIT);

	if (!event)
		return;
	event->conn = w->conn;
	event->ring = w->ring;
	event->object = w->object;
	event->at = w->at + RING_IDX;
	event->value = idx;
}

static void note_used(struct evidence *e, struct owned *w)
{
	uint16_t idx;

	take_over(e, w);
	if (!object_peek16(&e->objects[w->object], w->at + RING_IDX, &idx) || idx == w->seen)
		return;
	w->seen = idx;
	add_await(e, w, idx);
}

/* From `at` on: where the next byte of the back-end's lies, and in *ret_end where ours begin again.
 */
static uint64_t next_owned(const struct evidence *e, unsigned int object, uint64_t at,
			   uint64_t *ret_end)
{
	uint64_t start = UINT64_MAX;

	*ret_end = UINT64_MAX;
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		const struct owned *w = &e->owned[i];
		uint64_t begins = w->at > at ? w->at : at;

		if (!w->active || w->object != object || w->at + w->len <= at || begins >= start)
			continue;
		start = begins;
		*ret_end = w->at + w->len;
	}
	return start;
}

static void own(struct evidence *e, const struct owned *range)
{
	struct owned *free_slot = NULL;

	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		struct owned *w = &e->owned[i];

		if (w->active && w->conn == range->conn && w->ring == range->ring &&
		    w->last == range->last) {
			free_slot = w;
			break;
		}
		if (!w->active && !free_slot)
			free_slot = w;
	}
	if (!free_slot)
		return; /* it is recorded as memory like any other */
	*free_slot = *range;
	if (range->last)
		return;
	object_peek16(&e->objects[range->object], range->at + RING_IDX, &free_slot->seen);
}

/* Memory. */

/* Room to remember a file of this size. */
static bool fit_shadow(struct object *o, uint64_t size)
{
	uint64_t len = (size + PAGE - 1) / PAGE * PAGE;
	void *map;

	if (len <= o->shadow_len)
		return true;
	if (o->shadow)
		map = mremap(o->shadow, o->shadow_len, len, MREMAP_MAYMOVE);
	else
		map = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return false;
	o->shadow = map;
	o->shadow_len = len;
	return true;
}

static void add_write(struct evidence *e, unsigned int object, uint64_t at, const uint8_t *bytes,
		      size_t len)
{
	struct event *event = evidence_add(e, EVENT_WRITE);

	if (!event)
		return;
	event->object = object;
	event->at = at;
	event->bytes = malloc(len);
	if (!event->bytes) {
		e->lost = true;
		return;
	}
	memcpy(event->bytes, bytes, len);
	event->len = len;
	e->n_bytes += len;
}

/* How many bytes from i on differ, small gaps included. */
static size_t run_length(const uint8_t *a, const uint8_t *b, size_t i, size_t n)
{
	size_t end = i + 1;

	for (size_t j = i; j < n && j < end + JOIN && j - i < RUN_MAX; j++)
		if (a[j] != b[j])
			end = j + 1;
	return end - i;
}

/* n bytes at `at` are what they now are, and ours. */
static void compare(struct evidence *e, unsigned int object, uint64_t at, const uint8_t *now,
		    size_t n)
{
	uint8_t *before = e->objects[object].shadow + at;

	if (memcmp(before, now, n) == 0)
		return;
	for (size_t i = 0; i < n;) {
		size_t len;

		if (before[i] == now[i]) {
			i++;
			continue;
		}
		len = run_length(before, now, i, n);
		add_write(e, object, at + i, now + i, len);
		i += len;
	}
	memcpy(before, now, n);
}

/* The same, without what belongs to the back-end. */
static void compare_ours(struct evidence *e, unsigned int object, uint64_t at, const uint8_t *now,
			 size_t n)
{
	uint64_t done = 0;

	while (done < n) {
		uint64_t resume, owned = next_owned(e, object, at + done, &resume);
		uint64_t end = min_u64(n, owned - at);

		compare(e, object, at + done, now + done, (size_t)(end - done));
		done = min_u64(n, resume - at);
	}
}

/* A stretch of the file that is not a hole. */
static void look_at(struct evidence *e, unsigned int object, uint64_t at, uint64_t end)
{
	static uint8_t chunk[EVIDENCE_CHUNK];

	while (at < end) {
		size_t want = (size_t)min_u64(end - at, sizeof(chunk));
		ssize_t n = pread(e->objects[object].fd, chunk, want, (off_t)at);

		if (n <= 0)
			return;
		compare_ours(e, object, at, chunk, (size_t)n);
		at += (uint64_t)n;
	}
}

static bool follow_size(struct evidence *e, unsigned int object, uint64_t *ret_size)
{
	struct object *o = &e->objects[object];
	struct event *event;
	struct stat st;

	if (fstat(o->fd, &st) < 0 || !fit_shadow(o, (uint64_t)st.st_size)) {
		e->lost = true;
		return false;
	}
	*ret_size = (uint64_t)st.st_size;
	if (*ret_size == o->size)
		return true;
	if (*ret_size < o->size) /* what is cut off reads as zero if it comes again */
		memset(o->shadow + *ret_size, 0, o->shadow_len - *ret_size);
	o->size = *ret_size;
	event = evidence_add(e, EVENT_RESIZE);
	if (event) {
		event->object = object;
		event->value = *ret_size;
	}
	return true;
}

static void look_at_object(struct evidence *e, unsigned int object)
{
	int fd = e->objects[object].fd;
	uint64_t size;
	off_t data = 0, hole;

	if (fd < 0 || !follow_size(e, object, &size))
		return;
	while ((uint64_t)data < size) {
		data = lseek(fd, data, SEEK_DATA);
		if (data < 0)
			return;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			hole = (off_t)size;
		look_at(e, object, (uint64_t)data, min_u64((uint64_t)hole, size));
		data = hole;
	}
}

/* What was left out of the comparison, so that it comes after the rest. */
static void write_last(struct evidence *e, const struct owned *w)
{
	static uint8_t bytes[VRING_DESC_BYTES * VHU_MAX_QUEUE_SIZE];
	size_t len = (size_t)min_u64(w->len, sizeof(bytes));

	if (pread(e->objects[w->object].fd, bytes, len, (off_t)w->at) == (ssize_t)len)
		compare(e, w->object, w->at, bytes, len);
}

/* The available index that has been recorded of the same ring; false: none has. */
static bool recorded_avail(const struct evidence *e, const struct owned *used, uint16_t *ret_idx)
{
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		const struct owned *w = &e->owned[i];
		uint16_t idx;

		if (!w->active || !w->last || w->conn != used->conn || w->ring != used->ring ||
		    !e->objects[w->object].shadow)
			continue;
		memcpy(&idx, e->objects[w->object].shadow + w->at, sizeof(idx));
		*ret_idx = le16toh(idx);
		return true;
	}
	return false;
}

/* Whether the back-end has used what it was shown without a kick. */
static bool looked_by_itself(const struct evidence *e, const struct owned *w, uint16_t *ret_avail)
{
	uint16_t used, avail = 0;

	if (!w->active || w->last ||
	    !object_peek16(&e->objects[w->object], w->at + RING_IDX, &used) || used == w->seen ||
	    !recorded_avail(e, w, &avail))
		return false;
	*ret_avail = avail;
	return used != avail && (uint16_t)(used - avail) < 0x8000;
}

/*
 * It had said that it needs no kick. When all is played again it may have
 * stopped looking by then, and a kick too many does no harm.
 */
static void add_kick(struct evidence *e, const struct owned *w)
{
	struct event *event;

	for (const struct listener *l = e->listeners; l; l = l->next) {
		if (l->conn != w->conn || w->ring >= VHU_MAX_FD_RINGS || l->kicks[w->ring] == 0)
			continue;
		event = evidence_add(e, EVENT_NUDGE);
		if (!event)
			return;
		event->conn = w->conn;
		event->ring = w->ring;
		event->object = l->kicks[w->ring] - 1;
	}
}

static void look_at_memory(struct evidence *e)
{
	for (unsigned int i = 0; i < e->n_objects; i++)
		look_at_object(e, i);
	for (size_t i = 0; i < EVIDENCE_OWNED; i++)
		if (e->owned[i].active && e->owned[i].last)
			write_last(e, &e->owned[i]);
}

void evidence_look(struct evidence *e)
{
	bool unkicked[EVIDENCE_OWNED] = { false }, any = false;

	if (!e->recording || e->lost)
		return;
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		uint16_t avail;

		unkicked[i] = looked_by_itself(e, &e->owned[i], &avail);
		any = any || unkicked[i];
		if (unkicked[i] && avail != e->owned[i].seen) /* before its buffers change */
			add_await(e, &e->owned[i], avail);
	}
	if (any)
		look_at_memory(e);
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		if (unkicked[i])
			add_kick(e, &e->owned[i]);
		if (e->owned[i].active && !e->owned[i].last)
			note_used(e, &e->owned[i]);
	}
	if (!any)
		look_at_memory(e);
}

/* Learning where used rings are. */

void evidence_forget_rings(struct evidence *e, unsigned int conn)
{
	for (size_t i = 0; i < EVIDENCE_OWNED; i++)
		if (e->owned[i].conn == conn)
			e->owned[i].active = false;
}

static void forget_ring(struct evidence *e, unsigned int conn, unsigned int ring)
{
	for (size_t i = 0; i < EVIDENCE_OWNED; i++)
		if (e->owned[i].conn == conn && e->owned[i].ring == ring)
			e->owned[i].active = false;
}

static void add_span(struct listener *l, const struct vhu_region *region, unsigned int object)
{
	if (l->n_spans == VHU_MAX_REGIONS || object >= l->evidence->n_objects)
		return;
	l->spans[l->n_spans++] = (struct span){
		.user_addr = region->user_addr,
		.size = region->size,
		.at = region->mmap_offset,
		.object = object,
	};
}

static void learn_table(struct listener *l, const struct vhu_msg *msg, const unsigned int *objects,
			size_t n_objects)
{
	struct vhu_mem_table table;

	vhu_msg_get(msg, &table, sizeof(table));
	l->n_spans = 0;
	for (uint32_t i = 0; i < table.n_regions && i < n_objects && i < VHU_MAX_REGIONS; i++)
		add_span(l, &table.regions[i], objects[i]);
}

/* Where user address addr and len bytes from there are; false: not in memory that is known. */
static bool locate(const struct listener *l, uint64_t addr, uint64_t len, struct owned *w)
{
	for (unsigned int i = 0; i < l->n_spans; i++) {
		const struct span *s = &l->spans[i];
		const struct object *o = &l->evidence->objects[s->object];
		uint64_t at = s->at + (addr - s->user_addr);

		if (!range_within(addr, len, s->user_addr, s->size) ||
		    !range_within(at, len, 0, o->size) || o->fd < 0)
			continue;
		w->object = s->object;
		w->at = at;
		w->len = len;
		return true;
	}
	return false;
}

/*
 * Of a packed ring nobody can tell what the back-end wrote into descriptors
 * from what the driver did.
 */
static void learn_addr(struct listener *l, const struct vhu_msg *msg)
{
	struct vhu_vring_addr addr;
	struct owned used = { .active = true, .conn = l->conn };
	struct owned last = { .active = true, .conn = l->conn, .last = true };
	uint32_t size;
	bool found;

	vhu_msg_get(msg, &addr, sizeof(addr));
	if (addr.index >= VHU_MAX_RINGS || l->sizes[addr.index] == 0)
		return;
	used.ring = last.ring = addr.index;
	size = l->sizes[addr.index];
	forget_ring(l->evidence, l->conn, addr.index);
	if (l->packed)
		found = locate(l, addr.desc, vring_desc_bytes(size), &last);
	else
		found = locate(l, addr.avail + RING_IDX, sizeof(uint16_t), &last);
	if (found)
		own(l->evidence, &last);
	if (!l->packed && locate(l, addr.used, vring_used_bytes(size), &used))
		own(l->evidence, &used);
}

static void learn_num(struct listener *l, const struct vhu_msg *msg)
{
	struct vhu_vring_state state;

	vhu_msg_get(msg, &state, sizeof(state));
	if (state.index < VHU_MAX_RINGS)
		l->sizes[state.index] = state.num <= VHU_MAX_QUEUE_SIZE ? state.num : 0;
}

void evidence_learn_sent(struct listener *l, const struct vhu_msg *msg, const unsigned int *objects,
			 size_t n_objects)
{
	struct vhu_single_region single;

	if (!l->evidence->recording || msg->dir != VHU_FE)
		return;
	switch (msg->id) {
	case VHU_FE_SET_MEM_TABLE:
		learn_table(l, msg, objects, n_objects);
		break;
	case VHU_FE_ADD_MEM_REG:
		vhu_msg_get(msg, &single, sizeof(single));
		if (n_objects > 0)
			add_span(l, &single.region, objects[0]);
		break;
	case VHU_FE_SET_FEATURES:
		l->packed = vhu_msg_u64(msg) & BIT(VIRTIO_F_RING_PACKED_BIT);
		l->evidence->packed = l->evidence->packed || l->packed;
		break;
	case VHU_FE_SET_VRING_NUM:
		learn_num(l, msg);
		break;
	case VHU_FE_SET_VRING_KICK:
		l->kicks[vhu_msg_u64(msg) & VHU_VRING_IDX_MASK] =
			n_objects > 0 ? objects[0] + 1 : 0;
		break;
	case VHU_FE_SET_VRING_ADDR:
		learn_addr(l, msg);
		break;
	case VHU_FE_GET_VRING_BASE:
		l->base_of = (uint32_t)vhu_msg_u64(msg);
		break;
	case VHU_FE_RESET_DEVICE:
		evidence_forget_rings(l->evidence, l->conn);
		break;
	case VHU_FE_SET_STATUS:
		if (vhu_msg_u64(msg) == 0)
			evidence_forget_rings(l->evidence, l->conn);
		break;
	default:
		break;
	}
}

/* A ring that was stopped is ours again. */
void evidence_learn_received(struct listener *l, const struct vhu_msg *msg)
{
	if (!l->evidence->recording || msg->dir != VHU_FE || msg->id != VHU_FE_GET_VRING_BASE)
		return;
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		struct owned *w = &l->evidence->owned[i];

		if (w->active && !w->last && w->conn == l->conn && w->ring == l->base_of)
			note_used(l->evidence, w);
	}
	forget_ring(l->evidence, l->conn, l->base_of);
}
