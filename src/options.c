/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Command lines: which words are options, and which are their values. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "options.h"

/* One reading of a command line. */
struct parser {
	const struct option_row *rows;
	size_t n_rows;
	void *dest;
	const struct option_line *line;
	int at;	  /* index of the option that is read */
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
	if (p->error_cap > 0)
		option_make_one_line(p->error);
	return -EINVAL;
}

static const char *origin_of(const struct parser *p, int idx)
{
	return p->line->origins ? p->line->origins[idx] : NULL;
}

/* Puts the place of the word at fault in front of the message. */
static void add_origin(struct parser *p)
{
	const char *origin = origin_of(p, p->at);
	char message[512];

	if (!origin)
		return;
	snprintf(message, sizeof(message), "%s", p->error);
	snprintf(p->error, p->error_cap, "%s: %s", origin, message);
}

static int store(struct parser *p, const struct option_row *row, const char *text)
{
	const struct option_value value = {
		.row = row,
		.dest = p->dest,
		.text = text,
		.dashes = "--",
		.order = (unsigned int)p->at,
	};

	if (p->line->given)
		p->line->given[row - p->rows] = true;
	p->stopped = row->type == OPTION_FLAG_STOP;
	return option_store(&value, p->error, p->error_cap);
}

static const struct option_row *find_long(const struct parser *p, const char *name, size_t len)
{
	return options_find(p->rows, p->n_rows, name, len);
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
	if (p->next >= p->line->argc || origin_of(p, p->next) != origin_of(p, p->at))
		return store(p, row, NULL);
	return store(p, row, p->line->argv[p->next++]);
}

static int parse_long(struct parser *p, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct option_row *row = find_long(p, word, len);

	if (!row)
		return fail(p, "unknown option --%.*s; --help lists the options", (int)len, word);
	if (word[len] || option_is_flag(row))
		return store(p, row, word[len] ? word + len + 1 : NULL);
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
		if (!option_is_flag(row))
			return c[1] ? store(p, row, c + 1) : take_next_word(p, row);
		r = store(p, row, NULL);
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

	while (r == 0 && !p->stopped && p->next < p->line->argc) {
		p->at = p->next++;
		word = p->line->argv[p->at];
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

	for (int i = 1; i < p->line->argc; i++) {
		const char *word = p->line->argv[i];

		if (strncmp(word, "--", 2) != 0)
			continue;
		row = find_long(p, word + 2, strlen(word + 2));
		if (row && row->type == OPTION_FLAG_WINS)
			return store(p, row, NULL) == 0;
	}
	return false;
}

/* Whether the option that word is has its value in the next word. */
static bool takes_next_word(const struct option_row *rows, size_t n_rows, const char *word)
{
	const struct option_row *row = NULL;

	if (word[1] == '-')
		row = strchr(word, '=') ? NULL
					: options_find(rows, n_rows, word + 2, strlen(word + 2));
	else
		for (size_t i = 0; i < n_rows && !word[2]; i++)
			if (rows[i].type != OPTION_HEADING && rows[i].short_name == word[1])
				row = &rows[i];
	return row && !option_is_flag(row);
}

int options_split(const struct option_row *rows, size_t n_rows, int argc, char **argv,
		  char **options, const char **words, size_t *ret_n_words)
{
	size_t n_words = 0;
	int n = 0;

	options[n++] = argv[0];
	for (int i = 1; i < argc; i++) {
		char *word = argv[i];

		if (word[0] != '-' || !word[1]) {
			words[n_words++] = word;
			continue;
		}
		options[n++] = word;
		if (takes_next_word(rows, n_rows, word) && i + 1 < argc)
			options[n++] = argv[++i];
	}
	*ret_n_words = n_words;
	return n;
}

int options_parse(const struct option_row *rows, size_t n_rows, void *dest,
		  const struct option_line *line, char *ret_error, size_t error_cap)
{
	struct parser p = {
		.rows = rows,
		.n_rows = n_rows,
		.dest = dest,
		.line = line,
		.next = 1,
		.error = ret_error,
		.error_cap = error_cap,
	};
	int r;

	options_set_defaults(rows, n_rows, dest);
	if (line->given)
		memset(line->given, 0, n_rows * sizeof(*line->given));
	if (parse_winner(&p))
		return 0;
	r = parse_words(&p);
	if (r < 0) {
		add_origin(&p);
		options_free(rows, n_rows, dest);
	}
	return r;
}
