/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec-words.h"
#include "daemon/spec.h"

const struct option_row spec_port_rows[] = {
#define OPT(field, word, type, meta, def, limits, text)                                            \
	OPTION_ROW(struct port_words, field, 0, word, type, meta, def, text, limits),
#include "daemon/port-options.def"
#undef OPT
};
const size_t spec_n_port_rows = ARRAY_SIZE(spec_port_rows);

const struct option_row spec_device_rows[] = {
#define OPT(field, word, type, meta, def, limits, text)                                            \
	OPTION_ROW(struct device_words, field, 0, word, type, meta, def, text, limits),
#include "daemon/device-options.def"
#undef OPT
};
const size_t spec_n_device_rows = ARRAY_SIZE(spec_device_rows);

const struct option_row spec_attachment_rows[] = {
#define OPT(field, word, type, meta, def, limits, kinds, text)                                     \
	OPTION_ROW(struct attachment_options, field, 0, word, type, meta, def, text, limits),
#include "backends/attachment-options.def"
#undef OPT
};
const size_t spec_n_attachment_rows = ARRAY_SIZE(spec_attachment_rows);

static const char *const takers[] = {
#define OPT(field, word, type, meta, def, limits, kinds, text) kinds,
#include "backends/attachment-options.def"
#undef OPT
};

const struct spec_kind spec_kinds[ATTACHMENT_N_KINDS] = {
#define ATTACHMENT(ident, kind, addr, meta, text)                                                  \
	[ATTACHMENT_##ident] = {                                                                   \
		.name = (kind),                                                                    \
		.address = ATTACHMENT_ADDRESS_##addr,                                              \
		.metavar = (meta),                                                                 \
		.help = (text),                                                                    \
	},
#include "backends/attachments.def"
#undef ATTACHMENT
};

enum { INDEX_DIGITS = 10 };

int spec_expand(const char *text, unsigned int device_idx, char **ret_raw, char *ret_why,
		size_t why_cap)
{
	size_t n_percent = 0;
	char *raw, *out;

	for (const char *c = text; *c; c++)
		n_percent += *c == '%';
	raw = malloc(strlen(text) + n_percent * INDEX_DIGITS + 1);
	if (!raw) {
		snprintf(ret_why, why_cap, "no memory");
		return -ENOMEM;
	}
	out = raw;
	for (const char *c = text; *c; c++) {
		if (*c != '%') {
			*out++ = *c;
			continue;
		}
		c++;
		if (*c == 'i') {
			out += sprintf(out, "%u", device_idx);
			continue;
		}
		if (*c != '%') {
			snprintf(ret_why, why_cap,
				 "'%%' is followed by %s; allowed are %%i (the device's index) and "
				 "%%%%",
				 *c ? "something else" : "nothing");
			free(raw);
			return -EINVAL;
		}
		*out++ = '%';
		*out++ = '%';
	}
	*out = '\0';
	*ret_raw = raw;
	return 0;
}

/* Where the word at text ends: at a comma that is not doubled, or at the end. */
static const char *word_end(const char *text)
{
	const char *c = text;

	while (*c && (*c != ',' || c[1] == ','))
		c += *c == ',' ? 2 : 1;
	return c;
}

/* Doubled commas and percent signs become single ones. Returns the end. */
static char *copy_plain(char *out, const char *raw, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*out++ = raw[i];
		if (i + 1 < len && (raw[i] == ',' || raw[i] == '%') && raw[i + 1] == raw[i])
			i++;
	}
	return out;
}

int spec_next_word(struct spec_words *w, char *ret_why, size_t why_cap)
{
	const char *end;
	char *out;

	if (!w->rest)
		return 0;
	end = word_end(w->rest);
	w->raw = w->rest;
	w->raw_len = (size_t)(end - w->raw);
	w->rest = *end ? end + 1 : NULL;
	if (w->raw_len == 0) {
		snprintf(ret_why, why_cap,
			 "there is an empty word; words are separated by one comma each");
		return -EINVAL;
	}
	out = copy_plain(w->plain, w->raw, w->raw_len);
	*out = '\0';
	w->word = w->plain;
	w->plain = out + 1;
	w->key_len = strcspn(w->word, "=:");
	return 1;
}

int spec_store_word(struct spec_fields *fields, const struct spec_words *w, char *ret_why,
		    size_t why_cap)
{
	const struct option_row *row =
		options_find(fields->rows, fields->n_rows, w->word, w->key_len);
	const struct option_value value = {
		.row = row,
		.dest = fields->dest,
		.text = w->word[w->key_len] == '=' ? w->word + w->key_len + 1 : NULL,
		.dashes = "",
	};
	uint64_t bit;

	bit = BIT(row - fields->rows);
	if (fields->given & bit) {
		snprintf(ret_why, why_cap, "%s is given twice", row->long_name);
		return -EINVAL;
	}
	fields->given |= bit;
	return option_store(&value, ret_why, why_cap);
}

const char *spec_takers(size_t attachment_row_idx)
{
	return takers[attachment_row_idx];
}

bool spec_kind_takes(enum attachment_kind kind, size_t attachment_row_idx)
{
	char word[32];

	snprintf(word, sizeof(word), " %s ", spec_kinds[kind].name);
	return strstr(takers[attachment_row_idx], word) != NULL;
}

int spec_find_kind(const char *name, size_t len, enum attachment_kind *ret_kind)
{
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		if (strlen(spec_kinds[i].name) == len &&
		    memcmp(spec_kinds[i].name, name, len) == 0) {
			*ret_kind = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* Adds name to a list in buf that has a NUL. */
static void list_add(char *buf, size_t cap, const char *name)
{
	size_t len = strlen(buf);

	snprintf(buf + len, cap - len, "%s%s", len > 0 ? ", " : "", name);
}

void spec_list_kinds(char *buf, size_t cap)
{
	buf[0] = '\0';
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++)
		list_add(buf, cap, spec_kinds[i].name);
}

void spec_list_rows(const struct option_row *rows, size_t n_rows, char *buf, size_t cap)
{
	buf[0] = '\0';
	for (size_t i = 0; i < n_rows; i++)
		list_add(buf, cap, rows[i].long_name);
}

void spec_list_kind_rows(enum attachment_kind kind, char *buf, size_t cap)
{
	buf[0] = '\0';
	for (size_t i = 0; i < spec_n_attachment_rows; i++) {
		if (spec_kind_takes(kind, i))
			list_add(buf, cap, spec_attachment_rows[i].long_name);
	}
	if (!buf[0])
		snprintf(buf, cap, "nothing");
}
