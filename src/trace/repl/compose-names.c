/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Names of fields: finding them, telling them, ending them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/script.h"
#include "trace/repl/compose-private.h"
#include "vhu/fields.h"

enum { NAME_LEN = 64 };

/* Finding. */

static const struct vhu_field *find_field(const struct vhu_shape *shape, const char *name,
					  size_t len)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];

		if (strlen(f->name) == len && strncmp(f->name, name, len) == 0)
			return f;
	}
	return NULL;
}

/* "[3]", from which *path moves on. */
static bool take_index(const char **path, size_t n, size_t *ret_idx)
{
	char digits[8] = "";
	size_t len = strcspn(*path, "]");
	uint64_t idx;

	if ((*path)[len] != ']' || len > sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len - 1, *path + 1);
	if (!script_number(digits, &idx) || idx >= n)
		return false;
	*ret_idx = (size_t)idx;
	*path += len + 1;
	return true;
}

bool compose_place(const struct vhu_shape *shape, size_t base, const char *path,
		   struct compose_place *ret_place)
{
	size_t len = strcspn(path, "[."), idx = 0;
	const struct vhu_field *f = find_field(shape, path, len);
	struct compose_place place;

	if (!f)
		return false;
	path += len;
	place = (struct compose_place){ f, base + f->offset, f->n };
	if (*path == '[') {
		if (!take_index(&path, f->n, &idx))
			return false;
		place.offset += idx * f->width;
		place.n = 1;
	}
	if (*path == '.' && f->style == VHU_STYLE_NEST && place.n == 1)
		return compose_place(f->inner, place.offset, path + 1, ret_place);
	if (*path != '\0')
		return false;
	*ret_place = place;
	return true;
}

const struct vhu_field *compose_bare_field(const struct vhu_shape *shape)
{
	const struct vhu_field *f = shape->n_fields == 1 ? &shape->fields[0] : NULL;

	return f && f->n == 1 && f->style != VHU_STYLE_NEST ? f : NULL;
}

/* Telling. */

static void each_name(const struct vhu_shape *shape, const char *prefix, compose_name_fn *each,
		      void *arg)
{
	char name[NAME_LEN];

	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];
		bool nest = f->style == VHU_STYLE_NEST;

		if (f->style == VHU_STYLE_PADDING)
			continue;
		snprintf(name, sizeof(name), "%s%s%s%s", prefix, f->name,
			 f->n > 1 && (nest || f->style == VHU_STYLE_WORDS) ? "[0]" : "",
			 nest ? "." : "");
		if (nest)
			each_name(f->inner, name, each, arg);
		else
			each(name, f, arg);
		if (f->style == VHU_STYLE_RING_WORD) {
			each("ring", f, arg);
			each("nofd", f, arg);
		}
	}
}

void compose_each_name(const struct vhu_shape *shape, compose_name_fn *each, void *arg)
{
	each_name(shape, "", each, arg);
}

/* Names with commas, as far as there is room. */
struct listing {
	char text[200];
	size_t len;
};

static void add_name(const char *name, const struct vhu_field *field, void *arg)
{
	struct listing *l = arg;
	size_t room = sizeof(l->text) - l->len;
	int n = snprintf(l->text + l->len, room, "%s%s", l->len > 0 ? ", " : "", name);

	(void)field;
	l->len += n > 0 ? min_size((size_t)n, room - 1) : 0;
}

int compose_no_field(struct composing *p, const struct vhu_shape *shape, const char *name)
{
	struct listing l = { .len = 0 };

	compose_each_name(shape, add_name, &l);
	if (l.len == 0)
		return compose_fail(p, "%.32s: this message has no fields", name);
	return compose_fail(p, "%.32s is no field of it; expected %s", name, l.text);
}

/* Ending. */

/* Ways to end a word; the one that is wanted is kept. */
struct ending {
	const char *typed;  /* the last word so far */
	const char *before; /* of it, up to here it stays: behind the last = or | */
	bool any_case;
	unsigned int wanted;
	char *found;
};

bool compose_begins(const char *name, const char *typed, bool any_case)
{
	size_t len = strlen(typed);

	return (any_case ? strncasecmp(name, typed, len) : strncmp(name, typed, len)) == 0;
}

static void offer(struct ending *e, const char *name, const char *after)
{
	size_t kept = (size_t)(e->before - e->typed);

	if (e->found || !compose_begins(name, e->before, e->any_case))
		return;
	if (e->wanted-- > 0)
		return;
	if (asprintf(&e->found, "%.*s%s%s", (int)kept, e->typed, name, after) < 0)
		e->found = NULL;
}

static void offer_messages(struct ending *e)
{
	const struct vhu_desc *desc;

	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++)
		if (desc->dir == VHU_FE)
			offer(e, desc->name, "");
}

static void offer_bits(struct ending *e, const struct vhu_field *f)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_field_bit_name(f->style, bit);

		if (name)
			offer(e, name, "");
	}
}

/* A name that has an index: the index is as typed. */
static void offer_field(const char *name, const struct vhu_field *field, void *arg)
{
	struct ending *e = arg;
	const char *index = strchr(name, '['), *typed = strchr(e->typed, '[');
	char other[NAME_LEN];

	if (strcmp(name, "nofd") == 0) {
		offer(e, name, "");
		return;
	}
	if (index && typed && strchr(typed, ']')) {
		snprintf(other, sizeof(other), "%.*s%.*s%s", (int)(index - name), name,
			 (int)strcspn(typed, "]"), typed, strchr(index, ']'));
		offer(e, other, "=");
		return;
	}
	(void)field;
	offer(e, name, "=");
}

/* Behind "field=", or where bits stand alone. */
static void offer_values(struct ending *e, const struct vhu_shape *shape)
{
	const char *sign = strchr(e->typed, '=');
	const struct vhu_field *bare = compose_bare_field(shape);
	struct compose_place place = { .field = bare };
	char name[NAME_LEN];

	if (sign) {
		snprintf(name, sizeof(name), "%.*s", (int)min_size(63, (size_t)(sign - e->typed)),
			 e->typed);
		place.field = compose_place(shape, 0, name, &place) ? place.field : NULL;
	}
	if (place.field && compose_is_mask(place.field))
		offer_bits(e, place.field);
}

static void offer_words(struct ending *e, const struct vhu_desc *desc)
{
	for (const char *c = e->typed; *c; c++)
		if (*c == '=' || *c == '|')
			e->before = c + 1;
	if (e->before > e->typed) {
		offer_values(e, desc->request);
		return;
	}
	offer_values(e, desc->request);
	compose_each_name(desc->request, offer_field, e);
	if (desc->fds.kind != VHU_FD_NONE)
		offer(e, "fds", "=");
	offer(e, "need_reply", "");
}

char *compose_completion(const char *line, bool any_case, unsigned int i)
{
	const char *blank = strrchr(line, ' ');
	const char *typed = blank ? blank + 1 : line;
	struct ending e = {
		.typed = typed,
		.before = typed,
		.any_case = any_case,
		.wanted = i,
	};
	char name[NAME_LEN];
	const struct vhu_desc *desc;

	if (!blank) {
		offer_messages(&e);
		return e.found;
	}
	snprintf(name, sizeof(name), "%.*s", (int)min_size(sizeof(name) - 1, strcspn(line, " ")),
		 line);
	desc = compose_find(VHU_FE, name);
	if (desc)
		offer_words(&e, desc);
	return e.found;
}
