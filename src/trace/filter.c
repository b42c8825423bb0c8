/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/filter.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "options.h"

static const char prefix[] = "BACKEND_";

/* The words of a list, one after the other; false: there are no more. */
static bool next_word(const char **list, const char **ret_word, size_t *ret_len)
{
	if (!*list)
		return false;
	*ret_word = *list;
	*ret_len = strcspn(*list, ",");
	*list = (*list)[*ret_len] == ',' ? *list + *ret_len + 1 : NULL;
	return true;
}

/* Small letters are as good as capitals. */
static bool word_is(const char *word, size_t len, const char *name)
{
	if (len > 0 && word[len - 1] == '*')
		return strncasecmp(word, name, len - 1) == 0;
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

static bool word_matches(const char *word, size_t len, const char *name)
{
	size_t skip = strncmp(name, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;

	return word_is(word, len, name) || (skip > 0 && word_is(word, len, name + skip));
}

static bool list_matches(const char *list, const char *name)
{
	const char *word;
	size_t len;

	while (next_word(&list, &word, &len))
		if (word_matches(word, len, name))
			return true;
	return false;
}

static bool word_known(const char *word, size_t len)
{
	for (size_t i = 0; i < vhu_desc_count(); i++)
		if (word_matches(word, len, vhu_desc_at(i)->name))
			return true;
	return false;
}

bool filter_unknown_name(const char *list, char *ret_name, size_t size)
{
	const char *word;
	size_t len;

	while (next_word(&list, &word, &len)) {
		if (word_known(word, len))
			continue;
		snprintf(ret_name, size, "%.*s", (int)min_size(len, size), word);
		return true;
	}
	return false;
}

/* "2" or "2-5", both ends below VHU_MAX_RINGS. */
static bool parse_range(const char *word, size_t len, uint64_t *ret_first, uint64_t *ret_last)
{
	char text[32], *dash;

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	if (!option_parse_number(text, ret_first))
		return false;
	if (!dash)
		*ret_last = *ret_first;
	else if (!option_parse_number(dash + 1, ret_last))
		return false;
	return *ret_first <= *ret_last && *ret_last < VHU_MAX_RINGS;
}

bool filter_parse_rings(struct trace_filter *f, const char *text)
{
	uint64_t rings[ARRAY_SIZE(f->rings)] = { 0 };
	uint64_t first, last;
	const char *word;
	size_t len;

	while (next_word(&text, &word, &len)) {
		if (!parse_range(word, len, &first, &last))
			return false;
		for (uint64_t ring = first; ring <= last; ring++)
			rings[ring / 64] |= BIT(ring % 64);
	}
	memcpy(f->rings, rings, sizeof(f->rings));
	f->has_rings = true;
	return true;
}

static bool ring_passes(const struct trace_filter *f, const struct trace_told *told)
{
	if (!f->has_rings)
		return true;
	return told->has_ring && f->rings[told->ring / 64] & BIT(told->ring % 64);
}

static bool sender_passes(const struct trace_filter *f, enum trace_dir dir)
{
	switch (f->from) {
	case TRACE_FROM_FRONTEND:
		return dir == TRACE_TO_BACKEND;
	case TRACE_FROM_BACKEND:
		return dir == TRACE_TO_FRONTEND;
	default:
		return true;
	}
}

static bool message_passes(const struct trace_filter *f, const struct trace_told *told)
{
	const char *name = vhu_msg_name(told->msg->dir, told->msg->id);

	if (f->only && !list_matches(f->only, name))
		return false;
	if (f->without && list_matches(f->without, name))
		return false;
	if (f->broken && told->rule == VHU_OK && !told->refuses)
		return false;
	return ring_passes(f, told) && sender_passes(f, told->record->dir);
}

static bool has_broken_chain(const struct ring_picture *p)
{
	for (size_t i = 0; p && i < p->n_chains; i++)
		if (picture_chain_broken(&p->chains[i]))
			return true;
	return false;
}

bool filter_blames_device(const struct trace_filter *f, const struct trace_told *told)
{
	return told->record->kind == TRACE_RING && told->record->picture &&
	       f->from != TRACE_FROM_FRONTEND && picture_device_broken(told->record->picture);
}

/* Nobody sends pictures, but chains that are wrong are the front-end's, returns the back-end's. */
static bool picture_passes(const struct trace_filter *f, const struct trace_told *told)
{
	if (f->no_pictures || !ring_passes(f, told))
		return false;
	if (!f->broken)
		return true;
	return (f->from != TRACE_FROM_BACKEND && has_broken_chain(told->record->picture)) ||
	       filter_blames_device(f, told);
}

bool filter_passes(const struct trace_filter *f, const struct trace_told *told)
{
	bool selects = f->only || f->has_rings;

	switch (told->record->kind) {
	case TRACE_MESSAGE:
		return message_passes(f, told);
	case TRACE_RING:
		return picture_passes(f, told);
	case TRACE_RAW:
		return !selects && sender_passes(f, told->record->dir);
	case TRACE_END:
		return !selects && !f->broken && sender_passes(f, told->record->dir);
	case TRACE_OPEN:
	case TRACE_CHANNEL:
		return !selects && !f->broken;
	default:
		return true;
	}
}
