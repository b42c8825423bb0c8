/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Comma lists, as spec.h describes them, word by word. A list is expanded
 * first ("%i"), which gives the raw text; its words are found in that, and
 * then plain: ",," has become a comma, "%%" a percent sign.
 */
#ifndef VHU_DAEMON_SPEC_WORDS_H
#define VHU_DAEMON_SPEC_WORDS_H

#include "backends/attachment.h"

/* Replaces "%i". Zero and memory for the caller to free, -EINVAL or -ENOMEM with a sentence. */
int spec_expand(const char *text, unsigned int device_idx, char **ret_raw, char *ret_why,
		size_t why_cap);

/* Words of a raw text. All zero but rest is the start. */
struct spec_words {
	const char *rest; /* NULL: there are no more */
	const char *raw;  /* the word, raw_len bytes */
	size_t raw_len;
	char *plain;	/* room for the whole text; each word gets a place of its own in it */
	char *word;	/* the word, plain, with a NUL */
	size_t key_len; /* of the word up to '=' or ':' */
};

/* The next word: 1; 0 at the end; -EINVAL with a sentence for an empty one. */
int spec_next_word(struct spec_words *w, char *ret_why, size_t why_cap);

/* Rows that words may be, and where their values go. */
struct spec_fields {
	const struct option_row *rows;
	size_t n_rows; /* at most 64 */
	void *dest;
	uint64_t given; /* BIT(row) of those that were there */
};

/* Stores the current word, whose key is one of the rows; refuses what was given before. */
int spec_store_word(struct spec_fields *fields, const struct spec_words *w, char *ret_why,
		    size_t why_cap);

/* The rows of port-options.def, device-options.def, attachment-options.def. */
extern const struct option_row spec_port_rows[], spec_device_rows[], spec_attachment_rows[];
extern const size_t spec_n_port_rows, spec_n_device_rows, spec_n_attachment_rows;

/* Column "kinds" of attachment-options.def. */
const char *spec_takers(size_t attachment_row_idx);

/* Whether attachments of that kind take the word of that row. */
bool spec_kind_takes(enum attachment_kind kind, size_t attachment_row_idx);

/* The columns of attachments.def. */
struct spec_kind {
	const char *name;
	enum attachment_address address;
	const char *metavar;
	const char *help;
};

extern const struct spec_kind spec_kinds[ATTACHMENT_N_KINDS];

/* Zero and the kind of that name, or -ENOENT. */
int spec_find_kind(const char *name, size_t len, enum attachment_kind *ret_kind);

/* "a, b, c": all kinds; the words of a list; the words that a kind takes. */
void spec_list_kinds(char *buf, size_t cap);
void spec_list_rows(const struct option_row *rows, size_t n_rows, char *buf, size_t cap);
void spec_list_kind_rows(enum attachment_kind kind, char *buf, size_t cap);

/* Whether the address suits the kind; NULL: none was given. Zero or -EINVAL with a sentence. */
int spec_check_address(enum attachment_kind kind, const char *address, char *ret_why,
		       size_t why_cap);

enum { SPEC_HOST_MAX = 256 };

/*
 * [HOST:]PORT, PORT a sum of numbers, an IPv6 HOST in brackets. ret_host
 * (SPEC_HOST_MAX bytes, without brackets) is "" when there is none. Port 0
 * is allowed: any free one.
 */
int spec_parse_tcp(const char *address, char *ret_host, unsigned int *ret_port, char *ret_why,
		   size_t why_cap);

#endif
