/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What can be asked of the repl itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "fdkind.h"
#include "trace/repl/repl-private.h"
#include "vhu/words.h"

/* Help. */

static void print_way(FILE *out, const char *verb, const char *words, const char *text)
{
	enum { COLUMN = 30 };
	int n = fprintf(out, "  %s%s%s", verb, *words ? " " : "", words);

	if (n >= COLUMN)
		fputc('\n', out);
	fprintf(out, "%*s%s\n", n >= COLUMN ? COLUMN : COLUMN - n, "", text);
}

static void help_all(FILE *out)
{
	const char *verb, *words, *text;

	fputs("A message by its name:\n", out);
	print_way(out, "NAME", "[FIELD=VALUE]... [fds=NAME,...]",
		  "is sent on the connection that connect or use chose last (0 at first),");
	print_way(out, "", "", "and its reply awaited; \"messages\" lists them");
	fputs("What is at hand for it, and what is done with it:\n", out);
	for (size_t i = 0; script_statement_at(i, &verb, &words, &text); i++)
		print_way(out, verb, words, text);
	fputs("And besides:\n", out);
	for (size_t i = 0; repl_verb_at(i, &verb, &words, &text); i++)
		print_way(out, verb, words, text);
}

static void print_field(const char *name, const struct vhu_field *f, void *arg)
{
	FILE *out = arg;

	if (strcmp(name, "nofd") == 0)
		fprintf(out, "  %-24s the no-fd bit\n", name);
	else if (strcmp(name, "ring") == 0)
		fprintf(out, "  %-24s number of the ring\n", "ring=N");
	else
		fprintf(out, "  %-24s %s\n", name, f->text);
}

static void print_shape(FILE *out, const char *title, const struct vhu_shape *shape)
{
	if (shape->n_fields == 0)
		return;
	fprintf(out, " %s\n", title);
	compose_each_name(shape, print_field, out);
}

static void help_message(FILE *out, const struct vhu_desc *desc)
{
	bool own = desc->replied.kind == VHU_REPLY_ALWAYS || desc->replied.kind == VHU_REPLY_IF;
	char buf[VHU_WORDS];

	fprintf(out, "%s (%" PRIu32 "): %s\n", desc->name, desc->id, desc->text);
	print_shape(out, "fields:", desc->request);
	fprintf(out, " descriptors: %s\n", vhu_words_fds(&desc->fds, buf));
	if (desc->gate.kind != VHU_GATE_NONE)
		fprintf(out, " needs: %s\n", vhu_words_gate(&desc->gate, buf));
	fprintf(out, " answered: %s\n", vhu_words_replied(&desc->replied, buf));
	print_shape(out, "fields of the reply:", own ? desc->reply : vhu_shape_ack());
	fprintf(out, " in the text: %s\n", desc->ref);
}

/* Whether the name is a verb's or a statement's. */
static bool help_verb(FILE *out, const char *name)
{
	const char *verb, *words, *text;
	bool found = false;

	for (size_t i = 0; !found && repl_verb_at(i, &verb, &words, &text); i++)
		found = strcmp(verb, name) == 0;
	for (size_t i = 0; !found && script_statement_at(i, &verb, &words, &text); i++)
		found = strcmp(verb, name) == 0;
	if (found)
		print_way(out, verb, words, text);
	return found;
}

/* Bits. */

const enum vhu_style repl_bit_styles[REPL_N_BIT_STYLES] = {
	VHU_STYLE_FEATURES,
	VHU_STYLE_PROTOCOL,
	VHU_STYLE_STATUS,
};

static const char *style_text(enum vhu_style style)
{
	return style == VHU_STYLE_FEATURES   ? "a feature (SET_FEATURES)"
	       : style == VHU_STYLE_PROTOCOL ? "a protocol feature (SET_PROTOCOL_FEATURES)"
					     : "a bit of the status (SET_STATUS)";
}

static bool opens(const struct vhu_gate *gate, enum vhu_style style, unsigned int bit)
{
	bool protocol = gate->kind == VHU_GATE_PROTOCOL || gate->kind == VHU_GATE_LAX;

	return gate->bit == bit && (style == VHU_STYLE_PROTOCOL	  ? protocol
				    : style == VHU_STYLE_FEATURES ? gate->kind == VHU_GATE_VIRTIO
								  : false);
}

static void help_bit(FILE *out, enum vhu_style style, unsigned int bit)
{
	bool protocol = style == VHU_STYLE_PROTOCOL;
	uint64_t needs = protocol ? vhu_protocol_feature_needs(bit) : 0;
	const struct vhu_desc *desc;

	fprintf(out, "%s (bit %u, 0x%" PRIx64 "): %s\n", vhu_field_bit_name(style, bit), bit,
		BIT(bit), style_text(style));
	if (protocol)
		fprintf(out, " with it %s\n", vhu_protocol_feature_text(bit));
	for (unsigned int other = 0; other < 64; other++)
		if (needs & BIT(other))
			fprintf(out, " needs: %s\n", vhu_protocol_feature_name(other));
	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++)
		if (opens(&desc->gate, style, bit))
			fprintf(out, " needed by: %s\n", desc->name);
}

/* Whether bits are called so; one in each mask may be. */
static bool help_bits(FILE *out, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < REPL_N_BIT_STYLES; i++)
		for (unsigned int bit = 0; bit < 64; bit++) {
			const char *known = vhu_field_bit_name(repl_bit_styles[i], bit);

			if (!known || strcasecmp(known, name) != 0)
				continue;
			help_bit(out, repl_bit_styles[i], bit);
			found = true;
		}
	return found;
}

int repl_help(struct repl *r, const struct repl_line *line)
{
	const char *name = line->n_words > 1 ? line->words[1] : NULL;
	const struct vhu_desc *desc = name ? compose_find(VHU_FE, name) : NULL;

	if (name && !desc)
		desc = compose_find(VHU_BE, name);
	if (!name)
		help_all(r->options->out);
	else if (desc)
		help_message(r->options->out, desc);
	else if (!help_verb(r->options->out, name) && !help_bits(r->options->out, name))
		return repl_fail(r, -EINVAL, "there is no help about %s", name);
	return 0;
}

int repl_messages(struct repl *r, const struct repl_line *line)
{
	const struct vhu_desc *desc;

	(void)line;
	for (size_t i = 0; (desc = vhu_desc_at(i)) != NULL; i++)
		fprintf(r->options->out, "  %2" PRIu32 " %-32s %s\n", desc->id, desc->name,
			desc->text);
	return 0;
}

/* What there is. */

static void show_mask(FILE *out, const char *title, uint64_t mask, enum vhu_style style)
{
	fprintf(out, "%s:", title);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_field_bit_name(style, bit);

		if (!(mask & BIT(bit)))
			continue;
		if (name)
			fprintf(out, " %s", name);
		else
			fprintf(out, " bit%u", bit);
	}
	fputs(mask ? "\n" : " none\n", out);
}

static void show_ring(FILE *out, unsigned int i, const struct vhu_nego_ring *ring)
{
	if (!ring->num_set && !ring->addr_set && !ring->base_set && !ring->kick_set &&
	    !ring->call_set && !ring->enabled)
		return;
	fprintf(out, "ring %u:", i);
	if (ring->num_set)
		fprintf(out, " %u entries", ring->num);
	fprintf(out, "%s%s%s%s%s\n", ring->addr_set ? " addresses" : "",
		ring->base_set ? " base" : "", ring->call_set ? " call" : "",
		ring->kick_set ? " started" : "", ring->enabled ? " enabled" : "");
}

static void show_things(struct repl *r)
{
	for (size_t i = 0; i < r->player.n_things; i++) {
		const struct thing *t = &r->player.things[i];
		struct fd_about about;
		char text[160] = "closed";

		if (fd_describe(t->fd >= 0 ? t->fd : t->other, &about))
			fd_about_text(text, sizeof(text), &about);
		fprintf(r->options->out, "%s: %s\n", t->name, text);
	}
}

int repl_show(struct repl *r, const struct repl_line *line)
{
	const struct vhu_nego *n = &r->talk->nego;
	FILE *out = r->options->out;

	(void)line;
	fprintf(out, "connection %u%s%s\n", r->conn, repl_conn(r)->fd < 0 ? ", closed" : "",
		n->owner ? ", owned" : "");
	show_mask(out, "features offered", n->offered_features, VHU_STYLE_FEATURES);
	show_mask(out, "features accepted", n->features, VHU_STYLE_FEATURES);
	show_mask(out, "protocol features offered", n->offered_protocol, VHU_STYLE_PROTOCOL);
	show_mask(out, "protocol features accepted", n->protocol, VHU_STYLE_PROTOCOL);
	for (unsigned int i = 0; i < VHU_MAX_RINGS; i++)
		show_ring(out, i, &n->ring[i]);
	show_things(r);
	return 0;
}

/* Memory. */

enum { MAX_READ = 65536 };

static void print_row(FILE *out, uint64_t at, const uint8_t *bytes, size_t n)
{
	fprintf(out, "    %08" PRIx64 " ", at);
	encode_hex(out, bytes, n);
	fputs("  ", out);
	encode_ascii(out, bytes, n);
	fputc('\n', out);
}

int repl_read(struct repl *r, const struct repl_line *line)
{
	const char *name = line->words[1];
	int fd = player_memory_fd(&r->player, name);
	uint64_t at = 0, len = 0;
	uint8_t row[ENCODE_ROW];
	int err = fd < 0 ? -EINVAL : player_number(&r->player, line->words[2], &at);

	if (err == 0)
		err = player_number(&r->player, line->words[3], &len);
	if (err < 0)
		return err;
	if (len > MAX_READ || at > INT64_MAX - MAX_READ)
		return repl_fail(r, -EINVAL, "at most %d bytes are read", MAX_READ);
	for (uint64_t end = at + len; at < end; at += ENCODE_ROW) {
		size_t n = (size_t)min_u64(ENCODE_ROW, end - at);

		if (pread(fd, row, n, (off_t)at) != (ssize_t)n)
			return repl_fail(r, -EINVAL, "%s ends before 0x%" PRIx64, name, end);
		print_row(r->options->out, at, row, n);
	}
	return 0;
}

int repl_break_rules(struct repl *r, const struct repl_line *line)
{
	bool on = strcmp(line->words[1], "on") == 0;

	if (!on && strcmp(line->words[1], "off") != 0)
		return repl_fail(r, -EINVAL, "expected on or off, not %s", line->words[1]);
	r->breaks_rules = on;
	return 0;
}

int repl_end(struct repl *r, const struct repl_line *line)
{
	(void)line;
	r->quit = true;
	return 0;
}
