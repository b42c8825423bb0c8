/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/control-request.h"
#include "daemon/control-status.h"
#include "log.h"

/* A command under way: what was asked, what it is about, and what comes of it. */
struct call {
	const struct control_args *args;
	struct control_request req;
	struct guest *guest;	 /* NULL: of all (status), or of none */
	struct guest_port *port; /* NULL unless the command takes one */
	struct json_object *result;
	char *why;
	size_t why_cap;
};

PRINTF_LIKE(2, 3)
static int fail(struct call *call, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(call->why, call->why_cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

static const struct control_value *value(const struct call *call, unsigned int arg)
{
	return &call->req.values[arg];
}

static bool given(const struct call *call, unsigned int arg)
{
	return call->req.given & BIT(arg);
}

static struct guest *guest_at(struct list_node *node)
{
	return list_entry(node, struct guest, link);
}

/* What a command is about. */

static int fail_device(struct call *call, const char *name)
{
	struct list_node *node, *tmp;
	struct listing all = { .n = 0 };

	list_for_each (node, tmp, call->args->guests)
		listing_add(&all, guest_at(node)->spec->options.name);
	if (name)
		return fail(call, "there is no device \"%.60s\"; the devices: %s", name,
			    listing_end(&all));
	return fail(call, "a device must be named: %s", listing_end(&all));
}

static int find_guest(struct call *call)
{
	const char *name = value(call, CONTROL_ARG_device)->text;
	struct list_node *guests = call->args->guests, *node, *tmp;

	list_for_each (node, tmp, guests)
		if (name ? strcmp(guest_at(node)->spec->options.name, name) == 0
			 : guests->next == guests->prev)
			call->guest = guest_at(node);
	return call->guest ? 0 : fail_device(call, name);
}

static int find_port(struct call *call)
{
	const char *text = value(call, CONTROL_ARG_port)->text;
	struct list_node *node, *tmp;
	struct listing all = { .n = 0 };
	char number[16];

	call->port = guest_find_port(call->guest, text);
	if (call->port)
		return 0;
	list_for_each (node, tmp, &call->guest->ports) {
		const struct guest_port *p = list_entry(node, struct guest_port, link);

		snprintf(number, sizeof(number), "%u", p->number);
		listing_add(&all, number);
	}
	return fail(call, "%s has no port %.130s; it has %s", call->guest->spec->options.name, text,
		    listing_end(&all));
}

static int find_objects(struct call *call)
{
	const struct control_command *c = call->req.command;
	int err = 0;

	if (given(call, CONTROL_ARG_device) ||
	    (c != &control_commands[CONTROL_CMD_status] && control_takes(c, CONTROL_ARG_device)))
		err = find_guest(call);
	if (err == 0 && control_takes(c, CONTROL_ARG_port))
		err = find_port(call);
	return err;
}

/* NULL, with a sentence, when there is none. */
static struct port_client *find_client(struct call *call)
{
	unsigned int id = (unsigned int)value(call, CONTROL_ARG_client)->number;
	struct port_client *c = port_find_client(&call->port->port, id);
	struct list_node *node, *tmp;
	struct listing all = { .n = 0 };
	char number[16];

	if (c)
		return c;
	list_for_each (node, tmp, &call->port->port.clients) {
		snprintf(number, sizeof(number), "%u",
			 list_entry(node, struct port_client, link)->id);
		listing_add(&all, number);
	}
	fail(call, "%s has no client %u; its clients: %s", call->port->who, id, listing_end(&all));
	return NULL;
}

static void add_number(struct call *call, const char *name, unsigned int number)
{
	json_object_object_add(call->result, name, json_object_new_int64(number));
}

/* The commands. */

static int run_status(struct call *call)
{
	control_status(call->result, call->args->loop, call->args->guests, call->guest);
	return 0;
}

static int run_set_port(struct call *call)
{
	struct port *port = &call->port->port;
	uint64_t size = value(call, CONTROL_ARG_size)->number;

	if (!(call->req.given & ~(BIT(CONTROL_ARG_device) | BIT(CONTROL_ARG_port))))
		return fail(call, "set-port needs something to set: "
				  "input, output, overflow or size");
	/* Words are in the order "on|off" and "drop|hold". */
	if (given(call, CONTROL_ARG_input))
		port_enable_input(port, value(call, CONTROL_ARG_input)->number == 0);
	if (given(call, CONTROL_ARG_output))
		port_enable_output(port, value(call, CONTROL_ARG_output)->number == 0);
	if (given(call, CONTROL_ARG_overflow))
		port_set_overflow(port, value(call, CONTROL_ARG_overflow)->number == 0 ? PORT_DROP
										       : PORT_HOLD);
	if (given(call, CONTROL_ARG_size))
		port_resize(port, (uint16_t)(size >> 16), (uint16_t)size);
	return 0;
}

static int run_add_port(struct call *call)
{
	struct guest *g = call->guest;
	struct guest_port *port;
	struct port_spec *spec;
	int err;

	err = port_spec_parse(value(call, CONTROL_ARG_spec)->text, &g->defaults, &spec, call->why,
			      call->why_cap);
	if (err == 0)
		err = guest_add_port(g, spec, &port, call->why, call->why_cap);
	if (err == 0)
		add_number(call, "port", port->number);
	return err;
}

static int run_remove_port(struct call *call)
{
	guest_remove_port(call->port);
	return 0;
}

static int run_rename_port(struct call *call)
{
	return guest_rename_port(call->port, value(call, CONTROL_ARG_name)->text, call->why,
				 call->why_cap);
}

static int run_attach(struct call *call)
{
	struct guest_attachment *a;
	struct attachment_spec *spec;
	int err;

	err = attachment_spec_parse(value(call, CONTROL_ARG_spec)->text, &call->guest->defaults,
				    &spec, call->why, call->why_cap);
	if (err == 0)
		err = guest_attach(call->port, spec, &a, call->why, call->why_cap);
	if (err == 0)
		add_number(call, "attachment", a->id);
	return err;
}

static int run_detach(struct call *call)
{
	unsigned int id = (unsigned int)value(call, CONTROL_ARG_attachment)->number;
	struct guest_attachment *a = guest_find_attachment(call->port, id);
	struct list_node *node, *tmp;
	struct listing all = { .n = 0 };
	char number[16];

	if (a) {
		guest_detach(a);
		return 0;
	}
	list_for_each (node, tmp, &call->port->attachments) {
		a = list_entry(node, struct guest_attachment, link);
		snprintf(number, sizeof(number), "%u", a->id);
		if (!a->closing)
			listing_add(&all, number);
	}
	return fail(call, "%s has no attachment %u; its attachments: %s", call->port->who, id,
		    listing_end(&all));
}

static int run_disconnect(struct call *call)
{
	struct port_client *c = find_client(call);

	if (!c)
		return -EINVAL;
	if (!c->ops->disconnect)
		return fail(call, "client %u, %s, cannot be disconnected; detach its attachment",
			    c->id, c->what);
	c->ops->disconnect(c, "disconnected by way of the control socket");
	return 0;
}

static int run_steal(struct call *call)
{
	struct port_client *c = find_client(call);

	if (!c)
		return -EINVAL;
	if (!c->writes)
		return fail(call, "client %u, %s, has no keyboard: it only watches", c->id,
			    c->what);
	port_steal(c);
	return 0;
}

static int run_reload(struct call *call)
{
	return call->args->reload(call->args->arg, call->why, call->why_cap);
}

static int run_upgrade(struct call *call)
{
	return call->args->upgrade(call->args->arg, call->why, call->why_cap);
}

static struct json_object *argument_help(const struct control_command *c, unsigned int arg)
{
	static const char *const types[] = { [CONTROL_TEXT] = "string",
					     [CONTROL_PORT] = "string or number",
					     [CONTROL_ID] = "number",
					     [CONTROL_CHOICE] = "string",
					     [CONTROL_SIZE] = "string" };
	const struct control_argument *a = &control_arguments[arg];
	struct json_object *o = json_object_new_object();
	const char *values = a->words ? a->words : a->metavar;

	json_object_object_add(o, "name", json_object_new_string(a->name));
	json_object_object_add(o, "type", json_object_new_string(types[a->type]));
	json_object_object_add(o, "value", json_object_new_string(values));
	json_object_object_add(o, "needed", json_object_new_boolean(!!(c->needed & BIT(arg))));
	json_object_object_add(o, "help", json_object_new_string(a->help));
	return o;
}

static int run_help(struct call *call)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		const struct control_command *c = &control_commands[i];
		struct json_object *o = json_object_new_object();
		struct json_object *arguments = json_object_new_array();

		for (unsigned int arg = 0; arg < CONTROL_N_ARGUMENTS; arg++)
			if (control_takes(c, arg))
				json_object_array_add(arguments, argument_help(c, arg));
		json_object_object_add(o, "name", json_object_new_string(c->name));
		json_object_object_add(o, "help", json_object_new_string(c->help));
		json_object_object_add(o, "arguments", arguments);
		json_object_array_add(list, o);
	}
	json_object_object_add(call->result, "commands", list);
	return 0;
}

static int (*const run[CONTROL_N_COMMANDS])(struct call *call) = {
#define CMD(ident, ...) [CONTROL_CMD_##ident] = run_##ident,
#include "daemon/control-commands.def"
#undef CMD
};

/* Who changed what. A port may be gone by now, its device may not. */
static void log_change(const struct call *call, const char *by, int err)
{
	const struct control_command *c = call->req.command;
	const char *port = value(call, CONTROL_ARG_port)->text;

	if (c == &control_commands[CONTROL_CMD_status] || c == &control_commands[CONTROL_CMD_help])
		return;
	log_info("control", "%s%s%s%s%s by %s%s%s", c->name, call->guest ? " " : "",
		 call->guest ? call->guest->spec->options.name : "", port ? "/" : "",
		 port ? port : "", by, err < 0 ? ": " : "", err < 0 ? call->why : "");
}

static int call_run(struct call *call, const char *by, struct json_object *object)
{
	int err = control_request_read(object, &call->req, call->why, call->why_cap);

	if (err == 0)
		err = find_objects(call);
	if (err < 0)
		return err;
	err = run[call->req.command - control_commands](call);
	log_change(call, by, err);
	return err;
}

struct json_object *control_refusal(const char *why)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "error", control_json_text(why));
	return answer;
}

struct json_object *control_answer(const struct control_args *args, const char *by,
				   const char *line, size_t len, bool *ret_later)
{
	char why[512] = "";
	struct call call = { .args = args, .why = why, .why_cap = sizeof(why) };
	struct json_object *object = NULL, *answer, *id;
	int err = control_json_parse(line, len, &object, why, sizeof(why));

	if (err == 0) {
		call.result = json_object_new_object();
		err = call_run(&call, by, object);
	}
	if (err < 0) {
		json_object_put(call.result);
		answer = control_refusal(why[0] ? why : strerror(-err));
	} else {
		answer = json_object_new_object();
		json_object_object_add(answer, "ok", json_object_new_boolean(true));
		json_object_object_add(answer, "result", call.result);
	}
	*ret_later = err == 0 && call.req.command == &control_commands[CONTROL_CMD_upgrade];
	/* A value of any type; lent until now, shared from here. */
	if (object && json_object_object_get_ex(object, "id", &id))
		json_object_object_add(answer, "id", json_object_get(id));
	json_object_put(object);
	return answer;
}
