/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages field by field and byte by byte. */
#include <inttypes.h>
#include <string.h>

#include "trace/views/views-private.h"

enum {
	NAME_COLUMNS = 24, /* at most, of the column of names */
	VALUE_COLUMNS = 18,
	BIT_COLUMNS = 22,
	OFFER_COLUMNS = 24,
	ROW = 8, /* bytes of a field's row in a dump */
	VALUE_CAP = 256,
};

uint64_t view_field_number(const struct vhu_field_view *f)
{
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint32_t u32 = 0;
	uint64_t u64 = 0;

	switch (f->len) {
	case sizeof(u8):
		memcpy(&u8, f->bytes, sizeof(u8));
		return u8;
	case sizeof(u16):
		memcpy(&u16, f->bytes, sizeof(u16));
		return u16;
	case sizeof(u32):
		memcpy(&u32, f->bytes, sizeof(u32));
		return u32;
	case sizeof(u64):
		memcpy(&u64, f->bytes, sizeof(u64));
		return u64;
	default:
		return 0;
	}
}

static bool is_mask(enum vhu_style style)
{
	return style == VHU_STYLE_FEATURES || style == VHU_STYLE_PROTOCOL ||
	       style == VHU_STYLE_STATUS;
}

/* Whether the field chooses among what has been offered. */
static bool chooses(const struct view_bits *bits, const struct vhu_field_view *f)
{
	return f->style != VHU_STYLE_STATUS && !(bits->msg->flags & VHU_FLAG_REPLY) &&
	       bits->offered != 0;
}

static const char *bit_name(const struct vhu_field_view *f, const char *device, unsigned int bit)
{
	const char *name = vhu_field_bit_name(f->style, bit);

	if (!name && f->style == VHU_STYLE_FEATURES)
		name = story_feature_name(device, bit);
	return name;
}

bool view_bit_at(const struct view_bits *bits, const struct vhu_field_view *f, unsigned int i,
		 struct view_bit *ret_bit)
{
	bool chosen = chooses(bits, f);
	uint64_t value = view_field_number(f);
	uint64_t left = value | (chosen ? bits->offered : 0);
	unsigned int bit;

	if (!is_mask(f->style))
		return false;
	while (i-- > 0)
		left &= left - 1;
	if (left == 0)
		return false;
	bit = (unsigned int)__builtin_ctzll(left);
	*ret_bit = (struct view_bit){
		.number = bit,
		.name = bit_name(f, bits->device, bit),
		.text = f->style == VHU_STYLE_PROTOCOL ? vhu_protocol_feature_text(bit) : NULL,
		.set = value & BIT(bit),
		.offer = !chosen		    ? VIEW_OFFER_UNKNOWN
			 : bits->offered & BIT(bit) ? VIEW_OFFER_YES
						    : VIEW_OFFER_NO,
	};
	return true;
}

static const char *offer_text(const struct view_bit *bit)
{
	if (bit->offer == VIEW_OFFER_NO)
		return "! accepted, NOT offered";
	if (bit->offer == VIEW_OFFER_YES)
		return bit->set ? "+ accepted" : "- offered, not accepted";
	return "";
}

static void put_bit(FILE *out, const struct view_bit *bit, size_t indent)
{
	char name[16] = "";
	const char *offer = offer_text(bit);
	const char *text = bit->text ? bit->text : "";
	int at;

	if (!bit->name)
		snprintf(name, sizeof(name), "bit%u", bit->number);
	at = fprintf(out, "%*s%2u  %-*s", (int)indent, "", bit->number,
		     bit->name && (*offer || *text) ? BIT_COLUMNS : 0,
		     bit->name ? bit->name : name);
	if (*offer)
		at += fprintf(out, "%*s  %-*s", bit->name ? 0 : BIT_COLUMNS - (int)strlen(name), "",
			      *text ? OFFER_COLUMNS : 0, offer);
	if (*text)
		at += fprintf(out, "  ");
	view_put_wrapped(out, text, (size_t)at, (size_t)at);
}

/* What a table of fields needs to know while it is made. */
struct table {
	FILE *out;
	struct view_bits bits;
	size_t indent, name_columns;
};

static void widen(const struct vhu_field_view *f, void *arg)
{
	struct table *t = arg;
	size_t len = min_size(strlen(f->name), NAME_COLUMNS);

	if (len > t->name_columns)
		t->name_columns = len;
}

/* A mask without names: its bits have lines of their own. */
static void value_of(char *buf, size_t cap, const struct vhu_field_view *f)
{
	if (is_mask(f->style))
		snprintf(buf, cap, "0x%" PRIx64, view_field_number(f));
	else
		vhu_field_value(buf, cap, f);
}

static void put_field(const struct vhu_field_view *f, void *arg)
{
	const struct table *t = arg;
	char value[VALUE_CAP];
	struct view_bit bit;
	size_t text_at = t->indent + t->name_columns + VALUE_COLUMNS + 4;
	int at;

	value_of(value, sizeof(value), f);
	at = fprintf(t->out, "%*s%-*s  %-*s  ", (int)t->indent, "", (int)t->name_columns, f->name,
		     VALUE_COLUMNS, value);
	if ((size_t)at > text_at && f->text[0] != '\0') {
		fprintf(t->out, "\n%*s", (int)text_at, "");
		at = (int)text_at;
	}
	view_put_wrapped(t->out, f->text, (size_t)at, text_at);
	for (unsigned int i = 0; view_bit_at(&t->bits, f, i, &bit); i++)
		put_bit(t->out, &bit, t->indent + 4);
}

void view_text_fields(FILE *out, const struct vhu_msg *msg, uint64_t offered, const char *device,
		      int indent)
{
	struct table t = {
		.out = out,
		.bits = { .msg = msg, .offered = offered, .device = device },
		.indent = (size_t)indent,
	};

	vhu_fields_each(msg, widen, &t);
	vhu_fields_each(msg, put_field, &t);
}

struct dump {
	FILE *out;
	int indent;
};

static void dump_field(const struct vhu_field_view *f, void *arg)
{
	const struct dump *d = arg;
	char label[VHU_FIELD_NAME + VALUE_CAP + 32], value[VALUE_CAP];
	bool wide = f->len > ROW;
	struct view_dump dump = { .at = f->at, .width = ROW, .ascii = wide, .label = label };

	value_of(value, sizeof(value), f);
	if (wide)
		snprintf(label, sizeof(label), "%s, %zu bytes", f->name, f->len);
	else
		snprintf(label, sizeof(label), "%s = %s", f->name, value);
	view_put_dump(d->out, &dump, f->bytes, f->len, d->indent);
}

void view_text_hex(FILE *out, const struct vhu_msg *msg, int indent)
{
	struct dump d = { .out = out, .indent = indent };

	vhu_fields_each(msg, dump_field, &d);
}
