/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "daemon/control-text.h"

enum { DESCRIPTION_MAX = 256 };

struct json_object *control_json_text(const char *text)
{
	char *repaired = utf8_repair(text);
	struct json_object *object = repaired ? json_object_new_string(repaired) : NULL;

	free(repaired);
	return object;
}

static void add(struct json_object *object, const char *name, struct json_object *value)
{
	json_object_object_add(object, name, value);
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	add(object, name, text && text[0] ? control_json_text(text) : NULL);
}

static void add_number(struct json_object *object, const char *name, uint64_t number)
{
	add(object, name, json_object_new_uint64(number));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	add(object, name, json_object_new_boolean(value));
}

static void add_size(struct json_object *object, uint16_t cols, uint16_t rows)
{
	char text[16];

	snprintf(text, sizeof(text), "%ux%u", cols, rows);
	add_text(object, "size", cols > 0 && rows > 0 ? text : NULL);
}

static struct json_object *counters(const struct port *p)
{
	const struct port_counters *c = &p->counters;
	struct json_object *o = json_object_new_object();

	add_number(o, "output", c->output);
	add_number(o, "input", c->input);
	add_number(o, "output_lost", c->output_lost);
	add_number(o, "output_discarded", c->output_discarded);
	add_number(o, "stalls", c->n_stalls);
	add_number(o, "stalled_ns", port_stalled_ns(p));
	return o;
}

static struct json_object *buckets(const struct histogram *h)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < HISTOGRAM_N_BUCKETS; i++) {
		struct json_object *o;

		if (h->bucket[i] == 0)
			continue;
		o = json_object_new_object();
		add_number(o, "from_ns", i == 0 ? 0 : BIT(i));
		add_number(o, "n", h->bucket[i]);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *latency(const struct histogram *h)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "n", h->n);
	add_number(o, "mean_ns", h->n > 0 ? h->sum_ns / h->n : 0);
	add_number(o, "p50_ns", histogram_percentile(h, 50));
	add_number(o, "p99_ns", histogram_percentile(h, 99));
	add_number(o, "max_ns", h->max_ns);
	add(o, "buckets", buckets(h));
	return o;
}

static struct json_object *attachment(const struct guest_attachment *a)
{
	struct json_object *o = json_object_new_object();
	char text[DESCRIPTION_MAX] = "";

	a->attachment->ops->describe(a->attachment, text, sizeof(text));
	add_number(o, "id", a->id);
	add_text(o, "text", a->spec->text);
	add_text(o, "kind", attachment_rows[a->spec->options.kind].name);
	add_text(o, "describe", text);
	add_bool(o, "closing", a->closing);
	return o;
}

static const char *role(const struct port_client *c)
{
	if (port_is_writer(c))
		return "writer";
	return c->passive ? "passive" : "watcher";
}

static struct json_object *tls(const struct port_client_tls *facts)
{
	struct json_object *o;

	if (!facts)
		return NULL;
	o = json_object_new_object();
	add_text(o, "version", facts->version);
	add_text(o, "cipher", facts->cipher);
	add_text(o, "peer", facts->peer);
	return o;
}

static struct json_object *client(const struct port_client *c)
{
	const struct bytering *out = &c->port->out;
	struct json_object *o = json_object_new_object();

	add_number(o, "id", c->id);
	add_text(o, "what", c->what);
	add_text(o, "role", role(c));
	add_bool(o, "may_write", c->writes);
	add_number(o, "read", c->n_read);
	add_number(o, "written", c->n_written);
	add_number(o, "lost", c->n_lost);
	add_number(o, "behind", out->head - (c->pos > out->tail ? c->pos : out->tail));
	add_size(o, c->cols, c->rows);
	add(o, "tls", tls(c->tls));
	return o;
}

static struct json_object *attachments(const struct guest_port *p)
{
	struct json_object *list = json_object_new_array();
	const struct list_node *node = p->attachments.next;

	for (; node != &p->attachments; node = node->next)
		json_object_array_add(
			list, attachment(list_entry(node, const struct guest_attachment, link)));
	return list;
}

static struct json_object *clients(const struct port *p)
{
	struct json_object *list = json_object_new_array();
	const struct list_node *node = p->clients.next;

	for (; node != &p->clients; node = node->next)
		json_object_array_add(list,
				      client(list_entry(node, const struct port_client, link)));
	return list;
}

static struct json_object *port(const struct guest_port *gp)
{
	const struct port *p = &gp->port;
	struct json_object *o = json_object_new_object();

	add_number(o, "number", gp->number);
	add_text(o, "name", p->name);
	add_bool(o, "console", p->console);
	add_text(o, "overflow", p->overflow == PORT_DROP ? "drop" : "hold");
	add_bool(o, "guest_open", p->present && p->guest_open);
	add_bool(o, "host_open", port_host_open(p));
	add_bool(o, "stalled", p->stalled);
	add_text(o, "input", p->input_disabled ? "off" : "on");
	add_text(o, "output", p->output_disabled ? "off" : "on");
	add_size(o, p->cols, p->rows);
	add_number(o, "history", p->out.size);
	add_number(o, "input_waiting", bytering_used(&p->in));
	add(o, "counters", counters(p));
	add(o, "latency", latency(&p->latency));
	add(o, "attachments", attachments(gp));
	add(o, "clients", clients(p));
	return o;
}

static struct json_object *device(const struct guest *g)
{
	struct json_object *o = json_object_new_object();
	struct json_object *ports = json_object_new_array();
	const struct list_node *node = g->ports.next;

	add_text(o, "name", g->spec->options.name);
	add_text(o, "socket", g->spec->options.socket);
	add_bool(o, "present", g->console.present);
	add_number(o, "loop", g->env->loop_idx);
	add_number(o, "max_ports", g->console.ctrl.n_ports);
	for (; node != &g->ports; node = node->next)
		json_object_array_add(ports, port(list_entry(node, const struct guest_port, link)));
	add(o, "ports", ports);
	return o;
}

/* seccomp: getpid */
void control_status(struct json_object *object, const struct loop *loop,
		    const struct list_node *guests, const struct guest *only)
{
	struct json_object *devices = json_object_new_array();
	const struct list_node *node = guests->next;

	for (; node != guests; node = node->next) {
		const struct guest *g = list_entry(node, const struct guest, link);

		if (!only || only == g)
			json_object_array_add(devices, device(g));
	}
	add_text(object, "version", PACKAGE_VERSION);
	add_number(object, "pid", (uint64_t)getpid());
	add_text(object, "engine", loop_engine_name(loop));
	add(object, "devices", devices);
}
