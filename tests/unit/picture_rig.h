/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pictures of the rig's ring, and what they say. */
#ifndef VHU_TESTS_PICTURE_RIG_H
#define VHU_TESTS_PICTURE_RIG_H

#include <stdio.h>

#include "ring_rig.h"

#include "virtio/picture.h"

enum { SIZE = 16 };

static const void *host(void *arg, uint64_t guest_addr, uint64_t len)
{
	return gmem_host_from_guest(arg, guest_addr, len);
}

static inline struct picture_source source_of(const struct rig *rig)
{
	return (struct picture_source){
		.split = &rig->driver.ring,
		.event_idx = (rig->features & RIG_EVENT) != 0,
		.host = host,
		.arg = rig->mem,
	};
}

static inline struct ring_picture *take_with(const struct rig *rig, struct picture_want want)
{
	const struct picture_source source = source_of(rig);
	struct ring_picture *p = picture_take(&source, &want);

	assert_non_null(p);
	return p;
}

static inline struct ring_picture *take(const struct rig *rig)
{
	return take_with(rig, (struct picture_want){ .data = 64 });
}

/* What a picture says to people; the caller frees it. */
static inline char *text_of(const struct ring_picture *p, bool hex)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	picture_print(out, p, 2, hex);
	fclose(out);
	return text;
}

static inline void assert_says(const struct ring_picture *p, bool hex, const char *part)
{
	char *text = text_of(p, hex);

	if (!strstr(text, part))
		fail_msg("expected %s in:\n%s", part, text);
	free(text);
}

/* One buffer of each direction, "request" and 32 bytes of room. */
static inline void offer_pair(struct rig *rig, bool indirect)
{
	const struct driverq_buf bufs[] = { { rig->data, 7 }, { rig->data + 64, 32 } };
	static int token;

	memcpy(rig_at(rig, rig->data), "request", 7);
	assert_int_equal(driverq_add(&rig->driver, bufs, 1, 1, indirect, &token), 0);
	driverq_publish(&rig->driver);
}

static inline void return_chain(struct rig *rig, const struct chain *chain, uint32_t len)
{
	virtq_push(&rig->device, chain->head, len);
	virtq_publish(&rig->device);
}

/* Offers and returns without content: heads as they are. */
static inline void offer_heads(struct rig *rig, const uint16_t *heads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rig_offer(rig, heads[i]);
}

static inline void return_heads(struct rig *rig, const uint16_t *heads, size_t n)
{
	const struct vring *ring = &rig->driver.ring;

	for (size_t i = 0; i < n; i++) {
		uint16_t idx = vring_used_idx(ring);

		vring_set_used_entry(ring, idx, heads[i], 0);
		vring_set_used_idx(ring, (uint16_t)(idx + 1));
	}
}

#endif
