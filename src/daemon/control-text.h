/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Text from outside, made fit for JSON and for a terminal. */
#ifndef VHU_DAEMON_CONTROL_TEXT_H
#define VHU_DAEMON_CONTROL_TEXT_H

#include "base.h"

/*
 * Length of the UTF-8 character at text, which has len bytes, with its number;
 * 0 when there is none: a byte out of place, a longer form than needed, a
 * surrogate, the end.
 */
size_t utf8_char(const char *text, size_t len, uint32_t *ret_char);

bool utf8_valid(const char *text, size_t len);

/*
 * A copy of text in which each byte that is no UTF-8 has become U+FFFD; the
 * caller frees it. NULL when there is no memory.
 */
char *utf8_repair(const char *text);

/* Whether a terminal would act on it, or show what follows in another order. */
bool utf8_is_control(uint32_t c);

/* The same bytes with those characters, and what is no UTF-8, as \xNN or \u{N}. As above. */
char *text_for_terminal(const char *text);

/* JSON with those characters, which can only stand in strings, as \uNNNN. As above. */
char *json_for_terminal(const char *json);

/* How many characters a terminal shows; text is valid. */
size_t utf8_width(const char *text);

#endif
