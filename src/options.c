/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "options.h"

enum {
	HELP_COLUMNS = 80,
	HELP_TEXT_COLUMN_MAX = 32, /* option names wider than that push their text down */
	NAME_MAX_LEN = 64,	   /* "-x, --long-name METAVAR" */
};

/* One reading of a command line. */
struct parser {
	const struct option_row *rows;
	size_t n_rows;
	void *dest;
	int argc;
	char **argv;
	int next; /* index of the next word */
	bool stopped;
	char *error;
	size_t error_cap;
};

/* The message is one line whatever bytes of the command line it quotes. */
PRINTF_LIKE(2, 3)
static int fail(struct parser *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->error, p->error_cap, fmt, args);
	va_end(args);
	for (char *c = p->error; p->error_cap > 0 && *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return -EINVAL;
}

static bool type_is_flag(enum option_type type)
{
	return type == OPTION_FLAG || type == OPTION_FLAG_STOP || type == OPTION_FLAG_WINS;
}

static void *field_of(const struct parser *p, const struct option_row *row)
{
	return (char *)p->dest + row->offset;
}

/* Decimal digits only: no sign, no space, no other base. */
static bool parse_digits(const char *text, uint64_t *ret_value, const char **ret_rest)
{
	uint64_t value = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9'; c++) {
		if (!mul_u64(value, 10, &value) || !add_u64(value, (uint64_t)(*c - '0'), &value))
			return false;
	}
	if (c == text)
		return false;
	*ret_value = value;
	*ret_rest = c;
	return true;
}

static bool parse_number(const char *text, uint64_t *ret_value)
{
	const char *rest;
	uint64_t value;

	if (!parse_digits(text, &value, &rest) || *rest)
		return false;
	*ret_value = value;
	return true;
}

static bool parse_size(const char *text, uint64_t *ret_value)
{
	static const char units[] = "KMG";
	const char *rest, *unit;
	uint64_t value;

	if (!parse_digits(text, &value, &rest))
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

static void format_range(const struct option_row *row, char *out, size_t cap)
{
	char low[32], high[32];

	out[0] = '\0';
	if (row->max == 0)
		return;
	if (row->type == OPTION_SIZE) {
		format_size(low, sizeof(low), row->min);
		format_size(high, sizeof(high), row->max);
	} else {
		snprintf(low, sizeof(low), "%" PRIu64, row->min);
		snprintf(high, sizeof(high), "%" PRIu64, row->max);
	}
	snprintf(out, cap, " from %s to %s", low, high);
}

static int fail_value(struct parser *p, const struct option_row *row, const char *value,
		      const char *expected)
{
	char range[80];

	format_range(row, range, sizeof(range));
	return fail(p, "--%s: '%s' is not %s%s", row->long_name, value, expected, range);
}

static int store_string(struct parser *p, const struct option_row *row, const char *value)
{
	const char **field = field_of(p, row);
	char range[80];

	if (!in_range(row, strlen(value))) {
		format_range(row, range, sizeof(range));
		return fail(p, "--%s: the value has %zu bytes, allowed is a length%s",
			    row->long_name, strlen(value), range);
	}
	*field = value;
	return 0;
}

static int store_u64(struct parser *p, const struct option_row *row, const char *value)
{
	uint64_t *field = field_of(p, row);
	uint64_t number;

	if (!parse_number(value, &number) || !in_range(row, number))
		return fail_value(p, row, value, "a number");
	*field = number;
	return 0;
}

static int store_pow2(struct parser *p, const struct option_row *row, const char *value)
{
	uint64_t *field = field_of(p, row);
	uint64_t number;

	if (!parse_number(value, &number) || !is_power_of_two(number) || !in_range(row, number))
		return fail_value(p, row, value, "a power of two");
	*field = number;
	return 0;
}

static int store_size(struct parser *p, const struct option_row *row, const char *value)
{
	uint64_t *field = field_of(p, row);
	uint64_t bytes, rounded = 1;

	if (!parse_size(value, &bytes) || bytes == 0 || bytes > BIT(63) || !in_range(row, bytes))
		return fail_value(p, row, value, "a size");
	while (rounded < bytes)
		rounded <<= 1;
	*field = rounded;
	return 0;
}

static int store_choice(struct parser *p, const struct option_row *row, const char *value)
{
	unsigned int *field = field_of(p, row);
	const char *word = row->words;
	unsigned int idx = 0;
	size_t len;

	for (;;) {
		len = strcspn(word, "|");
		if (strlen(value) == len && memcmp(word, value, len) == 0) {
			*field = idx;
			return 0;
		}
		if (!word[len])
			return fail(p, "--%s: '%s' is not one of %s", row->long_name, value,
				    row->words);
		word += len + 1;
		idx++;
	}
}

static int store_fd(struct parser *p, const struct option_row *row, const char *value)
{
	struct option_fds *field = field_of(p, row);
	uint64_t number;

	if (!parse_number(value, &number) || number > INT_MAX)
		return fail_value(p, row, value, "the number of a file descriptor");
	for (unsigned int i = 0; i < field->n_fds; i++) {
		if (field->fd[i] == (int)number)
			return fail(p, "--%s: %s is given twice", row->long_name, value);
	}
	if (field->n_fds == OPTION_FDS_MAX)
		return fail(p, "--%s: more than %d are given, which is the most allowed",
			    row->long_name, OPTION_FDS_MAX);
	field->fd[field->n_fds++] = (int)number;
	return 0;
}

static int store_flag(struct parser *p, const struct option_row *row)
{
	bool *field = field_of(p, row);

	*field = true;
	p->stopped = row->type == OPTION_FLAG_STOP;
	return 0;
}

typedef int store_fn(struct parser *p, const struct option_row *row, const char *value);

static int store_value(struct parser *p, const struct option_row *row, const char *value)
{
	static store_fn *const store[] = {
		[OPTION_STRING] = store_string, [OPTION_U64] = store_u64,
		[OPTION_POW2] = store_pow2,	[OPTION_SIZE] = store_size,
		[OPTION_CHOICE] = store_choice, [OPTION_FDS] = store_fd,
	};

	assert(!type_is_flag(row->type) && row->type != OPTION_HEADING);
	return store[row->type](p, row, value);
}

/* Zeroes the field, for rows without default text. */
static void store_unset(struct parser *p, const struct option_row *row)
{
	static const size_t size_of[] = {
		[OPTION_FLAG] = sizeof(bool),
		[OPTION_FLAG_STOP] = sizeof(bool),
		[OPTION_FLAG_WINS] = sizeof(bool),
		[OPTION_STRING] = sizeof(const char *),
		[OPTION_U64] = sizeof(uint64_t),
		[OPTION_POW2] = sizeof(uint64_t),
		[OPTION_SIZE] = sizeof(uint64_t),
		[OPTION_CHOICE] = sizeof(unsigned int),
		[OPTION_FDS] = sizeof(struct option_fds),
	};

	memset(field_of(p, row), 0, size_of[row->type]);
}

static void store_defaults(struct parser *p)
{
	int r;

	for (size_t i = 0; i < p->n_rows; i++) {
		const struct option_row *row = &p->rows[i];

		if (row->type == OPTION_HEADING)
			continue;
		store_unset(p, row);
		if (row->dflt) {
			r = store_value(p, row, row->dflt);
			assert(r == 0);
			(void)r;
		}
	}
}

static const struct option_row *find_long(const struct parser *p, const char *name, size_t len)
{
	for (size_t i = 0; i < p->n_rows; i++) {
		const struct option_row *row = &p->rows[i];

		if (row->type != OPTION_HEADING && strlen(row->long_name) == len &&
		    memcmp(row->long_name, name, len) == 0)
			return row;
	}
	return NULL;
}

static const struct option_row *find_short(const struct parser *p, char name)
{
	for (size_t i = 0; i < p->n_rows; i++) {
		if (p->rows[i].type != OPTION_HEADING && p->rows[i].short_name == name)
			return &p->rows[i];
	}
	return NULL;
}

/* The value is the next word of the command line. */
static int take_next_word(struct parser *p, const struct option_row *row)
{
	if (p->next >= p->argc)
		return fail(p, "--%s needs a value: --%s %s", row->long_name, row->long_name,
			    row->metavar);
	return store_value(p, row, p->argv[p->next++]);
}

static int parse_long(struct parser *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct option_row *row = find_long(p, word, len);

	if (!row)
		return fail(p, "unknown option --%.*s; --help lists the options", (int)len, word);
	if (type_is_flag(row->type))
		return word[len] ? fail(p, "--%s takes no value", row->long_name)
				 : store_flag(p, row);
	if (word[len])
		return store_value(p, row, word + len + 1);
	return take_next_word(p, row);
}

/* -x, -xvalue, -x value, and flags in a bunch. */
static int parse_short(struct parser *p, const char *letters)
{
	const struct option_row *row;
	int r;

	for (const char *c = letters; *c && !p->stopped; c++) {
		row = find_short(p, *c);
		if (!row)
			return fail(p, "unknown option -%c; --help lists the options", *c);
		if (!type_is_flag(row->type))
			return c[1] ? store_value(p, row, c + 1) : take_next_word(p, row);
		r = store_flag(p, row);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_words(struct parser *p)
{
	const char *word;
	bool options_end = false;
	int r = 0;

	while (r == 0 && !p->stopped && p->next < p->argc) {
		word = p->argv[p->next++];
		if (options_end || word[0] != '-' || !word[1])
			r = fail(p, "unexpected argument '%s': only options are allowed", word);
		else if (strcmp(word, "--") == 0)
			options_end = true;
		else if (word[1] == '-')
			r = parse_long(p, word + 2);
		else
			r = parse_short(p, word + 1);
	}
	return r;
}

/* Whether a flag that wins over everything stands anywhere among the words. */
static bool parse_winner(struct parser *p)
{
	const struct option_row *row;

	for (int i = 1; i < p->argc; i++) {
		if (strncmp(p->argv[i], "--", 2) != 0)
			continue;
		row = find_long(p, p->argv[i] + 2, strlen(p->argv[i] + 2));
		if (row && row->type == OPTION_FLAG_WINS) {
			store_flag(p, row);
			return true;
		}
	}
	return false;
}

int options_parse(const struct option_row *rows, size_t n_rows, void *dest, int argc, char **argv,
		  char *ret_error, size_t error_cap)
{
	struct parser p = {
		.rows = rows,
		.n_rows = n_rows,
		.dest = dest,
		.argc = argc,
		.argv = argv,
		.next = 1,
		.error = ret_error,
		.error_cap = error_cap,
	};

	store_defaults(&p);
	if (parse_winner(&p))
		return 0;
	return parse_words(&p);
}

static void format_name(const struct option_row *row, char *out, size_t cap)
{
	char letter[8] = "    ";

	if (row->short_name)
		snprintf(letter, sizeof(letter), "-%c, ", row->short_name);
	snprintf(out, cap, "  %s--%s%s%s", letter, row->long_name, row->metavar ? " " : "",
		 row->metavar ? row->metavar : "");
}

static int help_text_column(const struct option_row *rows, size_t n_rows)
{
	char name[NAME_MAX_LEN];
	size_t widest = 0;

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			continue;
		format_name(&rows[i], name, sizeof(name));
		if (strlen(name) > widest && strlen(name) + 2 <= HELP_TEXT_COLUMN_MAX)
			widest = strlen(name);
	}
	return (int)widest + 2;
}

/* Prints text from column on, with line breaks between words where it would pass the edge. */
static void help_wrap(FILE *out, const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_COLUMNS) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void help_row(FILE *out, const struct option_row *row, int column)
{
	char name[NAME_MAX_LEN], text[256];

	format_name(row, name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s%s%s", row->help, row->dflt ? " (default " : "",
		 row->dflt ? row->dflt : "", row->dflt ? ")" : "");
	if ((int)strlen(name) + 2 > column)
		fprintf(out, "%s\n%*s", name, column, "");
	else
		fprintf(out, "%-*s", column, name);
	help_wrap(out, text, column);
}

void options_help(FILE *out, const struct option_row *rows, size_t n_rows)
{
	int column = help_text_column(rows, n_rows);

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			fprintf(out, "%s:\n", rows[i].long_name);
		else
			help_row(out, &rows[i], column);
	}
}

/* Text as roff: nothing in it acts as a request, a dash stays a dash. */
static void man_text(FILE *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\')
			fputs("\\e", out);
		else if (*c == '-')
			fputs("\\-", out);
		else if (*c == '~')
			fputs("\\(ti", out);
		else if (c == text && (*c == '.' || *c == '\''))
			fprintf(out, "\\&%c", *c);
		else
			fputc(*c, out);
	}
}

static void man_row(FILE *out, const struct option_row *row)
{
	fputs(".TP\n", out);
	if (row->short_name)
		fprintf(out, "\\fB\\-%c\\fR, ", row->short_name);
	fputs("\\fB\\-\\-", out);
	man_text(out, row->long_name);
	fputs("\\fR", out);
	if (row->metavar)
		fprintf(out, " \\fI%s\\fR", row->metavar);
	fputc('\n', out);
	man_text(out, row->help);
	if (row->dflt) {
		fputs(" (default ", out);
		man_text(out, row->dflt);
		fputc(')', out);
	}
	fputs(".\n", out);
}

void options_man(FILE *out, const struct option_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING)
			fprintf(out, ".SS %s\n", rows[i].long_name);
		else
			man_row(out, &rows[i]);
	}
}
