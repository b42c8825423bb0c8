/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "state.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CAP_MIN = 4096,
	FLAG_REQUIRED = 1,
	PLACE_MAX = 96,
};

static const char magic[8] = { 'v', 'h', 'u', 's', 't', 'a', 't', 'e' };

/* Each step can be undone, so bytes that differ in one place never have the same sum. */
static uint64_t checksum(const uint8_t *buf, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* Writing */

static bool grow(struct state_writer *w, size_t len)
{
	uint64_t needed;
	size_t cap = w->cap;
	uint8_t *buf;

	if (w->failed || !add_u64(w->len, len, &needed) || needed > UINT32_MAX)
		return false;
	if (needed <= cap)
		return true;
	while (cap < needed)
		cap = cap < CAP_MIN ? CAP_MIN : 2 * cap;
	buf = realloc(w->buf, cap);
	if (!buf)
		return false;
	w->buf = buf;
	w->cap = cap;
	return true;
}

static void put(struct state_writer *w, const void *data, size_t len)
{
	if (!grow(w, len)) {
		w->failed = true;
		return;
	}
	if (len > 0)
		memcpy(w->buf + w->len, data, len);
	w->len += len;
}

static void put_field(struct state_writer *w, unsigned int tag, enum state_type type, uint32_t len)
{
	unsigned int number = tag & STATE_TAG_MAX;
	uint16_t tag_le = htole16((uint16_t)number);
	uint8_t kind[2] = { (uint8_t)type, tag & STATE_OPTIONAL ? 0 : FLAG_REQUIRED };
	uint32_t len_le = htole32(len);

	assert(number >= w->tag[w->depth]);
	w->tag[w->depth] = number;
	put(w, &tag_le, sizeof(tag_le));
	put(w, kind, sizeof(kind));
	put(w, &len_le, sizeof(len_le));
}

void state_writer_init(struct state_writer *w, uint32_t kind, uint32_t version)
{
	uint32_t words[2] = { htole32(kind), htole32(version) };

	*w = (struct state_writer){ 0 };
	put(w, magic, sizeof(magic));
	put(w, words, sizeof(words));
}

void state_writer_fini(struct state_writer *w)
{
	free(w->buf);
	*w = (struct state_writer){ 0 };
}

void state_put_number(struct state_writer *w, unsigned int tag, uint64_t value)
{
	uint64_t value_le = htole64(value);

	put_field(w, tag, STATE_NUMBER, sizeof(value_le));
	put(w, &value_le, sizeof(value_le));
}

void state_put_bytes(struct state_writer *w, unsigned int tag, const void *data, size_t len)
{
	if (len > UINT32_MAX) {
		w->failed = true;
		return;
	}
	put_field(w, tag, STATE_BYTES, (uint32_t)len);
	put(w, data, len);
}

static void begin(struct state_writer *w, unsigned int tag, enum state_type type)
{
	size_t at = w->len;

	put_field(w, tag, type, 0);
	assert(w->depth < STATE_DEPTH_MAX);
	w->depth++;
	w->group[w->depth] = at;
	w->tag[w->depth] = 0;
}

void state_begin_bytes(struct state_writer *w, unsigned int tag)
{
	begin(w, tag, STATE_BYTES);
}

void state_add_bytes(struct state_writer *w, const void *data, size_t len)
{
	put(w, data, len);
}

void state_begin_group(struct state_writer *w, unsigned int tag)
{
	begin(w, tag, STATE_GROUP);
}

/* What was begun is as long as all that came since. */
void state_end(struct state_writer *w)
{
	size_t at = w->group[w->depth];
	uint32_t len_le;

	assert(w->depth > 0);
	w->depth--;
	if (w->failed)
		return;
	len_le = htole32((uint32_t)(w->len - at - STATE_FIELD_LEN));
	memcpy(w->buf + at + 4, &len_le, sizeof(len_le));
}

int state_finish(struct state_writer *w)
{
	uint64_t sum_le;

	assert(w->depth == 0);
	if (w->failed)
		return -ENOMEM;
	sum_le = htole64(checksum(w->buf, w->len));
	put(w, &sum_le, sizeof(sum_le));
	return w->failed ? -ENOMEM : 0;
}

/* Reading */

/* "ports, port, at byte 96: " */
static void describe_place(const struct state_reader *r, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned int i = 1; i <= r->depth && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s, ", r->name[i]);
	if (len < cap)
		snprintf(buf + len, cap - len, "at byte %zu", r->at);
}

void state_fail(struct state_reader *r, const char *fmt, ...)
{
	char place[PLACE_MAX], text[STATE_WHY_MAX - PLACE_MAX - 2];
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	describe_place(r, place, sizeof(place));
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(r->why, sizeof(r->why), "%s: %s", place, text);
}

static void check_envelope(struct state_reader *r, size_t len, uint32_t kind, uint32_t max_version)
{
	if (len < STATE_HEADER_LEN + STATE_CHECK_LEN || memcmp(r->buf, magic, sizeof(magic)) != 0) {
		state_fail(r, "this is no state of ours: expected \"vhustate\" and a header");
	} else if (get_le32(r->buf + 8) != kind) {
		state_fail(r, "a state of another thing: expected kind 0x%x, found 0x%x", kind,
			   get_le32(r->buf + 8));
	} else if (checksum(r->buf, len - STATE_CHECK_LEN) !=
		   get_le64(r->buf + len - STATE_CHECK_LEN)) {
		state_fail(r, "cut off or changed: expected the checksum to be that of %zu bytes",
			   len - STATE_CHECK_LEN);
	} else if (get_le32(r->buf + 12) < 1 || get_le32(r->buf + 12) > max_version) {
		state_fail(r, "version %u: expected 1 to %u", get_le32(r->buf + 12), max_version);
	}
}

void state_reader_init(struct state_reader *r, const void *buf, size_t len, uint32_t kind,
		       uint32_t max_version)
{
	*r = (struct state_reader){ .buf = buf };
	check_envelope(r, len, kind, max_version);
	if (r->failed)
		return;
	r->version = get_le32(r->buf + 12);
	r->at = STATE_HEADER_LEN;
	r->end[0] = len - STATE_CHECK_LEN;
}

struct field {
	unsigned int tag;
	unsigned int type;
	bool required;
	size_t len;
};

/* The field at hand; false at the end of the group. */
static bool look(struct state_reader *r, struct field *ret)
{
	size_t left = r->end[r->depth] - r->at;
	const uint8_t *at = r->buf + r->at;

	if (r->failed || left == 0)
		return false;
	if (left < STATE_FIELD_LEN || get_le32(at + 4) > left - STATE_FIELD_LEN) {
		state_fail(r, "a field ends past what it is in: expected %zu bytes at most", left);
		return false;
	}
	*ret = (struct field){
		.tag = get_le16(at),
		.type = at[2],
		.required = at[3] & FLAG_REQUIRED,
		.len = get_le32(at + 4),
	};
	return true;
}

/* Passes over what is optional and stands before this tag. */
static bool find(struct state_reader *r, unsigned int tag, struct field *ret)
{
	while (look(r, ret) && ret->tag < tag) {
		if (ret->required) {
			state_fail(r, "field %u is required and not known here: expected field %u",
				   ret->tag, tag);
			return false;
		}
		r->at += STATE_FIELD_LEN + ret->len;
	}
	return !r->failed && r->at < r->end[r->depth] && ret->tag == tag;
}

/* The bytes of the field that must be next; NULL if something is wrong. */
static const uint8_t *take(struct state_reader *r, unsigned int tag, const char *name,
			   enum state_type type, struct field *ret)
{
	static const char *const types[] = {
		[STATE_NUMBER] = "a number",
		[STATE_BYTES] = "bytes",
		[STATE_GROUP] = "a group of fields",
	};
	if (!find(r, tag, ret)) {
		state_fail(r, "%s (field %u) is missing", name, tag);
		return NULL;
	}
	if (ret->type != (unsigned int)type || (type == STATE_NUMBER && ret->len != 8)) {
		state_fail(r, "%s (field %u): expected %s, found type %u of %zu bytes", name, tag,
			   types[type], ret->type, ret->len);
		return NULL;
	}
	return r->buf + r->at + STATE_FIELD_LEN;
}

static void pass(struct state_reader *r, const struct field *f)
{
	r->at += STATE_FIELD_LEN + f->len;
}

uint64_t state_take_number(struct state_reader *r, unsigned int tag, const char *name, uint64_t max)
{
	struct field f = { 0 };
	const uint8_t *bytes = take(r, tag, name, STATE_NUMBER, &f);

	if (!bytes)
		return 0;
	if (get_le64(bytes) > max) {
		state_fail(r, "%s is %llu: expected %llu at most", name,
			   (unsigned long long)get_le64(bytes), (unsigned long long)max);
		return 0;
	}
	pass(r, &f);
	return get_le64(bytes);
}

bool state_take_flag(struct state_reader *r, unsigned int tag, const char *name)
{
	return state_take_number(r, tag, name, 1) == 1;
}

size_t state_take_bytes(struct state_reader *r, unsigned int tag, const char *name, size_t max_len,
			const uint8_t **ret_bytes)
{
	struct field f = { 0 };
	const uint8_t *bytes = take(r, tag, name, STATE_BYTES, &f);

	*ret_bytes = (const uint8_t *)"";
	if (!bytes)
		return 0;
	if (f.len > max_len) {
		state_fail(r, "%s has %zu bytes: expected %zu at most", name, f.len, max_len);
		return 0;
	}
	pass(r, &f);
	*ret_bytes = bytes;
	return f.len;
}

bool state_has(struct state_reader *r, unsigned int tag)
{
	struct field f = { 0 };

	return find(r, tag, &f);
}

bool state_enter(struct state_reader *r, unsigned int tag, const char *name)
{
	struct field f = { 0 };

	if (!take(r, tag, name, STATE_GROUP, &f))
		return false;
	if (r->depth == STATE_DEPTH_MAX) {
		state_fail(r, "%s: expected %d groups within each other at most", name,
			   STATE_DEPTH_MAX);
		return false;
	}
	r->at += STATE_FIELD_LEN;
	r->depth++;
	r->end[r->depth] = r->at + f.len;
	r->name[r->depth] = name;
	return true;
}

/* Past the last tag there is, so what is left is passed over or wrong. */
static void finish_group(struct state_reader *r)
{
	struct field f = { 0 };

	if (find(r, UINT16_MAX, &f))
		state_fail(r, "field %u is not known here", f.tag);
}

void state_leave(struct state_reader *r)
{
	assert(r->depth > 0);
	finish_group(r);
	r->depth--;
}

int state_end_of(struct state_reader *r)
{
	if (!r->failed)
		finish_group(r);
	return r->failed ? -EINVAL : 0;
}
