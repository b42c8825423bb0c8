/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-needs.h"

#include <dirent.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/address.h"
#include "config.h"

/* Built with a sanitizer whose runtime opens files and looks at threads. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED
#endif
#endif

/* Where GnuTLS looks for authorities that nobody has named. */
#define SYSTEM_TRUST "/etc/ssl/certs"

enum { PATH_CAP = 4096, LINKS_MAX = 8 };

#define GROUP_BIT(ident) BIT(SANDBOX_GROUP_##ident)

void sandbox_needs_init(struct sandbox_needs *n)
{
	*n = (struct sandbox_needs){ .groups = GROUP_BIT(always) };
}

void sandbox_needs_fini(struct sandbox_needs *n)
{
	for (size_t i = 0; i < n->n_places; i++)
		free(n->places[i].path);
	free(n->places);
	free(n->ports);
	*n = (struct sandbox_needs){ .groups = 0 };
}

/* Places. */

static void add_place(struct sandbox_needs *n, const char *path, size_t len, unsigned int access)
{
	struct sandbox_place *places = NULL;
	char *copy;

	for (size_t i = 0; i < n->n_places; i++) {
		if (strncmp(n->places[i].path, path, len) == 0 && !n->places[i].path[len]) {
			n->places[i].access |= access;
			return;
		}
	}
	copy = strndup(path, len);
	if (copy)
		places = reallocarray(n->places, n->n_places + 1, sizeof(*places));
	if (!places) {
		free(copy);
		n->no_memory = true;
		return;
	}
	n->places = places;
	n->places[n->n_places++] = (struct sandbox_place){ .path = copy, .access = access };
}

static void add_path(struct sandbox_needs *n, const char *path, unsigned int access)
{
	add_place(n, path, strlen(path), access);
}

/* The folder that the file is in. */
static void add_folder_of(struct sandbox_needs *n, const char *path, unsigned int access)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		add_path(n, ".", access);
	else
		add_place(n, path, slash > path ? (size_t)(slash - path) : 1, access);
}

/*
 * A file that is read again: editors put another one in its place, so that the
 * folder is meant, unless that holds everybody's.
 */
static void add_file_to_read(struct sandbox_needs *n, const char *path, unsigned int access)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (len == 0 || strncmp(path, "/etc/", len + 1) == 0)
		add_path(n, path, access);
	else
		add_folder_of(n, path, access);
}

/* Whether path was a symbolic link; it has become what that leads to. */
/* seccomp: readlink readlinkat */
static bool follow(char *path, size_t cap)
{
	char to[PATH_CAP];
	ssize_t len = readlink(path, to, sizeof(to) - 1);
	const char *slash = strrchr(path, '/');
	size_t keep;

	if (len <= 0)
		return false;
	to[len] = '\0';
	keep = slash && to[0] != '/' ? (size_t)(slash + 1 - path) : 0;
	return (size_t)snprintf(path + keep, cap - keep, "%s", to) < cap - keep;
}

/* A file, and what it leads to: the kernel asks for the rights of the last one. */
static void add_with_links(struct sandbox_needs *n, const char *path, unsigned int access,
			   void (*add)(struct sandbox_needs *, const char *, unsigned int))
{
	char at[PATH_CAP];

	add(n, path, access);
	if ((size_t)snprintf(at, sizeof(at), "%s", path) >= sizeof(at))
		return;
	for (unsigned int i = 0; i < LINKS_MAX && follow(at, sizeof(at)); i++)
		add(n, at, access);
}

/* Attachments. */

static void add_port(struct sandbox_needs *n, const char *address)
{
	uint16_t port, *ports;

	if (!address_port_of_text(address, &port))
		return; /* which is not opened either */
	ports = reallocarray(n->ports, n->n_ports + 1, sizeof(*ports));
	if (!ports) {
		n->no_memory = true;
		return;
	}
	n->ports = ports;
	n->ports[n->n_ports++] = port;
}

static void add_words(struct sandbox_needs *n, const struct attachment_options *o)
{
	const struct {
		const char *path;
		unsigned int access;
	} rows[] = {
#define PATH(field, acc) { o->field, SANDBOX_##acc },
#include "daemon/sandbox-paths.def"
#undef PATH
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].path)
			continue;
		n->groups |= GROUP_BIT(open);
		add_with_links(n, rows[i].path, rows[i].access, add_folder_of);
	}
	if (o->tls && !o->tls_ca && !o->tls_psk)
		add_path(n, SYSTEM_TRUST, SANDBOX_READ);
}

static uint64_t owners_of(const struct attachment_options *o)
{
	return o->mode.set || o->owner || o->group ? GROUP_BIT(owners) : 0;
}

/* What one that is open goes on needing: its files are read again at SIGHUP. */
static void add_open_one(struct sandbox_needs *n, const struct attachment_options *o)
{
	add_words(n, o);
	switch (o->kind) {
	case ATTACHMENT_tcp_connect:
		n->groups |= GROUP_BIT(connect_tcp);
		add_port(n, o->address);
		break;
	case ATTACHMENT_unix_connect:
		n->groups |= GROUP_BIT(connect_unix);
		n->abstract |= o->address[0] == '@';
		break;
	case ATTACHMENT_unix_server:
		if (o->address[0] != '@')
			add_folder_of(n, o->address, SANDBOX_SOCKETS);
		break;
	case ATTACHMENT_pty:
		n->groups |= GROUP_BIT(terminals);
		if (o->address)
			add_folder_of(n, o->address, SANDBOX_LINKS);
		break;
	case ATTACHMENT_terminal:
	case ATTACHMENT_descriptor:
		n->groups |= GROUP_BIT(terminals);
		break;
	case ATTACHMENT_log_file:
	case ATTACHMENT_file: /* it is opened anew at SIGHUP */
		n->groups |= GROUP_BIT(open) | owners_of(o);
		add_with_links(n, o->address, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES,
			       add_folder_of);
		break;
	case ATTACHMENT_tcp_server:
	case ATTACHMENT_telnet_server:
	case ATTACHMENT_null:
	case ATTACHMENT_N_KINDS:
		break;
	}
}

static void add_terminals(struct sandbox_needs *n)
{
	static const char *const paths[] = { "/dev/pts", "/dev/ptmx", "/dev/tty" };

	n->groups |= GROUP_BIT(open) | GROUP_BIT(terminals);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		add_path(n, paths[i], SANDBOX_READ | SANDBOX_WRITE | SANDBOX_DEVICE);
}

static void add_listening(struct sandbox_needs *n)
{
	n->groups |= GROUP_BIT(listen_tcp);
	n->binds = true;
}

void sandbox_needs_of_attachment(struct sandbox_needs *n, const struct attachment_options *o)
{
	add_open_one(n, o);
	n->groups |= owners_of(o);
	switch (o->kind) {
	case ATTACHMENT_tcp_server:
	case ATTACHMENT_telnet_server:
		add_listening(n);
		break;
	case ATTACHMENT_unix_server:
		n->groups |= GROUP_BIT(listen_unix);
		break;
	case ATTACHMENT_pty:
	case ATTACHMENT_terminal:
		add_terminals(n);
		break;
	case ATTACHMENT_descriptor:
		n->groups |= GROUP_BIT(open);
		add_terminals(n);
		break;
	case ATTACHMENT_file:
	case ATTACHMENT_log_file:
	case ATTACHMENT_tcp_connect:
	case ATTACHMENT_unix_connect:
	case ATTACHMENT_null:
	case ATTACHMENT_N_KINDS:
		break;
	}
}

void sandbox_needs_of_socket(struct sandbox_needs *n, const char *path)
{
	n->groups |= GROUP_BIT(listen_unix);
	if (path[0] != '@')
		add_folder_of(n, path, SANDBOX_SOCKETS);
}

/* The setup. */

static void add_device(struct sandbox_needs *n, const struct device_spec *d, bool reloads)
{
	const struct list_node *ports = &d->ports;

	if (reloads && (d->options.mode.set || d->options.owner || d->options.group))
		n->groups |= GROUP_BIT(owners);
	if (d->options.socket && reloads)
		sandbox_needs_of_socket(n, d->options.socket);
	else if (d->options.socket && d->options.socket[0] != '@')
		add_folder_of(n, d->options.socket, SANDBOX_SOCKETS);
	for (const struct list_node *p = ports->next; p != ports; p = p->next) {
		const struct list_node *head =
			&list_entry(p, const struct port_spec, link)->attachments;

		for (const struct list_node *a = head->next; a != head; a = a->next) {
			const struct attachment_options *o =
				&list_entry(a, const struct attachment_spec, link)->options;

			if (reloads)
				sandbox_needs_of_attachment(n, o);
			else
				add_open_one(n, o);
		}
	}
}

static void add_options(struct sandbox_needs *n, const struct setup *setup)
{
	const struct console_options *o = &setup->options;

	for (unsigned int i = 0; i < setup->n_files; i++) {
		n->groups |= GROUP_BIT(open);
		add_with_links(n, setup->files[i], SANDBOX_READ, add_file_to_read);
	}
	if (o->journal) {
		n->groups |= GROUP_BIT(open);
		add_path(n, o->journal,
			 SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES | SANDBOX_LIST);
	}
	/* What a descriptor of a message is, is told there. */
	if (o->trace) {
		n->groups |= GROUP_BIT(open);
		add_path(n, "/proc", SANDBOX_READ | SANDBOX_LIST);
	}
	for (unsigned int i = 0; i < o->sandbox_paths.n_items; i++) {
		n->groups |= GROUP_BIT(open);
		add_path(n, o->sandbox_paths.items[i].text,
			 SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES | SANDBOX_SOCKETS |
				 SANDBOX_LINKS | SANDBOX_LIST);
	}
}

static void add_service_manager(struct sandbox_needs *n)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path)
		return;
	n->groups |= GROUP_BIT(notify);
	n->abstract |= path[0] == '@';
}

/* Whatever kind comes later; where files are stays as it is named. */
static void add_anything(struct sandbox_needs *n)
{
	n->groups |= GROUP_BIT(open) | GROUP_BIT(owners) | GROUP_BIT(listen_unix) |
		     GROUP_BIT(connect_unix) | GROUP_BIT(connect_tcp);
	n->any_port = n->abstract = true;
	add_listening(n);
	add_terminals(n);
}

/* Terminals that we have made are opened by name now and then. */
void sandbox_needs_of_descriptors(struct sandbox_needs *n)
{
	const struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && (entry = readdir(dir)) != NULL) {
		char path[32];
		int number;

		if (entry->d_name[0] == '.' || ioctl(atoi(entry->d_name), TIOCGPTN, &number) < 0)
			continue;
		snprintf(path, sizeof(path), "/dev/pts/%d", number);
		add_path(n, path, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_DEVICE);
	}
	if (dir)
		closedir(dir);
}

/* The next program, and the libraries that it is made of. */

static int add_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	if (info->dlpi_name && info->dlpi_name[0] == '/')
		add_folder_of(arg, info->dlpi_name, SANDBOX_READ | SANDBOX_EXECUTE);
	return 0;
}

static void add_upgrade(struct sandbox_needs *n)
{
	char program[4096];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	n->groups |= GROUP_BIT(upgrade) | GROUP_BIT(start) | GROUP_BIT(open);
	if (len > 0) {
		program[len] = '\0';
		add_folder_of(n, program, SANDBOX_READ | SANDBOX_EXECUTE);
	}
	dl_iterate_phdr(add_library, n);
	add_path(n, "/etc/ld.so.cache", SANDBOX_READ);
	add_path(n, "/etc/ld.so.preload", SANDBOX_READ);
}

/* What the compiler has put in, which opens files of its own. */
static void add_instruments(struct sandbox_needs *n)
{
#ifdef SANDBOX_SANITIZED
	n->groups |= GROUP_BIT(instruments) | GROUP_BIT(open);
	add_path(n, "/proc", SANDBOX_READ | SANDBOX_LIST);
#endif
#ifdef COUNTERS_FOLDER
	n->groups |= GROUP_BIT(instruments) | GROUP_BIT(open);
	add_path(n, COUNTERS_FOLDER, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES | SANDBOX_LIST);
#endif
	(void)n;
}

void sandbox_needs_of_setup(struct sandbox_needs *n, const struct setup *setup,
			    const struct sandbox_options *options)
{
	const struct list_node *head = &setup->devices;
	bool reloads = setup->has_files || options->control;

	add_path(n, "/dev/null", SANDBOX_READ | SANDBOX_WRITE);
	for (const struct list_node *node = head->next; node != head; node = node->next)
		add_device(n, list_entry(node, const struct device_spec, link), reloads);
	if (setup->control && setup->control->options.address[0] != '@')
		add_folder_of(n, setup->control->options.address, SANDBOX_SOCKETS);
	add_options(n, setup);
	add_service_manager(n);
	if (options->control || options->anything)
		add_anything(n);
	if (options->upgrade)
		add_upgrade(n);
	add_instruments(n);
}
