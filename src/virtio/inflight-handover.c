/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a device knows of its record by itself, for the process that goes on. */
#include <stdlib.h>
#include <string.h>

#include "virtio/inflight-private.h"

enum ring_tag {
	TAG_COUNTER = 1,
	TAG_FREE_HEAD, /* from here on of a packed ring */
	TAG_USED,
	TAG_LISTS,
};

void inflight_save(const struct inflight_ring *r, bool packed, struct state_writer *w,
		   unsigned int tag)
{
	state_begin_group(w, tag);
	state_put_number(w, TAG_COUNTER, r->counter);
	if (packed) {
		state_put_number(w, TAG_FREE_HEAD, r->free_head);
		state_put_number(w, TAG_USED, packed_base(r->used, r->used));
		state_put_bytes(w, TAG_LISTS, r->next,
				INFLIGHT_PACKED_LISTS * r->size * sizeof(*r->next));
	}
	state_end(w);
}

/* A next that is no entry ends a list; the others are used as they are. */
static bool lists_fit(const struct inflight_ring *r)
{
	for (uint32_t i = 0; i < r->size; i++)
		if (r->last[i] >= r->size || r->num[i] > r->size)
			return false;
	return true;
}

static void load_packed(struct inflight_ring *r, struct state_reader *reader)
{
	const size_t len = INFLIGHT_PACKED_LISTS * r->size * sizeof(*r->next);
	const uint8_t *bytes;

	r->free_head = (uint16_t)state_take_number(reader, TAG_FREE_HEAD, "free", UINT16_MAX);
	r->used =
		packed_base_used((uint32_t)state_take_number(reader, TAG_USED, "used", UINT32_MAX));
	if (state_take_bytes(reader, TAG_LISTS, "lists", len, &bytes) != len ||
	    !inflight_packed_lists(r)) {
		state_fail(reader, "no memory, or no such lists");
		return;
	}
	memcpy(r->next, bytes, len);
	if (!lists_fit(r))
		state_fail(reader, "an entry is not below the ring's size");
}

void inflight_load(struct inflight_ring *r, bool packed, struct state_reader *reader,
		   unsigned int tag)
{
	if (!state_enter(reader, tag, "record"))
		return;
	r->n_batch = 0;
	r->counter = state_take_number(reader, TAG_COUNTER, "counter", UINT64_MAX);
	if (packed) {
		load_packed(r, reader);
	} else {
		r->next = calloc(r->size, sizeof(*r->next));
		if (!r->next)
			state_fail(reader, "no memory");
	}
	state_leave(reader);
}
