/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Values of fields, from words to bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/script.h"
#include "trace/repl/compose-private.h"
#include "vhu/fields.h"

const char *compose_token(struct composing *p, const char *stops)
{
	size_t len = 0;

	while (p->at[len] && p->at[len] != ' ' && !strchr(stops, p->at[len]))
		len++;
	snprintf(p->token, sizeof(p->token), "%.*s", (int)min_size(len, sizeof(p->token) - 1),
		 p->at);
	p->at += len;
	return p->token;
}

static void extend(struct composing *p, size_t end)
{
	if (end > p->extent)
		p->extent = end;
}

/* Numbers travel in native order. */
static size_t shift_of(size_t byte, size_t width)
{
	return 8 * (BYTE_ORDER == LITTLE_ENDIAN ? byte : width - 1 - byte);
}

void compose_set(struct composing *p, size_t offset, size_t width, uint64_t value, uint64_t mask)
{
	uint8_t *bytes = p->c->msg.payload + offset, *given = p->c->given + offset;

	for (size_t i = 0; i < width; i++) {
		uint8_t set = (uint8_t)(value >> shift_of(i, width));
		uint8_t here = (uint8_t)(mask >> shift_of(i, width));

		bytes[i] = (uint8_t)((bytes[i] & ~here) | (set & here));
		given[i] |= here;
	}
	extend(p, offset + width);
}

/* Numbers. */

/* All the bits that a number of width bytes has. */
static uint64_t width_mask(size_t width)
{
	return width >= sizeof(uint64_t) ? UINT64_MAX : BIT(8 * width) - 1;
}

static bool bit_value(enum vhu_style style, const char *name, uint64_t *ret_value)
{
	static const char plain[] = "bit";
	uint64_t number;

	if (script_number(name, ret_value))
		return true;
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *known = vhu_field_bit_name(style, bit);

		if (known && strcasecmp(known, name) == 0) {
			*ret_value = BIT(bit);
			return true;
		}
	}
	if (strncasecmp(name, plain, sizeof(plain) - 1) != 0 ||
	    !script_number(name + sizeof(plain) - 1, &number) || number > 63)
		return false;
	*ret_value = BIT(number);
	return true;
}

static int take_bits(struct composing *p, const struct vhu_field *f, const char *text,
		     uint64_t *ret_value)
{
	char word[128];
	uint64_t value = 0, bit;

	for (;;) {
		size_t len = strcspn(text, "|");

		snprintf(word, sizeof(word), "%.*s", (int)min_size(len, sizeof(word) - 1), text);
		if (!bit_value(f->style, word, &bit))
			return compose_fail(p, "%s: expected names of bits and |, not %s", f->name,
					    word);
		value |= bit;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*ret_value = value;
	return 0;
}

bool compose_is_mask(const struct vhu_field *f)
{
	return f->style == VHU_STYLE_FEATURES || f->style == VHU_STYLE_PROTOCOL ||
	       f->style == VHU_STYLE_STATUS;
}

int compose_add_bits(struct composing *p, const struct vhu_field *f, const char *text)
{
	uint64_t value;
	int err = take_bits(p, f, text, &value);

	if (err == 0)
		compose_set(p, f->offset, f->width, value, value);
	return err;
}

/* The names that a line puts behind a mask say the same again. */
static int skip_names(struct composing *p)
{
	const char *end;

	if (*p->at != '[')
		return 0;
	end = strchr(p->at, ']');
	if (!end)
		return compose_fail(p, "expected ] behind %s", p->at);
	p->at = end + 1;
	return 0;
}

static int take_number(struct composing *p, const struct compose_place *place)
{
	const struct vhu_field *f = place->field;
	const char *text = compose_token(p, "}[");
	uint64_t value = 0, most = width_mask(f->width);
	int err = 0;

	if (compose_is_mask(f))
		err = take_bits(p, f, text, &value);
	else if (!script_number(text, &value))
		err = compose_fail(p, "%s: expected a number, not %s", f->name, text);
	if (err == 0 && value > most)
		err = compose_fail(p, "%s: expected a number up to 0x%" PRIx64 ", not %s", f->name,
				   most, text);
	if (err < 0)
		return err;
	compose_set(p, place->offset, f->width, value, most);
	return skip_names(p);
}

int compose_ring_part(struct composing *p, const struct vhu_field *f, bool reserved)
{
	const char *text = compose_token(p, "}");
	uint64_t mask = reserved ? ~(VHU_VRING_IDX_MASK | VHU_VRING_NOFD) : VHU_VRING_IDX_MASK;
	uint64_t value;

	if (!script_number(text, &value) || (value & ~mask) != 0)
		return compose_fail(p, "%s: expected a number with bits of 0x%" PRIx64 ", not %s",
				    reserved ? "reserved" : "ring", mask, text);
	compose_set(p, f->offset, f->width, value, mask);
	return 0;
}

/* Bytes. */

static void drop_dashes(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text != '-')
			*to++ = *text;
	*to = '\0';
}

static int take_bytes(struct composing *p, const struct compose_place *place)
{
	bool uuid = place->field->style == VHU_STYLE_UUID;
	size_t n = 0;

	compose_token(p, "}");
	if (uuid)
		drop_dashes(p->token);
	if (!script_bytes(p->token, p->c->msg.payload + place->offset, place->n, &n) ||
	    (uuid && n != place->n))
		return compose_fail(p, "%s: expected %s%zu bytes in pairs of digits, not %.64s",
				    place->field->name, uuid ? "" : "at most ", place->n, p->token);
	memset(p->c->given + place->offset, 0xff, n);
	extend(p, place->offset + n);
	return 0;
}

/* Lists. */

static int take_char(struct composing *p, const struct vhu_field *f, char wanted)
{
	p->at += strspn(p->at, " ");
	if (*p->at != wanted)
		return compose_fail(p, "%s: expected %c, not %s", f->name, wanted,
				    *p->at ? p->at : "the end");
	p->at++;
	return 0;
}

/* "{3=0x1000 5=0x2000}" */
static int take_words(struct composing *p, const struct compose_place *place)
{
	const struct vhu_field *f = place->field;
	int err = take_char(p, f, '{');

	while (err == 0) {
		struct compose_place word = { f, 0, 1 };
		uint64_t i = 0;

		p->at += strspn(p->at, " ");
		if (*p->at == '}')
			break;
		if (!script_number(compose_token(p, "=}"), &i) || i >= f->n)
			return compose_fail(p, "%s: expected a number below %u, not %s", f->name,
					    f->n, p->token);
		word.offset = place->offset + (size_t)i * f->width;
		err = take_char(p, f, '=');
		if (err == 0)
			err = take_number(p, &word);
	}
	return err < 0 ? err : take_char(p, f, '}');
}

static int take_element(struct composing *p, const struct vhu_field *f, size_t offset)
{
	int err = take_char(p, f, '{');

	extend(p, offset + f->width);
	return err < 0 ? err : compose_items(p, f->inner, offset, '}');
}

/* "[{size=1} {size=2}]" */
static int take_elements(struct composing *p, const struct compose_place *place)
{
	const struct vhu_field *f = place->field;
	int err = take_char(p, f, '[');

	for (size_t i = 0; err == 0; i++) {
		p->at += strspn(p->at, " ");
		if (*p->at == ']')
			break;
		if (i == place->n)
			return compose_fail(p, "%s: there are at most %zu", f->name, place->n);
		err = take_element(p, f, place->offset + i * f->width);
	}
	return err < 0 ? err : take_char(p, f, ']');
}

int compose_value(struct composing *p, const struct compose_place *place)
{
	switch (place->field->style) {
	case VHU_STYLE_NEST:
		return place->n > 1 ? take_elements(p, place)
				    : take_element(p, place->field, place->offset);
	case VHU_STYLE_WORDS:
		return place->n > 1 ? take_words(p, place) : take_number(p, place);
	case VHU_STYLE_BYTES:
	case VHU_STYLE_UUID:
		return take_bytes(p, place);
	case VHU_STYLE_PADDING:
		return place->n > 1 ? take_bytes(p, place) : take_number(p, place);
	default:
		return take_number(p, place);
	}
}
