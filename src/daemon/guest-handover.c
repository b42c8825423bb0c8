/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest that goes on in another process: in words what it is, then what it is doing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/port-handover.h"
#include "daemon/guest-private.h"
#include "systemd.h"
#include "virtio/console-handover.h"

enum guest_tag {
	TAG_WORDS = 1,
	TAG_IDX,
	TAG_ROWS_FIRST,
	TAG_LAST_ATTACHMENT,
	TAG_PORT, /* what it is; all before any is doing something */
	TAG_SERVER,
	TAG_CONSOLE,
	TAG_CONTENTS, /* of the ports, in the same order */
};

enum port_tag { PORT_TEXT = 1, PORT_NUMBER, PORT_NAME };
enum contents_tag { CONTENTS_PORT = 1, CONTENTS_ATTACHMENT };
enum attachment_tag { ATTACHMENT_TEXT = 1, ATTACHMENT_ID, ATTACHMENT_STATE };

enum { WORDS_MAX = 2048 };

static const struct guest_port *port_at(const struct list_node *node)
{
	return list_entry(node, const struct guest_port, link);
}

/* Saving. */

/* "WORD=VALUE,", as it would be written. */
static void add_word(char *text, size_t cap, const char *word, const char *value)
{
	size_t len = strlen(text);

	if (!value)
		return;
	len += (size_t)snprintf(text + len, cap - len, "%s%s=", len > 0 ? "," : "", word);
	for (; *value && len + 3 < cap; value++) {
		if (*value == ',' || *value == '%')
			text[len++] = *value;
		text[len++] = *value;
	}
	text[len] = '\0';
}

static void describe_device(const struct device_spec *spec, char *text, size_t cap)
{
	const struct device_words *o = &spec->options;
	char number[24], mode[24], uids[PEER_IDS_TEXT_MAX], gids[PEER_IDS_TEXT_MAX];

	snprintf(number, sizeof(number), "%" PRIu64, o->max_ports);
	snprintf(mode, sizeof(mode), "%o", (unsigned int)o->mode.value);
	text[0] = '\0';
	add_word(text, cap, "socket", o->socket);
	add_word(text, cap, "fd", o->fd);
	add_word(text, cap, "name", o->name);
	add_word(text, cap, "max-ports", number);
	add_word(text, cap, "iommu", o->iommu == SPEC_IOMMU_ON ? "on" : NULL);
	add_word(text, cap, "mode", o->mode.set ? mode : NULL);
	add_word(text, cap, "owner", o->owner);
	add_word(text, cap, "group", o->group);
	peer_ids_format(&spec->allow.uids, uids);
	peer_ids_format(&spec->allow.gids, gids);
	add_word(text, cap, "allow-uid", uids[0] ? uids : NULL);
	add_word(text, cap, "allow-gid", gids[0] ? gids : NULL);
}

static void save_port(const struct guest_port *p, struct handover_out *out)
{
	state_begin_group(&out->state, TAG_PORT);
	handover_put_text(out, PORT_TEXT, p->spec->text);
	state_put_number(&out->state, PORT_NUMBER, p->number);
	handover_put_text(out, PORT_NAME, p->port.name);
	state_end(&out->state);
}

static void save_contents(const struct guest_port *p, struct handover_out *out)
{
	const struct list_node *node = p->attachments.next;

	state_begin_group(&out->state, TAG_CONTENTS);
	port_handover_save(&p->port, out, CONTENTS_PORT);
	for (; node != &p->attachments; node = node->next) {
		const struct guest_attachment *a =
			list_entry(node, const struct guest_attachment, link);

		if (a->closing)
			handover_busy(out, "%s: an attachment is being closed", p->who);
		state_begin_group(&out->state, CONTENTS_ATTACHMENT);
		handover_put_text(out, ATTACHMENT_TEXT, a->spec->text);
		state_put_number(&out->state, ATTACHMENT_ID, a->id);
		attachment_save(a->attachment, out, ATTACHMENT_STATE);
		state_end(&out->state);
	}
	state_end(&out->state);
}

void guest_save(const struct guest *g, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;
	const struct list_node *node;
	char words[WORDS_MAX];

	if (!guest_settled(g) || !list_empty(&g->leaving) || !list_empty(&g->wanted))
		handover_busy(out, "%s: something is being closed", g->spec->options.name);
	describe_device(g->spec, words, sizeof(words));
	state_begin_group(w, tag);
	handover_put_text(out, TAG_WORDS, words);
	state_put_number(w, TAG_IDX, g->defaults.device_idx);
	state_put_number(w, TAG_ROWS_FIRST, g->spec->rows_first);
	state_put_number(w, TAG_LAST_ATTACHMENT, g->last_attachment_id);
	for (node = g->ports.next; node != &g->ports; node = node->next)
		save_port(port_at(node), out);
	/* A device that goes and comes back asks for it again. */
	if (g->spec->options.fd)
		handover_keep_fd(out, systemd_find_fd(g->spec->options.fd, 0));
	if (g->serving)
		vhu_server_save(&g->server, out, TAG_SERVER);
	console_handover_save(&g->console, out, TAG_CONSOLE);
	for (node = g->ports.next; node != &g->ports; node = node->next)
		save_contents(port_at(node), out);
	state_end(w);
}

/* Loading. */

static struct device_spec *load_spec(struct handover_in *in, struct spec_defaults *defaults)
{
	struct state_reader *r = &in->state;
	char *words = handover_dup_text(in, TAG_WORDS, "words");
	struct device_spec *spec = NULL;
	char why[GUEST_WHY_MAX];

	defaults->device_idx = (unsigned int)state_take_number(r, TAG_IDX, "number", UINT32_MAX);
	if (words && device_spec_parse(words, defaults, &spec, why, sizeof(why)) < 0)
		state_fail(r, "%.100s", why);
	free(words);
	if (!spec)
		return NULL;
	spec->idx = defaults->device_idx;
	if (spec->options.fd)
		handover_kept_fd(in, systemd_find_fd(spec->options.fd, 0));
	spec->rows_first = state_take_flag(r, TAG_ROWS_FIRST, "rows first");
	return spec;
}

/* Its attachments come from the state: they may have changed since it was written. */
static void drop_attachments(struct port_spec *spec)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &spec->attachments)
		attachment_spec_free(list_entry(node, struct attachment_spec, link));
}

static void load_port(struct guest *g, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	struct port_spec *spec = NULL;
	char why[GUEST_WHY_MAX];
	struct guest_port *p;
	char *text;

	if (!state_enter(r, TAG_PORT, "port"))
		return;
	text = handover_dup_text(in, PORT_TEXT, "words");
	if (text && port_spec_parse(text, &g->defaults, &spec, why, sizeof(why)) < 0)
		state_fail(r, "%.100s", why);
	free(text);
	if (spec) {
		drop_attachments(spec);
		spec->number = (int)state_take_number(r, PORT_NUMBER, "number",
						      g->spec->options.max_ports - 1);
		if (guest_make_port(g, spec, &p) < 0) {
			state_fail(r, "no memory");
		} else {
			handover_take_text(in, PORT_NAME, "name", p->port.name,
					   sizeof(p->port.name));
			guest_insert_port(g, p);
			console_add_port(&g->console, p->number, &p->port);
		}
	}
	state_leave(r);
}

static void load_attachment(struct guest_port *p, struct handover_in *in)
{
	struct state_reader *r = &in->state;
	struct attachment_spec *spec = NULL;
	char why[GUEST_WHY_MAX] = "";
	struct guest_attachment *a;
	unsigned int id;
	char *text;

	if (!state_enter(r, CONTENTS_ATTACHMENT, p->who))
		return;
	text = handover_dup_text(in, ATTACHMENT_TEXT, "words");
	id = (unsigned int)state_take_number(r, ATTACHMENT_ID, "number", UINT32_MAX);
	if (text && attachment_spec_parse(text, &p->guest->defaults, &spec, why, sizeof(why)) < 0)
		state_fail(r, "%.100s", why);
	free(text);
	if (spec && guest_attach_from(p, spec, in, ATTACHMENT_STATE, &a, why, sizeof(why)) < 0)
		state_fail(r, "%.100s", why);
	else if (spec)
		a->id = id;
	state_leave(r);
}

static void load_contents(struct guest_port *p, struct handover_in *in)
{
	if (!state_enter(&in->state, TAG_CONTENTS, "contents"))
		return;
	port_handover_load(&p->port, in, CONTENTS_PORT);
	while (state_has(&in->state, CONTENTS_ATTACHMENT))
		load_attachment(p, in);
	state_leave(&in->state);
}

static void load_server(struct guest *g, struct handover_in *in)
{
	const struct vhu_backend_options options = guest_server_options(g);
	const char *path = g->spec->options.socket;

	g->serving = state_has(&in->state, TAG_SERVER);
	if (g->serving && vhu_server_load(&g->server, g->env->loop, &g->console.vdev, in,
					  TAG_SERVER, path && path[0] != '@' ? path : NULL,
					  &options, guest_server_finished) < 0)
		state_fail(&in->state, "no memory");
}

/* The device hears of its driver before any client is there to be told. */
static void load_rest(struct guest *g, struct handover_in *in)
{
	struct list_node *node, *tmp;
	unsigned int last;

	last = (unsigned int)state_take_number(&in->state, TAG_LAST_ATTACHMENT, "last attachment",
					       UINT32_MAX);
	while (state_has(&in->state, TAG_PORT))
		load_port(g, in);
	load_server(g, in);
	console_handover_load(&g->console, in, TAG_CONSOLE);
	if (g->console.journal && !guest_journal_is_there(g))
		state_fail(&in->state, "its journal is not in the folder of --journal: another one "
				       "counts when the daemon is started again");
	list_for_each (node, tmp, &g->ports)
		load_contents(list_entry(node, struct guest_port, link), in);
	g->last_attachment_id = last;
}

void guest_load(const struct guest_env *env, const struct spec_defaults *defaults,
		struct handover_in *in, unsigned int tag, struct guest **ret_guest)
{
	struct spec_defaults own = *defaults;
	struct device_spec *spec;

	*ret_guest = NULL;
	if (!state_enter(&in->state, tag, "device"))
		return;
	spec = load_spec(in, &own);
	if (spec && guest_make(env, spec, &own, ret_guest) < 0)
		state_fail(&in->state, "no memory");
	if (*ret_guest)
		load_rest(*ret_guest, in);
	state_leave(&in->state);
}
