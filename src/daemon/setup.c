/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config-file.h"
#include "daemon/setup-check.h"
#include "daemon/setup.h"
#include "daemon/spec-words.h"
#include "systemd.h"

struct setup_words {
	struct config_words line;
	bool given[CONSOLE_N_OPTIONS];
};

/* A setup on its way. */
struct loader {
	struct setup *setup;
	struct setup_words *words;
	const struct console_options *o;
	bool socket_taken[OPTION_FDS_MAX]; /* inherited sockets that attachments are about */
	unsigned int n_followers;	   /* devices that follow --backend */
	char *why;
	size_t why_cap;
};

PRINTF_LIKE(2, 3)
static int fail(const struct loader *l, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(l->why, l->why_cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_memory(const struct loader *l)
{
	fail(l, "no memory");
	return -ENOMEM;
}

/* Puts the option that is wrong in front of the message: "FILE:3: --port TEXT: ...". */
static int blame(const struct loader *l, const char *option, const char *text, const char *origin,
		 int err)
{
	char message[512];

	snprintf(message, sizeof(message), "%s", l->why);
	fail(l, "%s%s--%s %s: %s", origin ? origin : "", origin ? ": " : "", option, text, message);
	return err;
}

static int blame_text(const struct loader *l, const char *option, const struct option_text *text,
		      int err)
{
	return blame(l, option, text->text, l->words->line.origins[text->order], err);
}

/* Words. */

static int add_word(const struct loader *l, const char *word)
{
	return config_words_add(&l->words->line, word, NULL) < 0 ? fail_memory(l) : 0;
}

/*
 * The command line again, each --config replaced by its file. first has been
 * parsed from it, so it is known which words are options.
 */
static int expand_words(const struct loader *l, const struct console_options *first, int argc,
			char **argv)
{
	const struct option_texts *configs = &first->configs;
	unsigned int next = 0;
	int err = 0;

	for (int i = 0; i < argc && err == 0; i++) {
		const struct option_text *config = &configs->items[next];

		if (next == configs->n_items || config->order != (unsigned int)i) {
			err = add_word(l, argv[i]);
			continue;
		}
		next++;
		err = config_file_read(&l->words->line, config->text, l->why, l->why_cap);
		if (i + 1 < argc && config->text == argv[i + 1])
			i++;
	}
	return err;
}

static bool only_prints(const struct console_options *o)
{
	return o->help || o->version || o->print_capabilities;
}

static int parse_words(const struct loader *l)
{
	struct config_words *line = &l->words->line;

	return console_options_parse(&l->setup->options, line->n_words, line->words,
				     (const char *const *)line->origins, l->words->given, l->why,
				     l->why_cap);
}

static int keep_files(struct setup *s, const struct option_texts *configs)
{
	s->has_files = configs->n_items > 0;
	s->files = calloc(configs->n_items + 1, sizeof(*s->files));
	if (!s->files)
		return -ENOMEM;
	for (; s->n_files < configs->n_items; s->n_files++)
		s->files[s->n_files] = configs->items[s->n_files].text;
	return 0;
}

static int load_words(const struct loader *l, int argc, char **argv)
{
	struct console_options first;
	int err;

	err = console_options_parse(&first, argc, argv, NULL, NULL, l->why, l->why_cap);
	if (err < 0)
		return err;
	if (only_prints(&first)) {
		l->setup->options = first;
		return 0;
	}
	err = keep_files(l->setup, &first.configs) < 0 ? fail_memory(l)
						       : expand_words(l, &first, argc, argv);
	console_options_free(&first);
	return err < 0 ? err : parse_words(l);
}

/* Ports. */

static struct spec_defaults defaults_of(const struct loader *l, unsigned int device_idx)
{
	return (struct spec_defaults){
		.device_idx = device_idx,
		.history = l->o->history,
		.escape = l->o->escape,
	};
}

/* Adds the --port options that stand between two words. */
static int add_ports(const struct loader *l, struct list_node *ports, unsigned int device_idx,
		     unsigned int from, unsigned int to)
{
	const struct spec_defaults defaults = defaults_of(l, device_idx);

	for (unsigned int i = 0; i < l->o->ports.n_items; i++) {
		const struct option_text *text = &l->o->ports.items[i];
		struct port_spec *port;
		int err;

		if (text->order < from || text->order >= to)
			continue;
		err = port_spec_parse(text->text, &defaults, &port, l->why, l->why_cap);
		if (err < 0)
			return blame_text(l, "port", text, err);
		list_append(ports, &port->link);
	}
	return 0;
}

/* Where the --port options that belong to no --device end. */
static unsigned int shared_end(const struct loader *l)
{
	return l->o->devices.n_items > 0 ? l->o->devices.items[0].order : UINT32_MAX;
}

static int add_shared_ports(const struct loader *l, struct list_node *ports,
			    unsigned int device_idx)
{
	return add_ports(l, ports, device_idx, 0, shared_end(l));
}

/* Port 0 as --backend says, unless a --port takes that number. */
static int add_shorthand_port(struct loader *l, struct device_spec *device, unsigned int device_idx)
{
	const struct spec_defaults defaults = defaults_of(l, device_idx);
	const struct list_node *head = &device->ports;
	struct port_spec *port;
	char text[64];
	int err;

	for (struct list_node *node = head->next; node != head; node = node->next) {
		port = list_entry(node, struct port_spec, link);
		if (port->number != 0 && (port->number != SPEC_NUMBER_ANY || !port->console))
			continue;
		if (l->words->given[CONSOLE_OPTION_backend])
			return fail(l, "--backend is port 0, and so is --port %s: leave one out",
				    port->text);
		return 0;
	}
	snprintf(text, sizeof(text), "0,console,terminal");
	if (l->o->backend == CONSOLE_BACKEND_NETWORK)
		snprintf(text, sizeof(text), "0,console,tcp:127.0.0.1:%u",
			 (unsigned int)l->o->tcp_port + l->n_followers);
	l->n_followers++;
	err = console_options_check_backend(l->o, l->n_followers, l->why, l->why_cap);
	if (err == 0)
		err = port_spec_parse(text, &defaults, &port, l->why, l->why_cap);
	if (err == 0)
		list_append(&device->ports, &port->link);
	return err;
}

/* Devices. */

static int complete_device(struct loader *l, struct device_spec *device)
{
	enum { ORDER_AUTO, ORDER_SPEC, ORDER_LINUX_LEGACY };

	device->rows_first = device->options.resize_order == ORDER_AUTO
				     ? l->o->resize_order == 1
				     : device->options.resize_order == ORDER_LINUX_LEGACY;
	return setup_number_ports(device, l->o->max_ports, l->why, l->why_cap);
}

static int add_device(struct loader *l, struct device_spec *device)
{
	if (l->setup->n_devices == CONSOLE_GUESTS_MAX) {
		device_spec_free(device);
		return fail(l, "there are more than %d devices, which is the most allowed",
			    CONSOLE_GUESTS_MAX);
	}
	list_append(&l->setup->devices, &device->link);
	l->setup->n_devices++;
	return 0;
}

/* A device of --socket-path, of --fd or of an inherited socket; where it is comes as text. */
static int add_plain_device(struct loader *l, const char *socket, const char *fd)
{
	unsigned int idx = l->setup->n_devices;
	struct device_spec *device;
	int err;

	if (device_spec_new(idx, socket, fd, &device) < 0)
		return fail_memory(l);
	err = add_device(l, device);
	if (err == 0)
		err = add_shared_ports(l, &device->ports, idx);
	if (err == 0)
		err = add_shorthand_port(l, device, idx);
	return err < 0 ? err : complete_device(l, device);
}

static int add_plain_devices(struct loader *l)
{
	unsigned int n = console_options_n_guests(l->o);
	char where[128];
	int err = 0;

	/* At once for all, so that the message has their number. */
	if (n > 0 && l->o->ports.n_items == 0)
		err = console_options_check_backend(l->o, n, l->why, l->why_cap);
	for (unsigned int i = 0; i < n && err == 0; i++) {
		if (l->o->fds.n_fds > 0)
			snprintf(where, sizeof(where), "%d", l->o->fds.fd[i]);
		else
			snprintf(where, sizeof(where), "%s%u", l->o->socket_path, i);
		err = l->o->fds.n_fds > 0 ? add_plain_device(l, NULL, where)
					  : add_plain_device(l, where, NULL);
	}
	return err;
}

static int add_described_devices(struct loader *l)
{
	const struct option_texts *texts = &l->o->devices;
	int err = 0;

	for (unsigned int i = 0; i < texts->n_items && err == 0; i++) {
		unsigned int idx = l->setup->n_devices;
		unsigned int end = i + 1 < texts->n_items ? texts->items[i + 1].order : UINT32_MAX;
		const struct spec_defaults defaults = defaults_of(l, idx);
		struct device_spec *device;

		err = device_spec_parse(texts->items[i].text, &defaults, &device, l->why,
					l->why_cap);
		if (err < 0)
			return blame_text(l, "device", &texts->items[i], err);
		err = add_device(l, device);
		if (err == 0)
			err = add_ports(l, &device->ports, idx, texts->items[i].order, end);
		if (err == 0)
			err = complete_device(l, device);
	}
	return err;
}

/* Sockets from the service manager. */

static void mark_socket(struct loader *l, const char *text)
{
	int fd = systemd_find_fd(text, 0);

	for (unsigned int i = 0; i < systemd_n_sockets() && i < OPTION_FDS_MAX; i++) {
		if (strcmp(systemd_socket_name(i), text) == 0 || systemd_socket_fd(i) == fd)
			l->socket_taken[i] = true;
	}
}

static void mark_sockets_of(struct loader *l, const struct list_node *ports)
{
	for (struct list_node *p = ports->next; p != ports; p = p->next) {
		const struct list_node *head = &list_entry(p, struct port_spec, link)->attachments;

		for (struct list_node *a = head->next; a != head; a = a->next) {
			const struct attachment_options *o =
				&list_entry(a, struct attachment_spec, link)->options;

			if (o->kind == ATTACHMENT_descriptor)
				mark_socket(l, o->address);
		}
	}
}

/* Attachments may differ by the device's index, of which there is none above n. */
static int mark_sockets(struct loader *l, unsigned int n)
{
	struct list_node ports, *node, *tmp;
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++) {
		list_init(&ports);
		err = add_shared_ports(l, &ports, i);
		mark_sockets_of(l, &ports);
		list_for_each (node, tmp, &ports)
			port_spec_free(list_entry(node, struct port_spec, link));
	}
	return err;
}

static int add_inherited_devices(struct loader *l)
{
	unsigned int n = systemd_n_sockets();
	char where[16];
	int err;

	if (n > OPTION_FDS_MAX)
		return fail(l, "%u sockets were inherited, allowed are %d", n, OPTION_FDS_MAX);
	err = mark_sockets(l, n);
	for (unsigned int i = 0; i < n && err == 0; i++) {
		if (l->socket_taken[i] || systemd_is_stored(i) ||
		    strcmp(systemd_socket_name(i), "control") == 0)
			continue;
		snprintf(where, sizeof(where), "%d", systemd_socket_fd(i));
		err = add_plain_device(l, NULL, where);
	}
	return err;
}

/* All together. */

static bool is_control_word(const struct spec_words *w)
{
	static const char *const words[] = { "mode", "owner", "group", "allow-uid", "allow-gid" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == w->key_len && memcmp(words[i], w->word, w->key_len) == 0)
			return true;
	return false;
}

/* It is read as a Unix attachment, which has more words than make sense here. */
static int check_control_words(const struct loader *l, const char *text)
{
	char *plain = malloc(strlen(text) + 2);
	struct spec_words w = { .rest = text, .plain = plain };
	int n = plain ? spec_next_word(&w, l->why, l->why_cap) : fail_memory(l);

	if (n == -EINVAL)
		fail(l, "there is no path; write --control PATH[,mode=MODE]");
	while (n == 1) {
		n = spec_next_word(&w, l->why, l->why_cap);
		if (n == 1 && !is_control_word(&w))
			n = fail(l,
				 "'%s' is not known; mode, owner, group, allow-uid and allow-gid "
				 "may follow the path",
				 w.word);
	}
	free(plain);
	return n;
}

static int load_control(const struct loader *l)
{
	const struct spec_defaults defaults = { 0 };
	const char *control = l->o->control;
	char *text;
	int err;

	if (!control)
		return 0;
	err = check_control_words(l, control);
	if (err == 0 && asprintf(&text, "unix:%s", control) < 0)
		err = fail_memory(l);
	if (err == 0) {
		err = attachment_spec_parse(text, &defaults, &l->setup->control, l->why,
					    l->why_cap);
		free(text);
	}
	return err < 0 ? blame(l, "control", control, NULL, err) : 0;
}

static int check_orphans(const struct loader *l, unsigned int n_plain)
{
	const struct option_texts *ports = &l->o->ports;

	if (n_plain > 0)
		return 0;
	if (ports->n_items > 0 && ports->items[0].order < shared_end(l))
		return fail(l,
			    "--port %s stands before the first --device, but there is no "
			    "--socket-path that it could be for",
			    ports->items[0].text);
	if (l->words->given[CONSOLE_OPTION_backend] || l->words->given[CONSOLE_OPTION_tcp_port])
		return fail(l, "--backend and --tcp-port are not for --device, which has --port");
	if (l->words->given[CONSOLE_OPTION_socket_count])
		return fail(l, "--socket-count needs --socket-path");
	return 0;
}

static int load_devices(struct loader *l)
{
	unsigned int n_others = l->o->devices.n_items + systemd_n_sockets();
	unsigned int n_plain;
	int err;

	err = console_options_check_sockets(l->o, n_others, l->why, l->why_cap);
	if (err == 0)
		err = load_control(l);
	if (err == 0)
		err = add_plain_devices(l);
	if (err == 0 && l->setup->n_devices == 0 && l->o->devices.n_items == 0)
		err = add_inherited_devices(l);
	if (err < 0)
		return err;
	n_plain = l->setup->n_devices;
	if (n_plain == 0 && l->o->devices.n_items == 0)
		return fail(l,
			    "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
	err = check_orphans(l, n_plain);
	if (err == 0)
		err = add_described_devices(l);
	return err < 0 ? err : setup_check(l->setup, l->why, l->why_cap);
}

int setup_load(int argc, char **argv, struct setup **ret_setup, char *ret_why, size_t why_cap)
{
	struct loader l = { .why = ret_why, .why_cap = why_cap };
	int err;

	l.setup = calloc(1, sizeof(*l.setup));
	if (!l.setup)
		return fail_memory(&l);
	list_init(&l.setup->devices);
	l.setup->words = l.words = calloc(1, sizeof(*l.words));
	l.o = &l.setup->options;
	err = l.words ? load_words(&l, argc, argv) : fail_memory(&l);
	if (err == 0 && !only_prints(l.o))
		err = load_devices(&l);
	if (err < 0) {
		option_make_one_line(ret_why);
		setup_free(l.setup);
		return err;
	}
	*ret_setup = l.setup;
	return 0;
}

void setup_free(struct setup *setup)
{
	struct list_node *node, *tmp;

	if (!setup)
		return;
	list_for_each (node, tmp, &setup->devices)
		device_spec_free(list_entry(node, struct device_spec, link));
	attachment_spec_free(setup->control);
	console_options_free(&setup->options);
	if (setup->words)
		config_words_free(&setup->words->line);
	free(setup->words);
	free(setup->files);
	free(setup);
}
