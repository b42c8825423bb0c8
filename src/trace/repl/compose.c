/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/repl/compose.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/script.h"
#include "trace/repl/compose-private.h"
#include "vhu/codec.h"

int compose_fail(struct composing *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->error, 256, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Words that are the same for every message. */

static bool has_field(const struct composing *p, const char *name)
{
	struct compose_place place;

	return compose_place(p->shape, 0, name, &place);
}

/* Whether key means the header's, where the payload may have a field of that name, too. */
static bool is_header(const struct composing *p, const char *key, const char *name)
{
	static const char prefix[] = "header.";

	if (strncmp(key, prefix, sizeof(prefix) - 1) == 0)
		return strcmp(key + sizeof(prefix) - 1, name) == 0;
	return strcmp(key, name) == 0 && !has_field(p, name);
}

static int take_number(struct composing *p, const char *key, uint64_t max, uint64_t *ret_value)
{
	const char *text = compose_token(p, "");

	if (!script_number(text, ret_value) || *ret_value > max)
		return compose_fail(p, "%s: expected a number up to 0x%llx, not %s", key,
				    (unsigned long long)max, text);
	return 0;
}

static int take_flags(struct composing *p, const char *key, uint32_t mask)
{
	uint64_t value = 0;
	int err = take_number(p, key, mask, &value);

	p->c->msg.flags = (p->c->msg.flags & ~mask) | (uint32_t)value;
	p->c->given_flags |= mask;
	return err;
}

static int take_size(struct composing *p)
{
	uint64_t value = 0;
	int err = take_number(p, "size", UINT32_MAX, &value);

	p->c->msg.size = (uint32_t)value;
	p->c->given_size = true;
	return err;
}

static int take_missing(struct composing *p)
{
	uint64_t value = 0;
	int err = take_number(p, "missing", VHU_MAX_PAYLOAD, &value);

	p->missing = (size_t)value;
	return err;
}

static int take_extra(struct composing *p)
{
	const char *digits = compose_token(p, "");

	if (!script_bytes(digits, p->extra, sizeof(p->extra), &p->n_extra))
		return compose_fail(p, "extra: expected pairs of hexadecimal digits, not %s",
				    digits);
	return 0;
}

/* 1: key was none of them. */
static int take_header_word(struct composing *p, const char *key)
{
	if (is_header(p, key, "version"))
		return take_flags(p, "version", VHU_FLAG_VERSION_MASK);
	if (is_header(p, key, "flags"))
		return take_flags(p, "flags", UINT32_MAX);
	if (is_header(p, key, "size"))
		return take_size(p);
	if (strcmp(key, "missing") == 0)
		return take_missing(p);
	if (strcmp(key, "extra") == 0)
		return take_extra(p);
	return 1;
}

static bool take_flag(struct composing *p, const char *word)
{
	uint32_t flag = strcmp(word, "reply") == 0	  ? VHU_FLAG_REPLY
			: strcmp(word, "need_reply") == 0 ? VHU_FLAG_NEED_REPLY
							  : 0;

	p->c->msg.flags |= flag;
	p->c->given_flags |= flag;
	return flag != 0;
}

/* Words that depend on the shape. */

static const struct vhu_field *ring_word(const struct vhu_shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++)
		if (shape->fields[i].style == VHU_STYLE_RING_WORD)
			return &shape->fields[i];
	return NULL;
}

static int take_field(struct composing *p, const struct vhu_shape *shape, size_t base,
		      const char *key)
{
	const struct vhu_field *ring = ring_word(shape);
	struct compose_place place;

	if (compose_place(shape, base, key, &place))
		return compose_value(p, &place);
	if (ring && strcmp(key, "ring") == 0)
		return compose_ring_part(p, ring, false);
	if (ring && strcmp(key, "reserved") == 0)
		return compose_ring_part(p, ring, true);
	return compose_no_field(p, shape, key);
}

static int take_bare(struct composing *p, const struct vhu_shape *shape, const char *word)
{
	const struct vhu_field *ring = ring_word(shape), *bare = compose_bare_field(shape);

	if (ring && strcmp(word, "nofd") == 0) {
		compose_set(p, ring->offset, ring->width, VHU_VRING_NOFD, VHU_VRING_NOFD);
		return 0;
	}
	if (bare && compose_is_mask(bare))
		return compose_add_bits(p, bare, word);
	if (bare && *word >= '0' && *word <= '9') {
		const struct compose_place place = { bare, bare->offset, 1 };

		p->at -= strlen(word);
		return compose_value(p, &place);
	}
	return compose_no_field(p, shape, word);
}

static int take_item(struct composing *p, const struct vhu_shape *shape, size_t base, bool top)
{
	char key[64];
	const char *word = compose_token(p, "=}");
	int known = 1;

	if (*p->at != '=') {
		if (top && take_flag(p, word))
			return 0;
		return take_bare(p, shape, word);
	}
	if (strlen(word) >= sizeof(key))
		return compose_no_field(p, shape, word);
	memcpy(key, word, strlen(word) + 1);
	p->at++;
	if (top)
		known = take_header_word(p, key);
	return known <= 0 ? known : take_field(p, shape, base, key);
}

int compose_items(struct composing *p, const struct vhu_shape *shape, size_t base, char close)
{
	for (;;) {
		int err;

		p->at += strspn(p->at, " ");
		if (*p->at == close) {
			p->at += close != '\0';
			return 0;
		}
		if (*p->at == '\0')
			return compose_fail(p, "expected %c at the end", close);
		if (*p->at == '=' || *p->at == '}')
			return compose_fail(p, "expected a field before %s", p->at);
		err = take_item(p, shape, base, close == '\0');
		if (err < 0)
			return err;
	}
}

/* Lengths. */

static size_t take_count(struct composing *p)
{
	const struct vhu_shape *s = p->shape;
	uint8_t *at = p->c->msg.payload + s->count_offset;
	uint32_t n =
		p->extent > s->prefix_len
			? (uint32_t)((p->extent - s->prefix_len + s->unit_len - 1) / s->unit_len)
			: 0;
	size_t len = s->prefix_len + (size_t)n * s->unit_len;

	if (!p->c->given[s->count_offset]) {
		memcpy(at, &n, sizeof(n));
		return len;
	}
	memcpy(&n, at, sizeof(n));
	if (n <= s->max_count && s->prefix_len + (size_t)n * s->unit_len > len)
		len = s->prefix_len + (size_t)n * s->unit_len;
	return len;
}

static size_t payload_len(struct composing *p)
{
	const struct vhu_shape *s = p->shape;
	bool open_end = s->n_fields > 0 && s->fields[s->n_fields - 1].style == VHU_STYLE_BYTES;

	if (s->counted)
		return take_count(p);
	if (!open_end)
		return s->max_len;
	return p->extent > s->min_len ? p->extent : s->min_len;
}

static int finish(struct composing *p)
{
	struct composed *c = p->c;
	size_t len = payload_len(p);

	if (p->missing > len)
		return compose_fail(p, "missing: the payload has %zu bytes only", len);
	len -= p->missing;
	if (p->n_extra > VHU_MAX_PAYLOAD - len)
		return compose_fail(p, "extra: a payload has at most %d bytes", VHU_MAX_PAYLOAD);
	memcpy(c->msg.payload + len, p->extra, p->n_extra);
	c->payload_len = len + p->n_extra;
	if (!c->given_size)
		c->msg.size = (uint32_t)c->payload_len;
	return 0;
}

/* The whole message. */

const struct vhu_desc *compose_find(enum vhu_dir dir, const char *name)
{
	static const char prefix[] = "BACKEND_";
	const struct vhu_desc *desc;

	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++) {
		const char *row = desc->name;

		if (desc->dir != dir)
			continue;
		if (strcasecmp(row, name) == 0)
			return desc;
		if (dir == VHU_BE && strncmp(row, prefix, sizeof(prefix) - 1) == 0 &&
		    strcasecmp(row + sizeof(prefix) - 1, name) == 0)
			return desc;
	}
	return NULL;
}

/* "77", or "unknown(77)" as a line has it. */
static bool number_name(const char *name, uint32_t *ret_id)
{
	static const char before[] = "unknown(";
	char digits[16] = "";
	uint64_t id;

	if (strncmp(name, before, sizeof(before) - 1) == 0)
		name += sizeof(before) - 1;
	snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(name, ")"), name);
	if (!script_number(digits, &id) || id > UINT32_MAX)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

/* Where a reply has two forms, the fields that are named tell which. */
static const struct vhu_shape *choose_shape(const struct vhu_desc *desc, const char *text)
{
	bool reply = strstr(text, " reply") != NULL;

	if (!reply)
		return desc->request;
	if (desc->replied.kind == VHU_REPLY_ALWAYS ||
	    (desc->replied.kind == VHU_REPLY_IF && !strstr(text, " value=")))
		return desc->reply;
	return vhu_shape_ack();
}

static int begin(struct composing *p, enum vhu_dir dir, const char *name, const char *text)
{
	static const struct vhu_field bytes = {
		.name = "bytes",
		.width = 1,
		.n = VHU_MAX_PAYLOAD,
		.style = VHU_STYLE_BYTES,
	};
	static const struct vhu_shape any = {
		.name = "bytes",
		.max_len = VHU_MAX_PAYLOAD,
		.fields = &bytes,
		.n_fields = 1,
	};
	const struct vhu_desc *desc = compose_find(dir, name);
	uint32_t id = 0;

	if (!desc && !number_name(name, &id))
		return compose_fail(p, "%s is no message", name);
	if (!desc)
		desc = vhu_desc_find(dir, id);
	vhu_msg_init(&p->c->msg, dir, desc ? desc->id : id);
	p->shape = desc ? choose_shape(desc, text) : &any;
	return 0;
}

/* The words in one string, each after a blank, but the name. */
static char *join(char *const *words, size_t n_words)
{
	size_t len = 1;
	char *text, *at;

	for (size_t i = 1; i < n_words; i++)
		len += strlen(words[i]) + 1;
	text = at = malloc(len);
	if (!text)
		return NULL;
	*at = '\0';
	for (size_t i = 1; i < n_words; i++) {
		*at++ = ' ';
		at = stpcpy(at, words[i]);
	}
	return text;
}

int compose_message(enum vhu_dir dir, char *const *words, size_t n_words, struct composed *ret,
		    char error[256])
{
	struct composing *p = calloc(1, sizeof(*p));
	char *text = join(words, n_words);
	int err;

	if (!p || !text) {
		snprintf(error, 256, "no memory for a message");
		err = -ENOMEM;
		goto out;
	}
	memset(ret, 0, sizeof(*ret));
	*p = (struct composing){ .at = text, .c = ret, .error = error };
	err = n_words > 0 ? begin(p, dir, words[0], text) : compose_fail(p, "expected a name");
	if (err == 0)
		err = compose_items(p, p->shape, 0, '\0');
	if (err == 0)
		err = finish(p);
out:
	free(text);
	free(p);
	return err;
}
