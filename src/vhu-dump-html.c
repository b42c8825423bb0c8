/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The protocol as one page of HTML that needs nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "encode.h"
#include "vhu-dump.h"
#include "vhu/codec.h"
#include "vhu/fields.h"

static const char page_begin[] =
	"<!DOCTYPE html>\n<!-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause -->\n"
	"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<title>vhost-user, message by message</title>\n<style>\n"
	":root { color-scheme: light dark; --line: #8886; --soft: #8882; --link: #0a58ca }\n"
	"@media (prefers-color-scheme: dark) { :root { --link: #7ab4ff } }\n"
	"body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; "
	"padding: 0 1rem }\n"
	"code, td.n, h3 { font-family: ui-monospace, monospace }\n"
	"h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }\n"
	"h3 { margin: 2.5rem 0 0.5rem; font-size: 1.1rem }\n"
	"h3 .id { color: #888; display: inline-block; min-width: 2.5em }\n"
	"a { color: var(--link); text-decoration: none }\na:hover { text-decoration: underline }\n"
	"section:target h3, tr:target { background: #fd06 }\n"
	"table { border-collapse: collapse; margin: 0.5rem 0 1rem; width: 100% }\n"
	"caption { text-align: left; font-weight: 600; padding: 0.3rem 0 }\n"
	"th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.7rem 0.2rem 0.3rem; "
	"border-bottom: 1px solid var(--line) }\nth { background: var(--soft) }\n"
	"td.n { white-space: nowrap }\n"
	"dl { display: grid; grid-template-columns: 17rem 1fr; gap: 0 1rem; margin: 0.5rem 0 "
	"}\n"
	"dt { color: #888 }\ndd { margin: 0 }\n"
	"nav { columns: 3 16rem; font-size: 0.9rem }\nnav a { display: block }\n"
	"</style>\n</head>\n<body>\n<h1>vhost-user, message by message</h1>\n"
	"<p>Made by <code>vhu-dump html</code> from the lists in <code>src/vhu</code>, from which "
	"the programs are made, too. Numbers are in the byte order of the machine. Clauses like "
	"VU-001 are the numbered requirements that <code>vhu-conform --explain</code> "
	"prints.</p>\n";

/* Foreign to HTML: whatever comes from the lists. */
static void put(const char *text)
{
	encode_xml(stdout, text);
}

static void put_sentence(const char *text)
{
	char first[2] = { text[0], '\0' };

	if (first[0] >= 'a' && first[0] <= 'z')
		first[0] = (char)(first[0] - 'a' + 'A');
	put(first);
	put(first[0] != '\0' ? text + 1 : "");
	fputs(".", stdout);
}

/* A link to what has this name as its anchor, after a prefix. */
static void put_link(const char *before, const char *name)
{
	printf("<a href=\"#%s", before);
	put(name);
	fputs("\">", stdout);
	put(name);
	fputs("</a>", stdout);
}

static void contents(const char *title, enum vhu_dir dir)
{
	const struct vhu_desc *d;

	printf("<h2>%s</h2>\n<nav>\n", title);
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++) {
		if (d->dir != dir)
			continue;
		put_link("", d->name);
		fputc('\n', stdout);
	}
	fputs("</nav>\n", stdout);
}

/* Tables of fields. */

static void table_begin(const char *caption)
{
	printf("<table>\n<caption>%s</caption>\n"
	       "<tr><th>Where</th><th>Name</th><th>Meaning</th></tr>\n",
	       caption);
}

static void table_row(const char *where, const char *before, const char *name, const char *text)
{
	printf("<tr><td class=\"n\">%s</td><td class=\"n\">%s", where, before);
	put(name);
	fputs("</td><td>", stdout);
	put_sentence(text);
	fputs("</td></tr>\n", stdout);
}

static void header_row(const struct vhu_field_view *f, void *arg)
{
	char where[DUMP_WORDS];

	(void)arg;
	snprintf(where, sizeof(where), "Bytes %zu to %zu", f->at, f->at + f->len - 1);
	table_row(where, "", f->name, f->text);
}

static void header_section(void)
{
	static struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	fputs("<h2 id=\"header\">Every message begins like this</h2>\n", stdout);
	table_begin("Header, 12 bytes");
	vhu_fields_each(&msg, header_row, NULL);
	printf("</table>\n<p>The payload follows, at most %d bytes; its bytes are counted from its "
	       "own first one below. Descriptors come along with the first byte of the "
	       "header.</p>\n",
	       VHU_MAX_PAYLOAD);
}

/* Fields of a shape that begins at byte base; of several alike the first. */
static void shape_rows(const struct vhu_shape *shape, const char *before, uint16_t base)
{
	char where[DUMP_WORDS], name[VHU_FIELD_NAME];

	for (size_t i = 0; i < shape->n_fields; i++) {
		struct vhu_field f = shape->fields[i];

		f.offset = (uint16_t)(f.offset + base);
		table_row(dump_words_bytes(&f, where), before, f.name, f.text);
		if (!f.inner)
			continue;
		snprintf(name, sizeof(name), "%s%s.", f.name, f.n > 1 ? "[0]" : "");
		shape_rows(f.inner, name, f.offset);
	}
}

static void shape_table(const char *what, const struct vhu_shape *shape)
{
	char caption[128];

	if (shape->min_len < shape->max_len)
		snprintf(caption, sizeof(caption), "%s, %" PRIu32 " to %" PRIu32 " bytes", what,
			 shape->min_len, shape->max_len);
	else
		snprintf(caption, sizeof(caption), "%s, %" PRIu32 " bytes", what, shape->max_len);
	table_begin(caption);
	shape_rows(shape, "", 0);
	fputs("</table>\n", stdout);
}

/* Messages. */

static void item(const char *title, const char *text)
{
	printf("<dt>%s</dt><dd>", title);
	put(text);
	fputs("</dd>\n", stdout);
}

/* A protocol feature has a place of its own on the page. */
static void gate_item(const struct vhu_gate *gate)
{
	char buf[DUMP_WORDS];

	if (gate->kind == VHU_GATE_NONE)
		return;
	if (gate->kind != VHU_GATE_PROTOCOL) {
		item("Needs", vhu_words_gate(gate, buf));
		return;
	}
	fputs("<dt>Needs</dt><dd>", stdout);
	put_link("feature-", vhu_protocol_feature_name(gate->bit));
	fputs("</dd>\n", stdout);
}

static void reply_items(const struct vhu_desc *d)
{
	char buf[DUMP_WORDS];

	item("Answered", vhu_words_replied(&d->replied, buf));
	if (d->replied.kind == VHU_REPLY_ACK || d->replied.kind == VHU_REPLY_ASKED) {
		fputs("<dt>Reply</dt><dd><a href=\"#acknowledgement\">acknowledgement</a></dd>\n",
		      stdout);
		return;
	}
	item("Reply", d->reply->max_len > 0 ? d->reply->name : "without payload");
	item("Descriptors in the reply", vhu_words_fds(&d->reply_fds, buf));
}

static void message_section(const struct vhu_desc *d)
{
	char buf[DUMP_WORDS];
	bool own = d->replied.kind == VHU_REPLY_ALWAYS || d->replied.kind == VHU_REPLY_IF;

	printf("<section id=\"%s\">\n<h3><span class=\"id\">%" PRIu32 "</span> %s</h3>\n<p>",
	       d->name, d->id, d->name);
	put_sentence(d->text);
	fputs("</p>\n<dl>\n", stdout);
	item("Sent by", d->dir == VHU_FE ? "the front-end" : "the back-end, on its channel");
	gate_item(&d->gate);
	item("Payload", d->request->max_len > 0 ? d->request->name : "none");
	item("Descriptors", vhu_words_fds(&d->fds, buf));
	reply_items(d);
	if (d->quiesce != VHU_QUIESCE_NONE)
		item("Rings that are silent before it acts", vhu_words_quiesce(d->quiesce));
	item("In the specification", d->ref);
	fputs("</dl>\n", stdout);
	if (d->request->max_len > 0)
		shape_table("Payload of the request", d->request);
	if (own && d->reply->max_len > 0)
		shape_table("Payload of the reply", d->reply);
	fputs("</section>\n", stdout);
}

static void messages(const char *title, enum vhu_dir dir)
{
	const struct vhu_desc *d;

	printf("<h2>%s</h2>\n", title);
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++)
		if (d->dir == dir)
			message_section(d);
}

static void acknowledgement_section(void)
{
	printf("<section id=\"acknowledgement\">\n<h3>Acknowledgement</h3>\n<p>Once REPLY_ACK is "
	       "negotiated, a request that has no reply of its own is answered with this if bit 3 "
	       "of "
	       "its flags asks for it.</p>\n");
	shape_table("Payload of the reply", vhu_shape_ack());
	fputs("</section>\n", stdout);
}

/* Features. */

static void unlocked_by(unsigned int bit)
{
	const struct vhu_desc *d;
	const char *comma = " Unlocks ";

	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++) {
		if (d->gate.kind != VHU_GATE_PROTOCOL || d->gate.bit != bit)
			continue;
		fputs(comma, stdout);
		put_link("", d->name);
		comma = ", ";
	}
	if (comma[0] == ',')
		fputs(".", stdout);
}

static void needed_by(unsigned int bit)
{
	const char *comma = " Needs ";

	for (unsigned int other = 0; other < 64; other++) {
		if (!(vhu_protocol_feature_needs(bit) & BIT(other)))
			continue;
		fputs(comma, stdout);
		put_link("feature-", vhu_protocol_feature_name(other));
		comma = ", ";
	}
	if (comma[0] == ',')
		fputs(".", stdout);
}

static void protocol_features(void)
{
	fputs("<h2 id=\"protocol-features\">Protocol features</h2>\n<table>\n"
	      "<tr><th>Bit</th><th>Name</th><th>With it</th></tr>\n",
	      stdout);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_protocol_feature_name(bit);

		if (!name)
			continue;
		printf("<tr id=\"feature-%s\"><td class=\"n\">%u</td><td class=\"n\">%s</td><td>",
		       name, bit, name);
		put_sentence(vhu_protocol_feature_text(bit));
		needed_by(bit);
		unlocked_by(bit);
		fputs("</td></tr>\n", stdout);
	}
	fputs("</table>\n", stdout);
}

static void device_features(unsigned int bit)
{
	static const struct {
		const char *device, *name;
		unsigned int bit;
	} rows[] = {
#define DEVICE_FEATURE(device, NAME, bit) { #device, #NAME, bit },
#include "virtio/devices.def"
	};
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].bit != bit)
			continue;
		printf("%s%s: %s", comma, rows[i].device, rows[i].name);
		comma = "; ";
	}
}

static void features(void)
{
	fputs("<h2 id=\"features\">Features</h2>\n<p>Bits of GET_FEATURES and SET_FEATURES. Those "
	      "of a device type are its own.</p>\n<table>\n"
	      "<tr><th>Bit</th><th>Name</th><th>By device type</th></tr>\n",
	      stdout);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_feature_name(bit);

		printf("<tr><td class=\"n\">%u</td><td class=\"n\">%s</td><td>", bit,
		       name ? name : "");
		device_features(bit);
		fputs("</td></tr>\n", stdout);
	}
	fputs("</table>\n", stdout);
}

static void rules(void)
{
	fputs("<h2 id=\"rules\">Rules</h2>\n<p>What is expected of every message; a rule about "
	      "what "
	      "a message does not have says nothing of it. What breaks one is refused (by a "
	      "negative "
	      "acknowledgement where one can be given), or ends the connection, or is only "
	      "noted.</p>\n<table>\n"
	      "<tr><th>Name</th><th>It is expected "
	      "that</th><th>Otherwise</th><th>Clauses</th></tr>\n",
	      stdout);
	for (unsigned int i = VHU_OK + 1; i < VHU_N_RULES; i++) {
		const enum vhu_rule rule = (enum vhu_rule)i;

		printf("<tr id=\"rule-%s\"><td class=\"n\">%s</td><td>", vhu_rule_name(rule),
		       vhu_rule_name(rule));
		put(vhu_rule_text(rule));
		printf("</td><td>%s</td><td class=\"n\">",
		       vhu_words_severity(vhu_rule_severity(rule)));
		put(vhu_rule_ref(rule));
		fputs("</td></tr>\n", stdout);
	}
	fputs("</table>\n", stdout);
}

int dump_html(const char *arg)
{
	(void)arg;
	fputs(page_begin, stdout);
	contents("Requests of the front-end", VHU_FE);
	contents("Requests of the back-end", VHU_BE);
	fputs("<p><a href=\"#header\">Header</a>, <a "
	      "href=\"#acknowledgement\">acknowledgement</a>, "
	      "<a href=\"#features\">features</a>, <a href=\"#protocol-features\">protocol "
	      "features</a>, <a href=\"#rules\">rules</a></p>\n",
	      stdout);
	header_section();
	messages("What the front-end asks for", VHU_FE);
	messages("What the back-end asks for", VHU_BE);
	acknowledgement_section();
	features();
	protocol_features();
	rules();
	fputs("</body>\n</html>\n", stdout);
	return 0;
}
