/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Command lines from a table: parsing, --help and the manual's list of options
 * are three readings of the same rows. A program keeps its rows in a .def list
 * of
 *
 *	HEADING("Title")
 *	OPT(field, 's', "long-name", TYPE, "METAVAR", "default", LIMITS, "help sentence")
 *
 * and includes it twice: with OPT() as OPTION_FIELD() inside a struct of its
 * own, and as OPTION_ROW() inside an array. TYPE is one of the names below
 * without OPTION_; LIMITS is OPTION_ANY, OPTION_RANGE(min, max) or
 * OPTION_WORDS("one|two"). The same rows describe words of comma lists, which
 * are written without dashes.
 */
#ifndef VHU_OPTIONS_H
#define VHU_OPTIONS_H

#include "base.h"

#include <stdio.h>

enum option_type {
	OPTION_HEADING,	  /* not an option: a title over the rows that follow */
	OPTION_FLAG,	  /* bool, true when given */
	OPTION_FLAG_STOP, /* bool; whatever comes after it is not looked at (--help) */
	OPTION_FLAG_WINS, /* bool; where its long name stands, nothing else counts */
	OPTION_STRING,	  /* const char *, inside argv; the range limits its length in bytes */
	OPTION_U64,	  /* uint64_t within the range */
	OPTION_POW2,	  /* uint64_t within the range, a power of two */
	OPTION_SIZE,	  /* uint64_t bytes, K, M or G may follow; rounded up to a power of two */
	OPTION_CHOICE,	  /* unsigned int: index into the words */
	OPTION_BYTES,	  /* as SIZE, but not rounded */
	OPTION_AMOUNT,	  /* struct option_maybe: "all" (UINT64_MAX), "none" (0), or as BYTES */
	OPTION_MODE,	  /* struct option_maybe, octal */
	OPTION_FDS,	  /* struct option_fds; the option may be repeated */
	OPTION_TEXTS,	  /* struct option_texts, limited as STRING; may be repeated */
};

/* More descriptors than this on one command line are refused. */
enum { OPTION_FDS_MAX = 64 };

/* Descriptor numbers from the command line. They are numbers only: nothing here closes them. */
struct option_fds {
	int fd[OPTION_FDS_MAX];
	unsigned int n_fds;
};

/* A number that may be absent. */
struct option_maybe {
	bool set;
	uint64_t value;
};

/* All values of an option that may be repeated, in order. options_free() frees the array. */
struct option_texts {
	struct option_text {
		const char *text;   /* inside argv */
		unsigned int order; /* index of the option's word in argv */
	} * items;
	unsigned int n_items;
};

struct option_row {
	enum option_type type;
	char short_name;       /* 0: none */
	const char *long_name; /* without dashes; the title of a heading */
	const char *metavar;   /* what --help calls the value; NULL for flags */
	const char *dflt;      /* default as one would type it; NULL: zero, "unset" */
	uint64_t min;
	uint64_t max;	   /* 0: no range */
	const char *words; /* OPTION_CHOICE: "one|two|three" */
	size_t offset;	   /* of the field in the caller's struct */
	const char *help;  /* a phrase: no capital, no full stop */
};

/* C type of a field, by the type's name. */
#define OPTION_CTYPE_FLAG bool
#define OPTION_CTYPE_FLAG_STOP bool
#define OPTION_CTYPE_FLAG_WINS bool
#define OPTION_CTYPE_STRING const char *
#define OPTION_CTYPE_U64 uint64_t
#define OPTION_CTYPE_POW2 uint64_t
#define OPTION_CTYPE_SIZE uint64_t
#define OPTION_CTYPE_CHOICE unsigned int
#define OPTION_CTYPE_BYTES uint64_t
#define OPTION_CTYPE_AMOUNT struct option_maybe
#define OPTION_CTYPE_MODE struct option_maybe
#define OPTION_CTYPE_FDS struct option_fds
#define OPTION_CTYPE_TEXTS struct option_texts

#define OPTION_ANY .min = 0
#define OPTION_RANGE(lo, hi) .min = (lo), .max = (hi)
#define OPTION_WORDS(list) .words = (list)

#define OPTION_FIELD(field, type) OPTION_CTYPE_##type field
/* The limits come last, as they expand to more than one initialiser. */
#define OPTION_ROW(owner, field, s, l, t, meta, def, text, ...)                                    \
	{                                                                                          \
		.type = OPTION_##t, .short_name = (s), .long_name = (l), .metavar = (meta),        \
		.dflt = (def), .help = (text), .offset = offsetof(owner, field), __VA_ARGS__       \
	}
#define OPTION_ROW_HEADING(title)                                                                  \
	{                                                                                          \
		.type = OPTION_HEADING, .long_name = (title)                                       \
	}

/* What options_parse() reads, and what it tells besides the values. */
struct option_line {
	int argc;
	char **argv; /* argv[0] is not looked at */
	/*
	 * Where each word comes from, as "FILE:LINE" in front of messages; NULL
	 * for a word, or for all, means the command line. A value never comes
	 * from another place than its option.
	 */
	const char *const *origins;
	bool *given; /* one for each row: it was there. NULL: nobody asks */
};

/*
 * Fills dest, a struct whose fields the rows describe, with defaults and then
 * with what argv[1..] says. Values may follow as --long=value, --long value,
 * -x value and -xvalue; names are not abbreviated; a later option replaces an
 * earlier one, except that descriptors and texts add up. Zero, and
 * options_free() is due; or -EINVAL (-ENOMEM) with one line in ret_error that
 * says what was wrong and what is allowed.
 */
int options_parse(const struct option_row *rows, size_t n_rows, void *dest,
		  const struct option_line *line, char *ret_error, size_t error_cap);

/*
 * Takes apart a line that has other words between its options: options gets
 * argv[0], the options and their values, words the rest (a lone "-" among them),
 * both in order. Each has room for argc. Returns the number of options.
 */
int options_split(const struct option_row *rows, size_t n_rows, int argc, char **argv,
		  char **options, const char **words, size_t *ret_n_words);

/* Frees what the fields of dest own; they are empty then. */
void options_free(const struct option_row *rows, size_t n_rows, void *dest);

/* Defaults alone. What the fields held before is not looked at. */
void options_set_defaults(const struct option_row *rows, size_t n_rows, void *dest);

/* The row with that long name; NULL when there is none. */
const struct option_row *options_find(const struct option_row *rows, size_t n_rows,
				      const char *name, size_t len);

/* One value on its way into its field. */
struct option_value {
	const struct option_row *row;
	void *dest;
	const char *text;   /* NULL: the name stands alone */
	const char *dashes; /* what messages put before the name: "--" or "" */
	unsigned int order; /* see struct option_texts */
};

/* Zero, -ENOMEM, or -EINVAL with one line in ret_why. A flag takes no text, others need one. */
int option_store(const struct option_value *value, char *ret_why, size_t why_cap);

static inline bool option_is_flag(const struct option_row *row)
{
	return row->type == OPTION_FLAG || row->type == OPTION_FLAG_STOP ||
	       row->type == OPTION_FLAG_WINS;
}

/* Decimal digits only: no sign, no space, no other base. */
bool option_parse_number(const char *text, uint64_t *ret_value);

/* Bytes below 0x20 and 0x7f become question marks. */
void option_make_one_line(char *text);

/*
 * Prints text, from column at on, and ends the line; breaks it between words
 * where it would pass column 80, and goes on at column indent.
 */
void options_wrap(FILE *out, const char *text, int at, int indent);

/* The list for --help, at most 80 columns wide. */
void options_help(FILE *out, const struct option_row *rows, size_t n_rows);

/* The same list as roff (man(7) macros), for the OPTIONS section of a manual. */
void options_man(FILE *out, const struct option_row *rows, size_t n_rows);

/* Rows of a comma list as roff: "word=VALUE". more, which may be NULL, adds to each row's text. */
void options_man_words(FILE *out, const struct option_row *rows, size_t n_rows,
		       void (*more)(FILE *out, size_t row_idx));

/* Text as roff: nothing in it acts as a request, a dash stays a dash. */
void options_man_text(FILE *out, const char *text);

#endif
