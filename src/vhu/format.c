/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vhu/codec.h"
#include "vhu/fields.h"

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

/* The bits that are set, by name where they have one. */
static void put_bits(struct out *o, enum vhu_style style, uint64_t value)
{
	if (o->json)
		put_key(o, "bits");
	put_open(o, "[");
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_field_bit_name(style, bit);
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

static void put_mask(struct out *o, enum vhu_style style, uint64_t value)
{
	put_hex(o, value);
	put_bits(o, style, value);
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

static void put_bytes(struct out *o, const uint8_t *bytes, size_t n)
{
	size_t shown = o->json ? n : min_size(n, LINE_BYTES);

	put(o, "%s", o->json ? "\"" : "");
	for (size_t i = 0; i < shown; i++)
		put(o, "%02x", bytes[i]);
	put(o, "%s", o->json ? "\"" : "");
	if (shown < n)
		put(o, "(+%zu)", n - shown);
}

static void put_uuid(struct out *o, const uint8_t *bytes, size_t n)
{
	if (n != 16) {
		put_bytes(o, bytes, n);
		return;
	}
	put(o, "%s", o->json ? "\"" : "");
	for (size_t i = 0; i < n; i++)
		put(o, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
	put(o, "%s", o->json ? "\"" : "");
}

/* Index and value of each number that is not zero. */
static void put_words(struct out *o, const uint8_t *bytes, size_t n)
{
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

/* One field that is no nest, len bytes. */
static void put_value(struct out *o, enum vhu_style style, const uint8_t *bytes, size_t len)
{
	switch (style) {
	case VHU_STYLE_FEATURES:
	case VHU_STYLE_PROTOCOL:
	case VHU_STYLE_STATUS:
		put_mask(o, style, load(bytes, len));
		break;
	case VHU_STYLE_RING_WORD:
		put_ring_word(o, load(bytes, len));
		break;
	case VHU_STYLE_HEX:
		put_hex(o, load(bytes, len));
		break;
	case VHU_STYLE_DEC:
		put_dec(o, load(bytes, len));
		break;
	case VHU_STYLE_UUID:
		put_uuid(o, bytes, len);
		break;
	case VHU_STYLE_WORDS:
		put_words(o, bytes, len / sizeof(uint64_t));
		break;
	default:
		put_bytes(o, bytes, len);
		break;
	}
}

static void put_fields(struct out *o, const struct vhu_shape *shape, const uint8_t *bytes,
		       size_t len);

static void put_nest(struct out *o, const struct vhu_field *f, const uint8_t *bytes, size_t n)
{
	bool list = f->n > 1;

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

static void put_fields(struct out *o, const struct vhu_shape *shape, const uint8_t *bytes,
		       size_t len)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];
		const uint8_t *at = bytes + f->offset;
		size_t n = vhu_field_n_elements(shape, f, bytes, len);

		if (n == 0 || f->style == VHU_STYLE_PADDING)
			continue;
		if (f->style != VHU_STYLE_RING_WORD)
			put_key(o, f->name);
		if (f->style == VHU_STYLE_NEST)
			put_nest(o, f, at, n);
		else
			put_value(o, f->style, at, n * f->width);
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

static void put_payload(struct out *o, const struct vhu_msg *m)
{
	const struct vhu_shape *shape = vhu_msg_shape(m);
	size_t len = vhu_msg_payload_len(m);

	if (shape) {
		put_fields(o, shape, m->payload, len);
		put_length(o, shape, m);
	} else if (len > 0) {
		put_key(o, "bytes");
		put_bytes(o, m->payload, len);
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

/* Numbers of a field that is cut are its bytes. */
static bool is_number(size_t len)
{
	return len <= sizeof(uint64_t) && is_power_of_two(len);
}

size_t vhu_format_value(char *buf, size_t cap, enum vhu_style style, const uint8_t *bytes,
			size_t len)
{
	bool array = style == VHU_STYLE_UUID || style == VHU_STYLE_WORDS;
	struct out o;

	out_init(&o, buf, cap, false);
	put_value(&o, array || is_number(len) ? style : VHU_STYLE_BYTES, bytes, len);
	return o.len;
}
