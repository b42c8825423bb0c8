/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/reach.h"
#include "backends/telnet.h"
#include "backends/tls.h"
#include "daemon/spec-words.h"
#include "daemon/spec.h"
#include "virtio/console.h"

/* Order of the words of overflow= and of a device's resize-order=. */
enum { OVERFLOW_AUTO, OVERFLOW_DROP, OVERFLOW_HOLD };

enum { LIST_MAX = 192 }; /* of names in a message */

/* What is being read, and where to complain. */
struct reader {
	const struct spec_defaults *defaults;
	char *why;
	size_t why_cap;
};

PRINTF_LIKE(2, 3)
static int fail(const struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, r->why_cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Returns err. What is quoted may be anything, but a message is one line. */
static int refuse(const struct reader *r, int err)
{
	if (r->why_cap > 0)
		option_make_one_line(r->why);
	return err;
}

static int fail_memory(const struct reader *r)
{
	fail(r, "no memory");
	return -ENOMEM;
}

/* Memory for the plain words of a raw text, and extra bytes behind them. */
static int words_begin(const struct reader *r, const char *raw, size_t extra,
		       struct spec_words *ret_w)
{
	char *plain = malloc(strlen(raw) + 2 + extra);

	if (!plain)
		return fail_memory(r);
	*ret_w = (struct spec_words){ .rest = raw, .plain = plain };
	return 0;
}

/* Attachments. */

static int refuse_taker(const struct reader *r, const struct spec_words *w,
			enum attachment_kind kind)
{
	char list[LIST_MAX];

	spec_list_kind_rows(kind, list, sizeof(list));
	return fail(r, "'%s' does not go with %s, which takes %s", w->word, spec_kinds[kind].name,
		    list);
}

static int take_kind(const struct reader *r, const struct spec_words *w,
		     struct attachment_options *o)
{
	const char *address = w->word[w->key_len] == ':' ? w->word + w->key_len + 1 : NULL;
	char list[LIST_MAX];

	if (w->word[w->key_len] == '=' || spec_find_kind(w->word, w->key_len, &o->kind) < 0) {
		spec_list_kinds(list, sizeof(list));
		return fail(r, "'%.*s' is no attachment; those are %s", (int)w->key_len, w->word,
			    list);
	}
	o->address = address;
	if (o->kind == ATTACHMENT_telnet_server && !telnet_available())
		return fail(r, "telnet needs libtelnet, which this build is without");
	return spec_check_address(o->kind, address, r->why, r->why_cap);
}

static int take_attachment_word(const struct reader *r, const struct spec_words *w,
				struct spec_fields *fields, enum attachment_kind kind)
{
	const struct option_row *row =
		options_find(fields->rows, fields->n_rows, w->word, w->key_len);

	if (!row || !spec_kind_takes(kind, (size_t)(row - fields->rows)))
		return refuse_taker(r, w, kind);
	return spec_store_word(fields, w, r->why, r->why_cap);
}

static int check_attachment(const struct reader *r, struct attachment_options *o)
{
	if (o->ro && o->steal)
		return fail(r, "ro and steal exclude each other");
	if (o->reconnect_max < o->reconnect)
		return fail(r, "reconnect-max=%llu is less than reconnect=%llu",
			    (unsigned long long)o->reconnect_max, (unsigned long long)o->reconnect);
	if (tls_check(o, r->why, r->why_cap) < 0 || reach_check_words(o, r->why, r->why_cap) < 0)
		return -EINVAL;
	return peer_rules_parse(o->allow_uid, o->allow_gid, &o->allow, r->why, r->why_cap);
}

static int read_attachment(const struct reader *r, struct spec_words *w,
			   struct attachment_options *o)
{
	struct spec_fields fields = { .rows = spec_attachment_rows,
				      .n_rows = spec_n_attachment_rows,
				      .dest = o };
	int n;

	options_set_defaults(fields.rows, fields.n_rows, o);
	n = spec_next_word(w, r->why, r->why_cap);
	if (n == 1)
		n = take_kind(r, w, o);
	while (n >= 0) {
		n = spec_next_word(w, r->why, r->why_cap);
		if (n <= 0)
			break;
		n = take_attachment_word(r, w, &fields, o->kind);
	}
	if (n == 0)
		n = check_attachment(r, o);
	return n;
}

/* raw is what has been expanded. The key sequence by default is copied: defaults end before us. */
static int attachment_from_raw(const struct reader *r, const char *raw,
			       struct attachment_spec **ret_spec)
{
	const char *escape = r->defaults->escape;
	struct attachment_spec *spec = calloc(1, sizeof(*spec));
	struct spec_words w;
	int err;

	if (!spec)
		return fail_memory(r);
	list_init(&spec->link);
	spec->text = strdup(raw);
	err = spec->text ? words_begin(r, raw, escape ? strlen(escape) + 1 : 0, &w)
			 : fail_memory(r);
	if (err == 0) {
		spec->words = w.plain;
		err = read_attachment(r, &w, &spec->options);
	}
	if (err < 0) {
		attachment_spec_free(spec);
		return err;
	}
	if (spec->options.kind == ATTACHMENT_terminal && !spec->options.escape && escape)
		spec->options.escape = memcpy(w.plain, escape, strlen(escape) + 1);
	*ret_spec = spec;
	return 0;
}

int attachment_spec_parse(const char *text, const struct spec_defaults *defaults,
			  struct attachment_spec **ret_spec, char *ret_why, size_t why_cap)
{
	const struct reader r = { .defaults = defaults, .why = ret_why, .why_cap = why_cap };
	char *raw;
	int err;

	err = spec_expand(text, defaults->device_idx, &raw, ret_why, why_cap);
	if (err < 0)
		return err;
	err = attachment_from_raw(&r, raw, ret_spec);
	free(raw);
	return err < 0 ? refuse(&r, err) : 0;
}

/* Ports. */

/* A port while its words are read. */
struct port_reader {
	struct reader r;
	struct port_spec *spec;
	struct port_words words;
	struct spec_fields fields;
	struct spec_words w;
	char *attachment; /* raw words of the attachment that is read, NUL: none */
	enum attachment_kind kind;
	bool first;
};

/* The attachment that was read so far is complete. */
static int end_attachment(struct port_reader *p)
{
	struct attachment_spec *a;
	int err;

	if (!p->attachment[0])
		return 0;
	err = attachment_from_raw(&p->r, p->attachment, &a);
	p->attachment[0] = '\0';
	if (err == 0)
		list_append(&p->spec->attachments, &a->link);
	return err;
}

static void add_to_attachment(struct port_reader *p)
{
	size_t len = strlen(p->attachment);

	snprintf(p->attachment + len, p->w.raw_len + 2, "%s%.*s", len > 0 ? "," : "",
		 (int)p->w.raw_len, p->w.raw);
}

static int begin_attachment(struct port_reader *p, enum attachment_kind kind)
{
	int err = end_attachment(p);

	p->kind = kind;
	if (err == 0)
		add_to_attachment(p);
	return err;
}

static int take_number(struct port_reader *p)
{
	uint64_t number;

	if (!p->first)
		return fail(&p->r, "'%s' is a number, but numbers of ports stand first", p->w.word);
	if (!option_parse_number(p->w.word, &number) || number >= CONSOLE_MAX_PORTS)
		return fail(&p->r, "'%s' is not the number of a port, from 0 to %d", p->w.word,
			    CONSOLE_MAX_PORTS - 1);
	p->spec->number = (int)number;
	return 0;
}

static int refuse_word(const struct port_reader *p)
{
	char words[LIST_MAX], kinds[LIST_MAX];
	enum attachment_kind kind;

	if (spec_find_kind(p->w.word, p->w.key_len, &kind) == 0)
		return fail(&p->r, "'%s' is written %s:ADDRESS, with a colon", p->w.word,
			    spec_kinds[kind].name);
	spec_list_rows(spec_port_rows, spec_n_port_rows, words, sizeof(words));
	spec_list_kinds(kinds, sizeof(kinds));
	return fail(&p->r, "'%.*s' is not known; a port has %s, and its attachments are %s",
		    (int)p->w.key_len, p->w.word, words, kinds);
}

static int take_port_word(struct port_reader *p)
{
	const char *word = p->w.word;
	size_t len = p->w.key_len;
	enum attachment_kind kind;

	if (word[strspn(word, "0123456789")] == '\0')
		return take_number(p);
	if (word[len] != '=' && spec_find_kind(word, len, &kind) == 0)
		return begin_attachment(p, kind);
	if (word[len] == ':')
		return refuse_word(p);
	if (options_find(spec_port_rows, spec_n_port_rows, word, len))
		return spec_store_word(&p->fields, &p->w, p->r.why, p->r.why_cap);
	if (!options_find(spec_attachment_rows, spec_n_attachment_rows, word, len))
		return refuse_word(p);
	if (!p->attachment[0])
		return fail(&p->r, "'%s' belongs after an attachment, as in unix:/run/x,%s", word,
			    word);
	add_to_attachment(p);
	return 0;
}

static int resolve_port(struct port_reader *p)
{
	struct port_spec *spec = p->spec;

	spec->console = p->words.console;
	spec->name = p->words.name ? p->words.name : "";
	if (p->words.name && !port_name_valid(p->words.name))
		return fail(&p->r, "name: '%s' is not UTF-8 without slashes and control characters",
			    p->words.name);
	spec->overflow = p->words.overflow == OVERFLOW_HOLD ||
					 (p->words.overflow == OVERFLOW_AUTO && !spec->console)
				 ? PORT_HOLD
				 : PORT_DROP;
	spec->history = p->words.history ? p->words.history : p->r.defaults->history;
	return 0;
}

static int read_port(struct port_reader *p)
{
	int n;

	p->first = true;
	do {
		n = spec_next_word(&p->w, p->r.why, p->r.why_cap);
		if (n == 1)
			n = take_port_word(p) < 0 ? -EINVAL : 1;
		p->first = false;
	} while (n == 1);
	if (n == 0)
		n = end_attachment(p);
	return n < 0 ? n : resolve_port(p);
}

static void port_begin(struct port_reader *p)
{
	p->fields = (struct spec_fields){ .rows = spec_port_rows,
					  .n_rows = spec_n_port_rows,
					  .dest = &p->words };
	options_set_defaults(p->fields.rows, p->fields.n_rows, &p->words);
	p->spec->number = SPEC_NUMBER_ANY;
	list_init(&p->spec->link);
	list_init(&p->spec->attachments);
}

int port_spec_parse(const char *text, const struct spec_defaults *defaults,
		    struct port_spec **ret_spec, char *ret_why, size_t why_cap)
{
	struct port_reader p = {
		.r = { .defaults = defaults, .why = ret_why, .why_cap = why_cap }
	};
	int err;

	p.spec = calloc(1, sizeof(*p.spec));
	if (!p.spec)
		return fail_memory(&p.r);
	port_begin(&p);
	err = spec_expand(text, defaults->device_idx, &p.spec->text, ret_why, why_cap);
	if (err == 0)
		err = words_begin(&p.r, p.spec->text, 0, &p.w);
	if (err == 0) {
		p.spec->words = p.w.plain;
		p.attachment = calloc(1, strlen(p.spec->text) + 2);
		err = p.attachment ? read_port(&p) : fail_memory(&p.r);
		free(p.attachment);
	}
	if (err < 0) {
		port_spec_free(p.spec);
		return refuse(&p.r, err);
	}
	*ret_spec = p.spec;
	return 0;
}
