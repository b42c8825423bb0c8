/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/fields.h"

#include <stdio.h>
#include <string.h>

#include "vhu/codec.h"
#include "vhu/format.h"

/* A message whose fields are told. */
struct walk {
	vhu_field_fn *each;
	void *arg;
	const uint8_t *payload;
	size_t told; /* bytes of the payload that have had their field */
};

static const char *status_name(unsigned int bit)
{
	static const char *const names[] = {
		[0] = "ACKNOWLEDGE",	    [1] = "DRIVER", [2] = "DRIVER_OK", [3] = "FEATURES_OK",
		[6] = "DEVICE_NEEDS_RESET", [7] = "FAILED",
	};

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

const char *vhu_field_bit_name(enum vhu_style style, unsigned int bit)
{
	switch (style) {
	case VHU_STYLE_FEATURES:
		return vhu_feature_name(bit);
	case VHU_STYLE_PROTOCOL:
		return vhu_protocol_feature_name(bit);
	case VHU_STYLE_STATUS:
		return status_name(bit);
	default:
		return NULL;
	}
}

/* A reply's layout depends on whether the row has one of its own. */
const struct vhu_shape *vhu_msg_shape(const struct vhu_msg *m)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);

	if (!desc)
		return NULL;
	if (!(m->flags & VHU_FLAG_REPLY))
		return desc->request;
	if (desc->replied.kind == VHU_REPLY_ALWAYS)
		return desc->reply;
	if (desc->replied.kind == VHU_REPLY_IF && m->size == desc->reply->max_len)
		return desc->reply;
	return vhu_shape_ack();
}

/* What the count of a counted shape says. */
static size_t count_of(const struct vhu_shape *shape, const uint8_t *bytes, size_t len)
{
	uint32_t count = 0;

	if (len >= shape->count_offset + sizeof(count))
		memcpy(&count, bytes + shape->count_offset, sizeof(count));
	return count;
}

/* How many elements of f there should be, at most. */
static size_t n_meant(const struct vhu_shape *shape, const struct vhu_field *f,
		      const uint8_t *bytes, size_t len)
{
	if (shape->counted && f->offset == shape->prefix_len)
		return min_size(f->n, count_of(shape, bytes, len));
	return f->n;
}

size_t vhu_field_n_elements(const struct vhu_shape *shape, const struct vhu_field *f,
			    const uint8_t *bytes, size_t len)
{
	size_t there = len > f->offset ? (len - f->offset) / f->width : 0;

	return min_size(there, n_meant(shape, f, bytes, len));
}

static void tell_header(const struct walk *w, const uint8_t hdr[VHU_HDR_LEN])
{
	struct vhu_field_view fields[] = {
		{ .name = "request",
		  .style = VHU_STYLE_DEC,
		  .text = "number of the message, in the table of who sends such requests" },
		{ .name = "flags",
		  .style = VHU_STYLE_HEX,
		  .text = "bits 0 and 1: version, 1; bit 2: a reply; bit 3: an acknowledgement is "
			  "wanted; the rest 0" },
		{ .name = "size",
		  .style = VHU_STYLE_DEC,
		  .text = "length in bytes of the payload that follows" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i].part = VHU_FIELD_HEADER;
		fields[i].len = VHU_HDR_LEN / ARRAY_SIZE(fields);
		fields[i].at = i * fields[i].len;
		fields[i].bytes = hdr + fields[i].at;
		w->each(&fields[i], w->arg);
	}
}

/* The next len bytes of the payload, under the name in f. */
static void tell(struct walk *w, struct vhu_field_view *f, size_t len)
{
	f->at = VHU_HDR_LEN + w->told;
	f->len = len;
	f->bytes = w->payload + w->told;
	w->told += len;
	w->each(f, w->arg);
}

static void tell_extra(struct walk *w, const char *name, const char *text, size_t len)
{
	struct vhu_field_view f = {
		.part = VHU_FIELD_EXTRA,
		.style = VHU_STYLE_BYTES,
		.text = text,
	};

	snprintf(f.name, sizeof(f.name), "%s", name);
	tell(w, &f, len);
}

/* A field that is no nest: want bytes, if that many are left. */
static void tell_plain(struct walk *w, const struct vhu_field *f, const char *prefix, size_t want,
		       size_t left)
{
	bool cut = f->n == 1 && left < want;
	struct vhu_field_view view = {
		.part = f->style == VHU_STYLE_PADDING ? VHU_FIELD_PADDING : VHU_FIELD_PAYLOAD,
		.style = cut ? VHU_STYLE_BYTES : f->style,
		.text = cut ? "only its first bytes are there" : f->text,
	};

	if (want == 0 || left == 0)
		return;
	snprintf(view.name, sizeof(view.name), "%s%s", prefix, f->name);
	tell(w, &view, min_size(want, left));
}

/* Element i of a nest. What is in a nest is no nest. */
static void tell_element(struct walk *w, const struct vhu_field *f, size_t i, size_t left)
{
	char prefix[VHU_FIELD_NAME / 2] = "";

	if (f->n > 1)
		snprintf(prefix, sizeof(prefix), "%s[%zu].", f->name, i);
	else
		snprintf(prefix, sizeof(prefix), "%s.", f->name);
	for (size_t k = 0; k < f->inner->n_fields; k++) {
		const struct vhu_field *in = &f->inner->fields[k];

		if (left > in->offset)
			tell_plain(w, in, prefix, (size_t)in->n * in->width, left - in->offset);
	}
}

static void tell_shape(struct walk *w, const struct vhu_shape *shape, size_t len)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];
		size_t n = n_meant(shape, f, w->payload, len);

		if (f->style != VHU_STYLE_NEST) {
			tell_plain(w, f, "", n * f->width, len - w->told);
			continue;
		}
		for (size_t k = 0; k < n && len > w->told; k++)
			tell_element(w, f, k, min_size(len - w->told, f->width));
	}
}

void vhu_fields_each(const struct vhu_msg *m, vhu_field_fn *each, void *arg)
{
	struct walk w = { .each = each, .arg = arg, .payload = m->payload };
	const struct vhu_shape *shape = vhu_msg_shape(m);
	size_t len = vhu_msg_payload_len(m);
	uint8_t hdr[VHU_HDR_LEN];

	vhu_header_pack(m, hdr);
	tell_header(&w, hdr);
	if (shape)
		tell_shape(&w, shape, len);
	if (w.told == len)
		return;
	if (shape)
		tell_extra(&w, "extra", "more than this message has fields for", len - w.told);
	else
		tell_extra(&w, "payload", "no message has this number", len);
}

size_t vhu_field_value(char *buf, size_t cap, const struct vhu_field_view *f)
{
	return vhu_format_value(buf, cap, f->style, f->bytes, f->len);
}
