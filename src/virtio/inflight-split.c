/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* "Inflight I/O tracking", split virtqueues. */
#include <errno.h>
#include <stdlib.h>

#include "virtio/inflight-private.h"

static size_t entry_at(uint16_t head)
{
	return INFLIGHT_SPLIT_HEAD + (size_t)head * INFLIGHT_SPLIT_DESC;
}

static void set_inflight(struct inflight_ring *r, uint16_t head, bool inflight)
{
	part_store8(r->bytes, entry_at(head) + ENTRY_INFLIGHT, inflight);
}

static bool is_inflight(const struct inflight_ring *r, uint16_t head)
{
	return part_load8(r->bytes, entry_at(head) + ENTRY_INFLIGHT) == 1;
}

/*
 * While this is under way nobody has begun the part. Chains between used_idx
 * and base are out and in no record: nothing that is written here could make
 * good for them, so it stays as it is.
 */
static int begin_anew(struct inflight_ring *r, uint16_t used_idx, uint16_t base)
{
	part_store16(r->bytes, PART_VERSION, 0);
	if (base != used_idx) {
		inflight_detach(r);
		return -ENOENT;
	}
	part_store64(r->bytes, PART_FEATURES, 0);
	part_store16(r->bytes, PART_DESC_NUM, (uint16_t)r->size);
	part_store16(r->bytes, SPLIT_LAST_BATCH, 0);
	part_store16(r->bytes, SPLIT_USED_IDX, used_idx);
	for (uint32_t i = 0; i < r->size; i++) {
		part_store64(r->bytes, entry_at((uint16_t)i), 0);
		part_store64(r->bytes, entry_at((uint16_t)i) + ENTRY_COUNTER, 0);
	}
	part_store16(r->bytes, PART_VERSION, INFLIGHT_VERSION);
	return -ENOENT;
}

/*
 * The last batch was published, and whether its chains were taken from the
 * record is not known: they are the first n of the list. False: that cannot be.
 */
static bool repair_batch(struct inflight_ring *r, uint16_t used_idx)
{
	uint16_t n = (uint16_t)(used_idx - part_load16(r->bytes, SPLIT_USED_IDX));
	uint16_t head = part_load16(r->bytes, SPLIT_LAST_BATCH);

	if (n > r->size)
		return false;
	for (; n > 0; n--) {
		if (head >= r->size)
			return false;
		set_inflight(r, head, false);
		head = part_load16(r->bytes, entry_at(head) + SPLIT_ENTRY_NEXT);
	}
	part_store16(r->bytes, SPLIT_USED_IDX, used_idx);
	return true;
}

static int list_inflight(struct inflight_ring *r, struct inflight_found *found, uint16_t *ret_heads)
{
	int n = 0;

	for (uint32_t i = 0; i < r->size; i++) {
		uint16_t head = (uint16_t)i;

		if (!is_inflight(r, head))
			continue;
		found[n].counter = part_load64(r->bytes, entry_at(head) + ENTRY_COUNTER);
		found[n++].entry = head;
	}
	inflight_sort(found, (size_t)n);
	r->counter = n > 0 ? found[n - 1].counter + 1 : 0;
	for (int i = 0; i < n; i++)
		ret_heads[i] = found[i].entry;
	return n;
}

int inflight_split_resume(struct inflight_ring *r, uint16_t used_idx, uint16_t base,
			  uint16_t *ret_heads)
{
	struct inflight_found *found = calloc(r->size, sizeof(*found));
	int n;

	free(r->next);
	r->next = calloc(r->size, sizeof(*r->next));
	r->n_batch = 0;
	r->counter = 0;
	if (!found || !r->next) {
		inflight_detach(r);
		n = -ENOMEM;
	} else if (inflight_part_begun(r) && repair_batch(r, used_idx)) {
		n = list_inflight(r, found, ret_heads);
	} else {
		n = begin_anew(r, used_idx, base);
	}
	free(found);
	return n;
}

void inflight_split_take(struct inflight_ring *r, uint16_t head)
{
	if (!r->record)
		return;
	part_store64(r->bytes, entry_at(head) + ENTRY_COUNTER, r->counter++);
	set_inflight(r, head, true);
}

void inflight_split_untake(struct inflight_ring *r, uint16_t head)
{
	if (!r->record)
		return;
	r->counter--;
	set_inflight(r, head, false);
}

/* Its entry in the list is what a repair goes by, once the used index tells of it. */
void inflight_split_return(struct inflight_ring *r, uint16_t head)
{
	if (!r->record)
		return;
	part_store16(r->bytes, entry_at(head) + SPLIT_ENTRY_NEXT,
		     part_load16(r->bytes, SPLIT_LAST_BATCH));
	part_store16(r->bytes, SPLIT_LAST_BATCH, head);
	r->next[head] = r->batch_head;
	r->batch_head = head;
	r->n_batch++;
}

void inflight_split_published(struct inflight_ring *r, uint16_t used_idx)
{
	if (!r->record)
		return;
	for (; r->n_batch > 0; r->n_batch--) {
		set_inflight(r, r->batch_head, false);
		r->batch_head = r->next[r->batch_head];
	}
	part_store16(r->bytes, SPLIT_USED_IDX, used_idx);
}
