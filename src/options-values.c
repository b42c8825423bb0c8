/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Values of options: from text into the fields of the caller's struct. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* A value on its way, and where to complain about it. */
struct store {
	const struct option_value *value;
	const struct option_row *row;
	void *field;
	const char *text;
	char *why;
	size_t why_cap;
};

void option_make_one_line(char *text)
{
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

PRINTF_LIKE(2, 3)
static int fail(const struct store *s, const char *fmt, ...)
{
	va_list args;
	int len = snprintf(s->why, s->why_cap, "%s%s", s->value->dashes, s->row->long_name);
	size_t at = min_size(len > 0 ? (size_t)len : 0, s->why_cap);

	va_start(args, fmt);
	vsnprintf(s->why + at, s->why_cap - at, fmt, args);
	va_end(args);
	if (s->why_cap > 0)
		option_make_one_line(s->why);
	return -EINVAL;
}

/* Digits of one base only: no sign, no space. */
static bool parse_digits(const char *text, unsigned int base, uint64_t *ret_value,
			 const char **ret_rest)
{
	uint64_t value = 0;
	const char *c = text;

	for (; *c >= '0' && *c < (char)('0' + base); c++) {
		if (!mul_u64(value, base, &value) || !add_u64(value, (uint64_t)(*c - '0'), &value))
			return false;
	}
	if (c == text)
		return false;
	*ret_value = value;
	*ret_rest = c;
	return true;
}

static bool parse_whole(const char *text, unsigned int base, uint64_t *ret_value)
{
	const char *rest;
	uint64_t value;

	if (!parse_digits(text, base, &value, &rest) || *rest)
		return false;
	*ret_value = value;
	return true;
}

bool option_parse_number(const char *text, uint64_t *ret_value)
{
	return parse_whole(text, 10, ret_value);
}

static bool parse_size(const char *text, uint64_t *ret_value)
{
	static const char units[] = "KMG";
	const char *rest, *unit;
	uint64_t value;

	if (!parse_digits(text, 10, &value, &rest))
		return false;
	if (*rest) {
		unit = strchr(units, *rest);
		if (!unit || rest[1])
			return false;
		if (!mul_u64(value, UINT64_C(1024) << (10 * (unit - units)), &value))
			return false;
	}
	*ret_value = value;
	return true;
}

static bool in_range(const struct option_row *row, uint64_t value)
{
	return row->max == 0 || (value >= row->min && value <= row->max);
}

/* "4K" for 4096, for messages. */
static void format_size(char *out, size_t cap, uint64_t value)
{
	static const char *const units[] = { "", "K", "M", "G" };
	size_t unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && value >= 1024 && value % 1024 == 0) {
		value /= 1024;
		unit++;
	}
	snprintf(out, cap, "%" PRIu64 "%s", value, units[unit]);
}

static void format_limit(const struct option_row *row, uint64_t value, char *out, size_t cap)
{
	if (row->type == OPTION_SIZE || row->type == OPTION_BYTES)
		format_size(out, cap, value);
	else
		snprintf(out, cap, row->type == OPTION_MODE ? "%#" PRIo64 : "%" PRIu64, value);
}

static void format_range(const struct option_row *row, char *out, size_t cap)
{
	char low[32], high[32];

	out[0] = '\0';
	if (row->max == 0)
		return;
	format_limit(row, row->min, low, sizeof(low));
	format_limit(row, row->max, high, sizeof(high));
	snprintf(out, cap, " from %s to %s", low, high);
}

static int fail_value(const struct store *s, const char *expected)
{
	char range[80];

	format_range(s->row, range, sizeof(range));
	return fail(s, ": '%s' is not %s%s", s->text, expected, range);
}

static int fail_length(const struct store *s)
{
	char range[80];

	format_range(s->row, range, sizeof(range));
	return fail(s, ": the value has %zu bytes, allowed is a length%s", strlen(s->text), range);
}

static int store_string(const struct store *s)
{
	const char **field = s->field;

	if (!in_range(s->row, strlen(s->text)))
		return fail_length(s);
	*field = s->text;
	return 0;
}

static int store_u64(const struct store *s)
{
	uint64_t *field = s->field;
	uint64_t number;

	if (!option_parse_number(s->text, &number) || !in_range(s->row, number))
		return fail_value(s, "a number");
	*field = number;
	return 0;
}

static int store_pow2(const struct store *s)
{
	uint64_t *field = s->field;
	uint64_t number;

	if (!option_parse_number(s->text, &number) || !is_power_of_two(number) ||
	    !in_range(s->row, number))
		return fail_value(s, "a power of two");
	*field = number;
	return 0;
}

static int store_bytes(const struct store *s)
{
	uint64_t *field = s->field;
	uint64_t bytes;

	if (!parse_size(s->text, &bytes) || bytes == 0 || !in_range(s->row, bytes))
		return fail_value(s, "a size");
	*field = bytes;
	return 0;
}

static int store_size(const struct store *s)
{
	uint64_t *field = s->field;
	uint64_t bytes, rounded = 1;

	if (!parse_size(s->text, &bytes) || bytes == 0 || bytes > BIT(63) ||
	    !in_range(s->row, bytes))
		return fail_value(s, "a size");
	while (rounded < bytes)
		rounded <<= 1;
	*field = rounded;
	return 0;
}

static int store_amount(const struct store *s)
{
	struct option_maybe *field = s->field;
	uint64_t bytes;

	if (strcmp(s->text, "all") == 0)
		bytes = UINT64_MAX;
	else if (strcmp(s->text, "none") == 0)
		bytes = 0;
	else if (!parse_size(s->text, &bytes))
		return fail(s, ": '%s' is not all, none, or a size as 64K", s->text);
	*field = (struct option_maybe){ .set = true, .value = bytes };
	return 0;
}

static int store_mode(const struct store *s)
{
	struct option_maybe *field = s->field;
	uint64_t mode;

	if (!parse_whole(s->text, 8, &mode) || !in_range(s->row, mode))
		return fail_value(s, "an octal number");
	*field = (struct option_maybe){ .set = true, .value = mode };
	return 0;
}

static int store_choice(const struct store *s)
{
	unsigned int *field = s->field;
	const char *word = s->row->words;
	unsigned int idx = 0;
	size_t len;

	for (;;) {
		len = strcspn(word, "|");
		if (strlen(s->text) == len && memcmp(word, s->text, len) == 0) {
			*field = idx;
			return 0;
		}
		if (!word[len])
			return fail(s, ": '%s' is not one of %s", s->text, s->row->words);
		word += len + 1;
		idx++;
	}
}

static int store_fd(const struct store *s)
{
	struct option_fds *field = s->field;
	uint64_t number;

	if (!option_parse_number(s->text, &number) || number > INT_MAX)
		return fail_value(s, "the number of a file descriptor");
	for (unsigned int i = 0; i < field->n_fds; i++) {
		if (field->fd[i] == (int)number)
			return fail(s, ": %s is given twice", s->text);
	}
	if (field->n_fds == OPTION_FDS_MAX)
		return fail(s, ": more than %d are given, which is the most allowed",
			    OPTION_FDS_MAX);
	field->fd[field->n_fds++] = (int)number;
	return 0;
}

static int store_text(const struct store *s)
{
	struct option_texts *field = s->field;
	struct option_text *items;

	if (!in_range(s->row, strlen(s->text)))
		return fail_length(s);
	items = realloc(field->items, (field->n_items + (size_t)1) * sizeof(*items));
	if (!items) {
		fail(s, ": no memory");
		return -ENOMEM;
	}
	field->items = items;
	items[field->n_items++] = (struct option_text){ .text = s->text, .order = s->value->order };
	return 0;
}

typedef int store_fn(const struct store *s);

static const struct {
	size_t size;
	store_fn *store; /* NULL: a flag */
} types[] = {
	[OPTION_FLAG] = { sizeof(bool), NULL },
	[OPTION_FLAG_STOP] = { sizeof(bool), NULL },
	[OPTION_FLAG_WINS] = { sizeof(bool), NULL },
	[OPTION_STRING] = { sizeof(const char *), store_string },
	[OPTION_U64] = { sizeof(uint64_t), store_u64 },
	[OPTION_POW2] = { sizeof(uint64_t), store_pow2 },
	[OPTION_SIZE] = { sizeof(uint64_t), store_size },
	[OPTION_CHOICE] = { sizeof(unsigned int), store_choice },
	[OPTION_BYTES] = { sizeof(uint64_t), store_bytes },
	[OPTION_AMOUNT] = { sizeof(struct option_maybe), store_amount },
	[OPTION_MODE] = { sizeof(struct option_maybe), store_mode },
	[OPTION_FDS] = { sizeof(struct option_fds), store_fd },
	[OPTION_TEXTS] = { sizeof(struct option_texts), store_text },
};

int option_store(const struct option_value *value, char *ret_why, size_t why_cap)
{
	const struct option_row *row = value->row;
	const struct store s = {
		.value = value,
		.row = row,
		.field = (char *)value->dest + row->offset,
		.text = value->text,
		.why = ret_why,
		.why_cap = why_cap,
	};

	assert(row->type != OPTION_HEADING);
	if (!option_is_flag(row)) {
		if (value->text)
			return types[row->type].store(&s);
		return fail(&s, " needs a value: %s%s%s%s", value->dashes, row->long_name,
			    value->dashes[0] ? " " : "=", row->metavar);
	}
	if (value->text)
		return fail(&s, " takes no value");
	*(bool *)s.field = true;
	return 0;
}

void options_set_defaults(const struct option_row *rows, size_t n_rows, void *dest)
{
	char why[128];
	int err;

	for (size_t i = 0; i < n_rows; i++) {
		const struct option_value value = {
			.row = &rows[i], .dest = dest, .text = rows[i].dflt, .dashes = ""
		};

		if (rows[i].type == OPTION_HEADING)
			continue;
		memset((char *)dest + rows[i].offset, 0, types[rows[i].type].size);
		if (!rows[i].dflt)
			continue;
		err = option_store(&value, why, sizeof(why));
		assert(err == 0);
		(void)err;
	}
}

void options_free(const struct option_row *rows, size_t n_rows, void *dest)
{
	for (size_t i = 0; i < n_rows; i++) {
		struct option_texts *texts;

		if (rows[i].type != OPTION_TEXTS)
			continue;
		texts = (struct option_texts *)(void *)((char *)dest + rows[i].offset);
		free(texts->items);
		*texts = (struct option_texts){ 0 };
	}
}

const struct option_row *options_find(const struct option_row *rows, size_t n_rows,
				      const char *name, size_t len)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type != OPTION_HEADING && strlen(rows[i].long_name) == len &&
		    memcmp(rows[i].long_name, name, len) == 0)
			return &rows[i];
	}
	return NULL;
}
