/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Devices as they are written down, names, and the end of all specs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec-words.h"
#include "daemon/spec.h"

enum { AUTO_NAME_MAX = 24 };

/*
 * Length of the UTF-8 character at c, 0 when it is none: overlong forms,
 * surrogates and what is above U+10FFFF are none.
 */
static size_t utf8_len(const unsigned char *c)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t min;
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 0; n < ARRAY_SIZE(forms); n++) {
		uint32_t code = c[0] & (unsigned char)~forms[n].mask;

		if ((c[0] & forms[n].mask) != forms[n].lead)
			continue;
		for (size_t i = 1; i <= n; i++) {
			if ((c[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (c[i] & 0x3fU);
		}
		if (code < forms[n].min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return 0;
		return n + 1;
	}
	return 0;
}

/* C0, DEL and C1, the last ones as UTF-8. */
static bool is_control(const unsigned char *c)
{
	return *c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0);
}

/* Names become links in a folder, so those of folders are refused too. */
bool port_name_valid(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t len;

	if (!*text || strlen(text) > PORT_NAME_MAX || strcmp(text, ".") == 0 ||
	    strcmp(text, "..") == 0)
		return false;
	for (; *c; c += len) {
		len = utf8_len(c);
		if (len == 0 || *c == '/' || is_control(c))
			return false;
	}
	return true;
}

/* Names of devices are parts of addresses such as console0/1, and of log lines. */
static bool device_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[strspn(name, allowed)] == '\0' && name[strspn(name, "0123456789")] != '\0';
}

static int fail(char *ret_why, size_t why_cap, const char *text)
{
	snprintf(ret_why, why_cap, "%s", text);
	return -EINVAL;
}

static int check_device(struct device_spec *spec, char *ret_why, size_t why_cap)
{
	const struct device_words *o = &spec->options;
	char text[160];

	if (!o->socket == !o->fd)
		return fail(ret_why, why_cap,
			    "a device has either socket=PATH or fd=N|NAME, where its front-end is");
	if (o->fd && (o->mode.set || o->owner || o->group))
		return fail(ret_why, why_cap, "mode, owner and group do not go with fd");
	if (o->name && !device_name_valid(o->name)) {
		snprintf(text, sizeof(text),
			 "name: '%s' is not made of letters, digits, '.', '_' and '-', of which "
			 "one at least is no digit",
			 o->name);
		return fail(ret_why, why_cap, text);
	}
	return peer_rules_parse(o->allow_uid, o->allow_gid, &spec->allow, ret_why, why_cap);
}

static int take_word(struct spec_fields *fields, const struct spec_words *w, char *ret_why,
		     size_t why_cap)
{
	char list[200], text[360];

	if (w->word[w->key_len] != ':' &&
	    options_find(fields->rows, fields->n_rows, w->word, w->key_len))
		return spec_store_word(fields, w, ret_why, why_cap);
	spec_list_rows(fields->rows, fields->n_rows, list, sizeof(list));
	snprintf(text, sizeof(text), "'%.80s' is not known; a device has %s", w->word, list);
	return fail(ret_why, why_cap, text);
}

/* raw's words, and the name that the device has when it is given none. */
static int read_device(struct device_spec *spec, const char *raw, char *ret_why, size_t why_cap)
{
	struct spec_words w = { .rest = raw, .plain = spec->words };
	struct spec_fields fields = { .rows = spec_device_rows,
				      .n_rows = spec_n_device_rows,
				      .dest = &spec->options };
	int n;

	do {
		n = spec_next_word(&w, ret_why, why_cap);
		if (n == 1)
			n = take_word(&fields, &w, ret_why, why_cap) < 0 ? -EINVAL : 1;
	} while (n == 1);
	return n < 0 ? n : check_device(spec, ret_why, why_cap);
}

static struct device_spec *device_new(unsigned int device_idx, size_t words_cap)
{
	struct device_spec *spec = calloc(1, sizeof(*spec));

	if (!spec)
		return NULL;
	list_init(&spec->link);
	list_init(&spec->ports);
	options_set_defaults(spec_device_rows, spec_n_device_rows, &spec->options);
	spec->words = malloc(words_cap + AUTO_NAME_MAX);
	if (!spec->words) {
		free(spec);
		return NULL;
	}
	/* At the end, where the words do not reach. */
	snprintf(spec->words + words_cap, AUTO_NAME_MAX, "console%u", device_idx);
	return spec;
}

int device_spec_parse(const char *text, const struct spec_defaults *defaults,
		      struct device_spec **ret_spec, char *ret_why, size_t why_cap)
{
	struct device_spec *spec;
	size_t words_cap;
	char *raw;
	int err;

	err = spec_expand(text, defaults->device_idx, &raw, ret_why, why_cap);
	if (err < 0)
		return err;
	words_cap = strlen(raw) + 2;
	spec = device_new(defaults->device_idx, words_cap);
	err = spec ? read_device(spec, raw, ret_why, why_cap) : -ENOMEM;
	free(raw);
	if (err < 0) {
		if (err == -ENOMEM)
			fail(ret_why, why_cap, "no memory");
		if (why_cap > 0)
			option_make_one_line(ret_why);
		device_spec_free(spec);
		return err;
	}
	if (!spec->options.name)
		spec->options.name = spec->words + words_cap;
	*ret_spec = spec;
	return 0;
}

int device_spec_new(unsigned int device_idx, const char *socket, const char *fd,
		    struct device_spec **ret_spec)
{
	const char *where = socket ? socket : fd;
	size_t words_cap = strlen(where) + 1;
	struct device_spec *spec = device_new(device_idx, words_cap);

	if (!spec)
		return -ENOMEM;
	memcpy(spec->words, where, words_cap);
	*(socket ? &spec->options.socket : &spec->options.fd) = spec->words;
	spec->options.name = spec->words + words_cap;
	*ret_spec = spec;
	return 0;
}

void attachment_spec_free(struct attachment_spec *spec)
{
	if (!spec)
		return;
	list_remove(&spec->link);
	free(spec->text);
	free(spec->words);
	free(spec);
}

void port_spec_free(struct port_spec *spec)
{
	struct list_node *node, *tmp;

	if (!spec)
		return;
	list_remove(&spec->link);
	list_for_each (node, tmp, &spec->attachments)
		attachment_spec_free(list_entry(node, struct attachment_spec, link));
	free(spec->text);
	free(spec->words);
	free(spec);
}

void device_spec_free(struct device_spec *spec)
{
	struct list_node *node, *tmp;

	if (!spec)
		return;
	list_remove(&spec->link);
	list_for_each (node, tmp, &spec->ports)
		port_spec_free(list_entry(node, struct port_spec, link));
	free(spec->words);
	free(spec);
}
