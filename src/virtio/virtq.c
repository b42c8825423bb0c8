/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/features.h"
#include "virtio/virtq-private.h"

enum {
	INITIAL_IOV = 16,
};

static const char *const fault_texts[VIRTQ_N_FAULTS] = {
#define X(name, text) [VIRTQ_FAULT_##name] = (text),
	VIRTQ_FAULT_LIST(X)
#undef X
};

const char *virtq_fault_text(enum virtq_fault fault)
{
	assert((size_t)fault < VIRTQ_N_FAULTS);
	return fault_texts[fault];
}

static bool is_packed(uint64_t features)
{
	return (features & BIT(VIRTIO_F_RING_PACKED_BIT)) != 0;
}

bool virtq_size_valid(uint64_t features, uint64_t size)
{
	return is_packed(features) ? packed_size_valid(size) : vring_size_valid(size);
}

struct virtq_areas virtq_area_bytes(uint64_t features, uint32_t size)
{
	if (is_packed(features))
		return (struct virtq_areas){ packed_desc_bytes(size), PACKED_EVENT_BYTES,
					     PACKED_EVENT_BYTES };
	return (struct virtq_areas){ vring_desc_bytes(size), vring_avail_bytes(size),
				     vring_used_bytes(size) };
}

bool virtq_ring_map(struct virtq_ring *ring, uint64_t features, void *desc, void *driver,
		    void *device, uint32_t size)
{
	struct virtq_ring mapped = { .packed = is_packed(features), .size = size };

	if (mapped.packed ? !packed_map(&mapped.pack, desc, driver, device, size)
			  : !vring_map(&mapped.split, desc, driver, device, size))
		return false;
	*ring = mapped;
	return true;
}

bool virtq_base_is_fresh(uint64_t features, uint32_t base)
{
	if (is_packed(features))
		return base == 0x80008000 || base == 0x8000;
	return base == 0;
}

bool virtq_is_fresh(const struct virtq *q)
{
	return virtq_base_is_fresh(q->features, virtq_base(q)) && !(q->packed && q->resumed);
}

int virtq_init(struct virtq *q, uint32_t max_size, uint64_t features)
{
	*q = (struct virtq){ .features = features, .max_size = max_size };
	q->iov = calloc(INITIAL_IOV, sizeof(*q->iov));
	q->iov_size = INITIAL_IOV;
	return q->iov ? 0 : -ENOMEM;
}

static void virtq_free_slots(struct virtq *q)
{
	free(q->head_at);
	free(q->held);
	free(q->lists);
	free(q->descs);
	q->head_at = NULL;
	q->held = NULL;
	q->lists = NULL;
	q->descs = NULL;
	q->n_slots = 0;
}

/* What depends on the size of the ring: most are far smaller than they might be. */
bool virtq_allocate(struct virtq *q, uint32_t size)
{
	if (size <= q->n_slots && (!q->packed || q->lists))
		return true;
	virtq_free_slots(q);
	/* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): a ring has entries */
	q->head_at = calloc(size, sizeof(*q->head_at));
	q->held = calloc(size, sizeof(*q->held));
	if (q->packed) {
		q->lists = calloc(size, sizeof(*q->lists));
		q->descs = calloc(size, sizeof(*q->descs));
	}
	if (!q->head_at || !q->held || (q->packed && (!q->lists || !q->descs)))
		return false;
	q->n_slots = size;
	return true;
}

void virtq_fini(struct virtq *q)
{
	virtq_inflight_stop(q);
	inflight_unref(q->record);
	dirty_log_unref(q->log);
	gmem_unref(q->mem);
	virtq_free_slots(q);
	free(q->iov);
	*q = (struct virtq){ .size = 0 };
}

/*
 * The short path through virtq_pop() and virtq_push() is for split rings that
 * have nothing to them but themselves. Elsewhere no entries are known and no
 * head is below plain_size, so that it needs no check. Known entries are forgotten.
 */
static void virtq_choose_path(struct virtq *q)
{
	bool plain = !q->tlb && !q->inflight.record && q->fault == VIRTQ_FAULT_NONE &&
		     !gmem_is_late(q->mem);

	q->avail_idx = q->last_avail;
	q->plain_size = plain && !q->packed && !q->in_order ? q->ring.size : 0;
	q->pack_size = plain && q->packed ? q->ring.size : 0;
}

/* Adopts ring and mem, or neither. */
static void virtq_bind(struct virtq *q, const struct virtq_ring *ring, struct gmem *mem)
{
	struct gmem *old = q->mem;

	q->mem = gmem_ref(mem);
	q->ring = ring ? *ring : (struct virtq_ring){ .size = 0 };
	q->window = (struct gmem_window){ .size = 0 };
	q->missing = false;
	virtq_choose_path(q);
	gmem_unref(old);
}

static void virtq_forget_held(struct virtq *q)
{
	if (q->n_slots > 0)
		memset(q->held, 0, q->n_slots * sizeof(*q->held));
	q->n_held = 0;
	q->n_skipped = q->n_skipped_descs = 0;
}

void virtq_start(struct virtq *q, const struct virtq_ring *ring, struct gmem *mem, uint32_t base,
		 uint64_t features)
{
	assert(ring->size <= q->max_size);
	virtq_inflight_stop(q);
	virtq_forget_held(q);
	q->features = features;
	q->event_idx = (features & BIT(VIRTIO_F_EVENT_IDX_BIT)) != 0;
	q->in_order = (features & BIT(VIRTIO_F_IN_ORDER_BIT)) != 0;
	q->packed = ring->packed;
	q->size = ring->size;
	q->call_forced = true;
	q->fault = virtq_allocate(q, ring->size) ? VIRTQ_FAULT_NONE : VIRTQ_FAULT_NO_MEMORY;
	virtq_bind(q, ring, mem);
	if (q->packed)
		virtq_packed_start(q, base);
	else
		virtq_split_start(q, base);
	virtq_choose_path(q);
	virtq_kicks_on(q);
}

void virtq_set_memory(struct virtq *q, const struct virtq_ring *ring, struct gmem *mem)
{
	assert(!ring || ring->size == q->size);
	virtq_bind(q, ring, ring ? mem : NULL);
}

void virtq_stop(struct virtq *q)
{
	virtq_inflight_stop(q);
	virtq_forget_held(q);
	virtq_bind(q, NULL, NULL);
}

uint32_t virtq_base(const struct virtq *q)
{
	return q->packed ? virtq_packed_base(q) : q->last_avail;
}

/* What an earlier device left counts as lying before the ring's own. */
uint32_t virtq_position(const struct virtq *q)
{
	if (q->packed)
		return virtq_packed_position(q);
	return (uint16_t)(q->last_avail - (q->n_left - q->left_at));
}

void virtq_memory_came(struct virtq *q)
{
	q->missing = false;
	q->window = (struct gmem_window){ .size = 0 };
	virtq_choose_path(q);
}

bool virtq_missing(const struct virtq *q, uint64_t *ret_iova, uint8_t *ret_perm)
{
	if (!q->missing)
		return false;
	*ret_iova = q->missing_iova;
	*ret_perm = q->missing_perm;
	return true;
}

void virtq_set_iotlb(struct virtq *q, const struct iotlb *tlb)
{
	q->tlb = tlb;
	q->missing = false;
	q->window = (struct gmem_window){ .size = 0 };
	virtq_choose_path(q);
}

enum virtq_fault virtq_broken(const struct virtq *q)
{
	return q->fault;
}

/* Without cached entries the next pop goes through virtq_reload(), which sees the fault. */
void virtq_break(struct virtq *q, enum virtq_fault fault)
{
	if (q->fault == VIRTQ_FAULT_NONE)
		q->fault = fault;
	q->avail_idx = q->last_avail;
	q->pack_size = 0;
}

/* Marks head, found at last_avail of a split ring, as taken. */
static inline void virtq_take(struct virtq *q, uint16_t head)
{
	q->head_at[vring_slot(&q->ring.split, q->last_avail)] = head;
	q->held[head] = HELD;
	q->n_held++;
	q->last_avail++;
}

/* The next entry of a plain split ring, which is there. */
static inline enum pop_result virtq_pop_plain(struct virtq *q, struct chain *ret_chain)
{
	struct vring_desc desc;
	uint16_t head = vring_avail_entry(&q->ring.split, q->last_avail);

	if (head >= q->ring.size)
		return virtq_fail(q, VIRTQ_FAULT_HEAD_RANGE);
	if (q->held[head])
		return virtq_fail(q, VIRTQ_FAULT_HEAD_IN_USE);
	desc = vring_desc_load(&q->ring.split, head);
	if (!virtq_single(q, desc.addr, desc.len, desc.flags, ret_chain)) {
		enum virtq_fault fault = virtq_gather(q, desc, ret_chain);

		if (fault != VIRTQ_FAULT_NONE)
			return virtq_fail(q, fault);
	}
	virtq_take(q, head);
	ret_chain->head = head;
	return POP_CHAIN;
}

/* No entries are known of. Whether that has changed, in a plain split ring. */
static APART bool virtq_reload(struct virtq *q)
{
	return q->plain_size > 0 && q->fault == VIRTQ_FAULT_NONE &&
	       virtq_split_reload(q, &q->avail_idx);
}

/* A plain split ring has nothing, or there is more to it than the ring. */
static APART enum pop_result virtq_pop_otherwise(struct virtq *q, struct chain *ret_chain)
{
	q->missing = false;
	if (q->fault != VIRTQ_FAULT_NONE)
		return POP_BROKEN;
	if (q->ring.size == 0 || q->plain_size > 0)
		return POP_EMPTY;
	return virtq_split_pop(q, ret_chain);
}

enum pop_result virtq_pop(struct virtq *q, struct chain *ret_chain)
{
	if (q->last_avail == q->avail_idx) {
		if (q->packed)
			return virtq_packed_pop(q, ret_chain);
		if (!virtq_reload(q))
			return virtq_pop_otherwise(q, ret_chain);
	}
	return virtq_pop_plain(q, ret_chain);
}

bool virtq_is_oldest(const struct virtq *q, uint16_t head)
{
	uint32_t end = q->packed ? q->taken_at + q->size : q->last_avail;

	if (!q->packed && q->n_left_held > 0)
		return q->left_heads[q->left_at - q->n_left_held] == head;
	return q->head_at[(end - q->n_held) % q->size] == head;
}

static APART void virtq_push_long(struct virtq *q, uint16_t head, uint32_t len)
{
	assert(head < q->ring.size && q->held[head]);
	/* Who has that feature negotiated promises it (VR-078). */
	assert(!q->in_order || virtq_is_oldest(q, head));
	virtq_split_push(q, head, len);
	virtq_let_go(q, head);
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	if (head >= q->plain_size) {
		if (q->packed)
			virtq_packed_push(q, head, len);
		else
			virtq_push_long(q, head, len);
		return;
	}
	assert(q->held[head]);
	q->held[head] = 0;
	q->n_held--;
	vring_set_used_entry(&q->ring.split, q->used_idx, head, len);
	q->used_idx++;
}

bool virtq_publish(struct virtq *q)
{
	if (q->ring.size == 0)
		return false;
	return q->packed ? virtq_packed_publish(q) : virtq_split_publish(q);
}

struct ring_mark virtq_mark(struct virtq *q)
{
	return q->packed ? virtq_packed_mark(q) : virtq_split_mark(q);
}

bool virtq_finish(struct virtq *q, const struct virtq_ring *ring, const struct ring_mark *mark)
{
	if (mark->n == 0 || mark->n > ring->size || !q->record ||
	    !inflight_fits(q->record, q->record_idx, ring->size, ring->packed))
		return false;
	return ring->packed ? virtq_packed_finish(q, &ring->pack, mark)
			    : virtq_split_finish(&ring->split, mark);
}

void virtq_unpop(struct virtq *q, unsigned int n)
{
	assert(q->size > 0 && n <= q->n_held);
	for (unsigned int i = 0; i < n; i++) {
		uint16_t head = q->packed ? virtq_packed_unpop(q) : virtq_split_unpop(q);

		assert(q->held[head]);
		virtq_let_go(q, head);
	}
	q->avail_idx = q->last_avail;
}

void virtq_kicks_off(struct virtq *q)
{
	if (q->ring.size == 0)
		return;
	if (q->packed)
		virtq_packed_kicks_off(q);
	else
		virtq_split_kicks_off(q);
}

bool virtq_kicks_on(struct virtq *q)
{
	if (q->ring.size == 0 || q->fault != VIRTQ_FAULT_NONE)
		return false;
	if (q->packed)
		virtq_packed_kicks_on(q);
	else
		virtq_split_kicks_on(q);
	full_barrier();
	return virtq_has_avail(q);
}

bool virtq_has_avail(const struct virtq *q)
{
	if (q->ring.size == 0 || q->fault != VIRTQ_FAULT_NONE)
		return false;
	if (q->left_at < q->n_left || q->avail_idx != q->last_avail)
		return true;
	return q->packed ? virtq_packed_has_avail(q)
			 : vring_avail_idx(&q->ring.split) != q->last_avail;
}

size_t chain_read(const struct chain *chain, size_t offset, void *buf, size_t len)
{
	unsigned char *dst = buf;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_out && done < len; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = min_size(len - done, iov->iov_len - offset);
		memcpy(dst + done, (const unsigned char *)iov->iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t chain_write(const struct chain *chain, size_t offset, const void *buf, size_t len)
{
	const unsigned char *src = buf;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_in && done < len; i++) {
		const struct iovec *iov = &chain->iov[chain->n_out + i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = min_size(len - done, iov->iov_len - offset);
		memcpy((unsigned char *)iov->iov_base + offset, src + done, part);
		done += part;
		offset = 0;
	}
	return done;
}
