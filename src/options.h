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
 * OPTION_WORDS("one|two").
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
	OPTION_FDS,	  /* struct option_fds; the option may be repeated */
};

/* More descriptors than this on one command line are refused. */
enum { OPTION_FDS_MAX = 64 };

/* Descriptor numbers from the command line. They are numbers only: nothing here closes them. */
struct option_fds {
	int fd[OPTION_FDS_MAX];
	unsigned int n_fds;
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
#define OPTION_CTYPE_FDS struct option_fds

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

/*
 * Fills dest, a struct whose fields the rows describe, with defaults and then
 * with what argv[1..] says. Values may follow as --long=value, --long value,
 * -x value and -xvalue; names are not abbreviated; a later option replaces an
 * earlier one, except that descriptors add up. Zero, or -EINVAL with one line in
 * ret_error that says what was wrong and what is allowed.
 */
int options_parse(const struct option_row *rows, size_t n_rows, void *dest, int argc, char **argv,
		  char *ret_error, size_t error_cap);

/* The list for --help, at most 80 columns wide. */
void options_help(FILE *out, const struct option_row *rows, size_t n_rows);

/* The same list as roff (man(7) macros), for the OPTIONS section of a manual. */
void options_man(FILE *out, const struct option_row *rows, size_t n_rows);

#endif
