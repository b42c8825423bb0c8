/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A message field by field: which bytes are what. Pure. The fields of the
 * header come first; together the fields cover every byte of the message once.
 */
#ifndef VHU_VHU_FIELDS_H
#define VHU_VHU_FIELDS_H

#include "vhu/proto.h"

enum { VHU_FIELD_NAME = 48 };

enum vhu_field_part {
	VHU_FIELD_HEADER,
	VHU_FIELD_PAYLOAD,
	VHU_FIELD_PADDING,
	VHU_FIELD_EXTRA, /* bytes that the shape has no field for */
};

struct vhu_field_view {
	char name[VHU_FIELD_NAME]; /* "request", "regions[0].guest_addr" */
	enum vhu_field_part part;
	size_t at, len;	      /* in bytes, from the first of the header */
	const uint8_t *bytes; /* len of them */
	enum vhu_style style;
	const char *text; /* what it means, in one phrase; never NULL */
};

typedef void vhu_field_fn(const struct vhu_field_view *f, void *arg);

/* Calls each for every field of m, in order of bytes. Missing bytes have no field. */
void vhu_fields_each(const struct vhu_msg *m, vhu_field_fn *each, void *arg);

/* The value alone, "0x140000000[VERSION_1 PROTOCOL_FEATURES]", as snprintf() does. */
size_t vhu_field_value(char *buf, size_t cap, const struct vhu_field_view *f);

/*
 * The bits of a FEATURES, PROTOCOL or STATUS field: the name of bit, or NULL
 * for one without. NULL for other styles, too.
 */
const char *vhu_field_bit_name(enum vhu_style style, unsigned int bit);

/* The layout of m's payload; NULL for an id that is in no table. */
const struct vhu_shape *vhu_msg_shape(const struct vhu_msg *m);

/* How many elements of f, a field of shape, are in these len bytes, and meant by their count. */
size_t vhu_field_n_elements(const struct vhu_shape *shape, const struct vhu_field *f,
			    const uint8_t *bytes, size_t len);

#endif
