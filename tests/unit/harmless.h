/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What may stand in output that src/backends/sanitize.c has filtered, told by other
 * means than the filter's: a regular expression for sequences, the C library for
 * characters.
 */
#ifndef VHU_TESTS_HARMLESS_H
#define VHU_TESTS_HARMLESS_H

#include <locale.h>
#include <regex.h>
#include <string.h>
#include <wchar.h>

#include "backends/sanitize.h"

static const char harmless_pattern[] =
	"^\x1b([78DEHM=>]|[-()*+./][0-~]|#[34568]"
	"|\\[(([0-9]{0,5};)*[0-9]{0,5}[@ABCDEFGHIKLMPSXZ`abdefgrsu]|([0-9]{0,5}[;:])*[0-9]{0,5}m"
	"|[012]?J|0{1,4}[0-2]J|[0-9]{0,5}T|0{0,4}4[hl]|!p|[0-9;]* q|\\?[0-9;]*[JK]"
	"|\\?(0*(1|5|6|7|12|25|45|47|66|69|1047|1048|1049|2004|2026);?)*[hl]))";

/* False where the locale is missing. To be freed with regfree(). */
static inline bool harmless_init(regex_t *ret_sequence)
{
	return setlocale(LC_CTYPE, "C.UTF-8") != NULL &&
	       regcomp(ret_sequence, harmless_pattern, REG_EXTENDED) == 0;
}

/* 0: none that passes stands here. */
static inline size_t harmless_sequence(const regex_t *sequence, const char *at, size_t len)
{
	/* One that passes is no longer than what the filter holds, and has no NUL in it. */
	char text[SANITIZE_HELD_MAX + 1] = "";
	regmatch_t match;

	memcpy(text, at, min_size(len, SANITIZE_HELD_MAX));
	if (regexec(sequence, text, 1, &match, 0) != 0)
		return 0;
	return (size_t)match.rm_eo;
}

/* A character that is no control of C1, or a byte that cannot be one. 0: neither. */
static inline size_t harmless_character(const char *at, size_t len)
{
	mbstate_t mb = { 0 };
	wchar_t wide;
	size_t n = mbrtowc(&wide, at, len, &mb);

	/* The C library knows characters past the last one of Unicode. */
	if (n == (size_t)-1 || n == (size_t)-2 || wide > 0x10ffff)
		return (uint8_t)*at >= 0xa0;
	return wide >= ' ' && !(wide >= 0x7f && wide <= 0x9f) ? n : 0;
}

/* How many bytes of out are harmless at that level; len: all of them. */
static inline size_t harmless_len(const regex_t *sequence, enum sanitize_level level,
				  const char *out, size_t len)
{
	const char *controls = level == SANITIZE_SAFE ? "\a\b\t\n\v\f\r\x0e\x0f" : "\a\b\t\n\r";
	size_t at = 0, n = 1;

	while (at < len && n > 0) {
		if (out[at] != '\0' && strchr(controls, out[at]))
			n = 1;
		else if (out[at] != '\x1b')
			n = harmless_character(out + at, len - at);
		else
			n = level == SANITIZE_SAFE ? harmless_sequence(sequence, out + at, len - at)
						   : 0;
		at += n;
	}
	return at;
}

#endif
