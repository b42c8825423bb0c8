/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vhu/codec.h"

/* How many bytes of an array a line shows; JSON shows them all. */
enum { LINE_BYTES = 32 };

/* Numbers up to here survive a reader that has only doubles. */
#define JSON_EXACT_MAX (UINT64_C(1) << 53)

/* Text so far. len counts what did not fit, too; first is true right after an opening bracket. */
struct out {
	char *buf;
	size_t cap;
	size_t len;
	bool json;
	bool first;
};

static void put(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct out *o, const char *fmt, ...)
{
	size_t room = o->len < o->cap ? o->cap - o->len : 0;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(room > 0 ? o->buf + o->len : NULL, room, fmt, args);
	va_end(args);
	if (n > 0)
		o->len += (size_t)n;
}

static void out_init(struct out *o, char *buf, size_t cap, bool json)
{
	*o = (struct out){ .buf = buf, .cap = cap, .json = json, .first = true };
	if (cap > 0)
		buf[0] = '\0';
}

static void separate(struct out *o)
{
	if (!o->first)
		put(o, o->json ? "," : " ");
	o->first = false;
}

static void put_key(struct out *o, const char *name)
{
	separate(o);
	put(o, o->json ? "\"%s\":" : "%s=", name);
}

static void put_open(struct out *o, const char *bracket)
{
	put(o, "%s", bracket);
	o->first = true;
}

static void put_close(struct out *o, const char *bracket)
{
	put(o, "%s", bracket);
	o->first = false;
}

/* A word that stands alone on a line is a key that is true in JSON. */
static void put_flag(struct out *o, const char *name)
{
	separate(o);
	put(o, o->json ? "\"%s\":true" : "%s", name);
}

static void put_hex(struct out *o, uint64_t value)
{
	put(o, o->json ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, value);
}

static void put_dec(struct out *o, uint64_t value)
{
	if (o->json && value > JSON_EXACT_MAX)
		put_hex(o, value);
	else
		put(o, "%" PRIu64, value);
}

static const char *status_name(unsigned int bit)
{
	static const char *const names[] = {
		[0] = "ACKNOWLEDGE",	    [1] = "DRIVER", [2] = "DRIVER_OK", [3] = "FEATURES_OK",
		[6] = "DEVICE_NEEDS_RESET", [7] = "FAILED",
	};

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

/* The bits that are set, by name where they have one. */
static void put_bits(struct out *o, uint64_t value, const char *(*name_of)(unsigned int bit))
{
	if (o->json)
		put_key(o, "bits");
	put_open(o, "[");
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(bit);
		const char *quote = o->json ? "\"" : "";

		if (!(value & BIT(bit)))
			continue;
		separate(o);
		if (name)
			put(o, "%s%s%s", quote, name, quote);
		else
			put(o, "%sbit%u%s", quote, bit, quote);
	}
	put_close(o, "]");
}

static void put_mask(struct out *o, const char *name, uint64_t value,
		     const char *(*name_of)(unsigned int bit))
{
	put_key(o, name);
	put_hex(o, value);
	put_bits(o, value, name_of);
}

static void put_ring_word(struct out *o, uint64_t value)
{
	uint64_t rest = value & ~(VHU_VRING_IDX_MASK | VHU_VRING_NOFD);

	put_key(o, "ring");
	put_dec(o, value & VHU_VRING_IDX_MASK);
	if (value & VHU_VRING_NOFD)
		put_flag(o, "nofd");
	if (rest) {
		put_key(o, "reserved");
		put_hex(o, rest);
	}
}

static uint64_t load(const uint8_t *bytes, size_t width)
{
	uint64_t u64 = 0;
	uint32_t u32 = 0;
	uint16_t u16 = 0;

	switch (width) {
	case 1:
		return bytes[0];
	case 2:
		memcpy(&u16, bytes, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, bytes, sizeof(u32));
		return u32;
	default:
		memcpy(&u64, bytes, sizeof(u64));
		return u64;
	}
}

static void put_bytes(struct out *o, const char *name, const uint8_t *bytes, size_t n)
{
	size_t shown = o->json ? n : min_size(n, LINE_BYTES);

	put_key(o, name);
	put(o, "%s", o->json ? "\"" : "");
	for (size_t i = 0; i < shown; i++)
		put(o, "%02x", bytes[i]);
	put(o, "%s", o->json ? "\"" : "");
	if (shown < n)
		put(o, "(+%zu)", n - shown);
}

static void put_uuid(struct out *o, const char *name, const uint8_t *bytes, size_t n)
{
	if (n != 16) {
		put_bytes(o, name, bytes, n);
		return;
	}
	put_key(o, name);
	put(o, "%s", o->json ? "\"" : "");
	for (size_t i = 0; i < n; i++)
		put(o, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
	put(o, "%s", o->json ? "\"" : "");
}

/* Index and value of each number that is not zero. */
static void put_words(struct out *o, const char *name, const uint8_t *bytes, size_t n)
{
	put_key(o, name);
	put_open(o, "{");
	for (size_t i = 0; i < n; i++) {
		uint64_t value = load(bytes + i * sizeof(value), sizeof(value));

		if (value == 0)
			continue;
		separate(o);
		put(o, o->json ? "\"%zu\":" : "%zu=", i);
		put_hex(o, value);
	}
	put_close(o, "}");
}

static void put_number(struct out *o, const struct vhu_field *f, uint64_t value)
{
	switch (f->style) {
	case VHU_STYLE_FEATURES:
		put_mask(o, f->name, value, vhu_feature_name);
		break;
	case VHU_STYLE_PROTOCOL:
		put_mask(o, f->name, value, vhu_protocol_feature_name);
		break;
	case VHU_STYLE_STATUS:
		put_mask(o, f->name, value, status_name);
		break;
	case VHU_STYLE_RING_WORD:
		put_ring_word(o, value);
		break;
	case VHU_STYLE_HEX:
		put_key(o, f->name);
		put_hex(o, value);
		break;
	default:
		put_key(o, f->name);
		put_dec(o, value);
		break;
	}
}

static void put_fields(struct out *o, const struct vhu_shape *shape, const uint8_t *bytes,
		       size_t len);

static void put_nest(struct out *o, const struct vhu_field *f, const uint8_t *bytes, size_t n)
{
	bool list = f->n > 1;

	put_key(o, f->name);
	if (list)
		put_open(o, "[");
	for (size_t i = 0; i < n; i++) {
		if (list)
			separate(o);
		put_open(o, "{");
		put_fields(o, f->inner, bytes + i * f->width, f->width);
		put_close(o, "}");
	}
	if (list)
		put_close(o, "]");
}

/* What the count of a counted shape says. */
static size_t count_of(const struct vhu_shape *shape, const uint8_t *bytes, size_t len)
{
	if (len < shape->count_offset + sizeof(uint32_t))
		return 0;
	return (size_t)load(bytes + shape->count_offset, sizeof(uint32_t));
}

/* How many elements of f are in the payload, and meant. */
static size_t n_elements(const struct vhu_shape *shape, const struct vhu_field *f,
			 const uint8_t *bytes, size_t len)
{
	size_t there = len > f->offset ? (len - f->offset) / f->width : 0;
	size_t n = min_size(there, f->n);

	if (shape->counted && f->offset == shape->prefix_len)
		n = min_size(n, count_of(shape, bytes, len));
	return n;
}

static void put_fields(struct out *o, const struct vhu_shape *shape, const uint8_t *bytes,
		       size_t len)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];
		const uint8_t *at = bytes + f->offset;
		size_t n = n_elements(shape, f, bytes, len);

		if (n == 0)
			continue;
		switch (f->style) {
		case VHU_STYLE_PADDING:
			break;
		case VHU_STYLE_NEST:
			put_nest(o, f, at, n);
			break;
		case VHU_STYLE_BYTES:
			put_bytes(o, f->name, at, n);
			break;
		case VHU_STYLE_UUID:
			put_uuid(o, f->name, at, n);
			break;
		case VHU_STYLE_WORDS:
			put_words(o, f->name, at, n);
			break;
		default:
			put_number(o, f, load(at, f->width));
			break;
		}
	}
}

/* Bytes too many or too few for the shape and its count. */
static void put_length(struct out *o, const struct vhu_shape *shape, const struct vhu_msg *m)
{
	size_t len = vhu_msg_payload_len(m);
	uint32_t most = shape->max_len;
	uint32_t least = shape->min_len;

	if (shape->counted && vhu_shape_expected_len(shape, m, &most))
		least = most;
	if (m->size > most) {
		put_key(o, "extra");
		put_dec(o, m->size - most);
	} else if (len < least) {
		put_key(o, "missing");
		put_dec(o, least - len);
	}
}

/* The layout of a payload: a reply's depends on whether the row has one of its own. */
static const struct vhu_shape *shape_of(const struct vhu_desc *desc, const struct vhu_msg *m)
{
	if (!(m->flags & VHU_FLAG_REPLY))
		return desc->request;
	if (desc->replied.kind == VHU_REPLY_ALWAYS)
		return desc->reply;
	if (desc->replied.kind == VHU_REPLY_IF && m->size == desc->reply->max_len)
		return desc->reply;
	return vhu_shape_ack();
}

static void put_payload(struct out *o, const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);

	if (desc) {
		put_fields(o, shape_of(desc, m), m->payload, vhu_msg_payload_len(m));
		put_length(o, shape_of(desc, m), m);
	} else if (vhu_msg_payload_len(m) > 0) {
		put_bytes(o, "bytes", m->payload, vhu_msg_payload_len(m));
	}
}

static void put_flags(struct out *o, uint32_t flags)
{
	if (flags & VHU_FLAG_REPLY)
		put_flag(o, "reply");
	if (flags & VHU_FLAG_NEED_REPLY)
		put_flag(o, "need_reply");
	if ((flags & VHU_FLAG_VERSION_MASK) != VHU_VERSION || (flags & VHU_FLAG_RESERVED_MASK)) {
		put_key(o, "flags");
		put_hex(o, flags);
	}
}

size_t vhu_format_line(char *buf, size_t cap, const struct vhu_msg *m)
{
	struct out o;

	out_init(&o, buf, cap, false);
	put(&o, "%s", vhu_msg_name(m->dir, m->id));
	if (!vhu_desc_find(m->dir, m->id))
		put(&o, "(%" PRIu32 ")", m->id);
	o.first = false;
	put_flags(&o, m->flags);
	put_payload(&o, m);
	if (m->fds.n_fds > 0) {
		put_key(&o, "fds");
		put_dec(&o, m->fds.n_fds);
	}
	return o.len;
}

size_t vhu_format_json(char *buf, size_t cap, const struct vhu_msg *m)
{
	struct out o;

	out_init(&o, buf, cap, true);
	put_open(&o, "{");
	put_key(&o, "dir");
	put(&o, m->dir == VHU_FE ? "\"front-end\"" : "\"back-end\"");
	put_key(&o, "name");
	put(&o, "\"%s\"", vhu_msg_name(m->dir, m->id));
	put_key(&o, "id");
	put_dec(&o, m->id);
	put_flags(&o, m->flags);
	put_key(&o, "size");
	put_dec(&o, m->size);
	put_key(&o, "fds");
	put_dec(&o, m->fds.n_fds);
	put_key(&o, "payload");
	put_open(&o, "{");
	put_payload(&o, m);
	put_close(&o, "}");
	put_close(&o, "}");
	return o.len;
}
