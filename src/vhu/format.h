/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages in words, by the shape of their payload. Pure: they write to the
 * given buffer only.
 *
 * As with snprintf, the result is always terminated (cap 0 writes nothing) and
 * the return value is the length that the whole text has, so a value of cap or
 * more means that it was cut. Payload bytes that a shape does not cover, or
 * lacks, are counted, never read.
 */
#ifndef VHU_VHU_FORMAT_H
#define VHU_VHU_FORMAT_H

#include "vhu/proto.h"

/* One line for people, without a newline: name, flags, fields, descriptors. */
size_t vhu_format_line(char *buf, size_t cap, const struct vhu_msg *m);

/* One JSON object on one line, without a newline. Masks and addresses are strings in hex. */
size_t vhu_format_json(char *buf, size_t cap, const struct vhu_msg *m);

/* What a field of this style says in a line; its name comes with it only in a ring word. */
size_t vhu_format_value(char *buf, size_t cap, enum vhu_style style, const uint8_t *bytes,
			size_t len);

#endif
