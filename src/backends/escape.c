/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/escape.h"

#include <errno.h>
#include <string.h>

int escape_init(struct escape *e, const char *text)
{
	*e = (struct escape){ .at_line_start = true };
	if (strcmp(text, "none") == 0)
		return 0;
	while (*text) {
		if (e->n_keys == ESCAPE_MAX)
			return -EINVAL;
		if (text[0] == '^' && text[1] >= '?' && text[1] <= '~') {
			/* ^A is 1, ^[ is 27, ^? is 127 */
			e->keys[e->n_keys++] = text[1] == '?' ? 127 : (uint8_t)(text[1] & 0x1f);
			text += 2;
		} else {
			e->keys[e->n_keys++] = (uint8_t)*text++;
		}
	}
	return e->n_keys > 0 ? 0 : -EINVAL;
}

bool escape_needs_newline(const struct escape *e)
{
	return e->keys[0] >= ' ' && e->keys[0] != 127;
}

static bool may_begin(const struct escape *e)
{
	return e->at_line_start || !escape_needs_newline(e);
}

/* Gives back what was held, since it turned out to be no escape. */
static size_t release(struct escape *e, uint8_t *out)
{
	size_t n = e->n_matched;

	memcpy(out, e->keys, n);
	if (n > 0)
		e->at_line_start = false;
	e->n_matched = 0;
	return n;
}

/*
 * Whether key belongs to ESC [ ... byte: an answer of the terminal to the
 * guest, which many shells ask for at each prompt, or a key without a
 * character. Neither begins a line nor ends its beginning.
 */
static bool is_answer(struct escape *e, uint8_t key)
{
	enum escape_answer before = e->answer;

	if (before == ESCAPE_ANSWER_CSI) {
		if (key >= '@' && key <= '~')
			e->answer = ESCAPE_ANSWER_NONE;
		return true;
	}
	e->answer = ESCAPE_ANSWER_NONE;
	if (key == 27)
		e->answer = ESCAPE_ANSWER_ESC;
	else if (before == ESCAPE_ANSWER_ESC && key == '[')
		e->answer = ESCAPE_ANSWER_CSI;
	return e->answer != ESCAPE_ANSWER_NONE;
}

size_t escape_filter(struct escape *e, const void *in, size_t len, void *out, bool *ret_leave)
{
	const uint8_t *key = in;
	uint8_t *to = out;
	size_t n = 0;
	bool pasted = len > ESCAPE_TYPED_MAX || e->n_keys == 0;

	*ret_leave = false;
	for (size_t i = 0; i < len; i++) {
		bool goes_on = e->n_matched > 0 || may_begin(e);

		if (!pasted && goes_on && key[i] == e->keys[e->n_matched]) {
			if (++e->n_matched < e->n_keys)
				continue;
			e->n_matched = 0;
			*ret_leave = true;
			return n;
		}
		if (e->n_matched > 0) {
			n += release(e, to + n);
			i--; /* this key may begin them anew */
			continue;
		}
		to[n++] = key[i];
		if (!is_answer(e, key[i]))
			e->at_line_start = key[i] == '\r' || key[i] == '\n';
	}
	return n;
}
