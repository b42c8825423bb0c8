/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Plays a machine and its Linux guest against a back-end's socket, without
 * either: tests of the daemon use it where a real guest would take minutes.
 *
 * Data goes to standard output, one line per step to standard error, so that a
 * script can wait for them. Exit status 0: all went as it should; 1: it did
 * not, and the last line says what was expected; 2: usage.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest.h"
#include "virtio/console-ctrl.h"

struct settings {
	enum vhu_frontend_style style;
	const char *socket;
	int fd; /* an inherited connection instead, or -1 */
	uint64_t features, protocol;
	unsigned int size, connections, reboots;
	unsigned int ports; /* that the machine has rings for; 0: what the device has */
	const char *port;   /* number or name; NULL: port 0, which is a console */
	int timeout_ms;
	bool wait_open, die;
	const char *scenario, *argument;
};

struct machine {
	const struct settings *settings;
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct guest guest;
	unsigned int port; /* the one that the scenario is about */
};

static void say(const char *what)
{
	fprintf(stderr, "%s\n", what);
}

/* Scenarios: each ends when it has done what it is for. */

static int print(const void *bytes, size_t len)
{
	return fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -EIO;
}

static int write_out(struct machine *m, const void *bytes, size_t len)
{
	return guest_write_port(&m->guest, m->port, bytes, len, m->settings->timeout_ms);
}

/* Nothing beyond the handshake. */
static int do_boot(struct machine *m)
{
	(void)m;
	return 0;
}

static int do_send(struct machine *m)
{
	const char *text = m->settings->argument;

	return write_out(m, text, strlen(text));
}

/* The output of seq 1 N, as a guest's terminal prints it but for the \r. */
static int do_seq(struct machine *m)
{
	unsigned long n = strtoul(m->settings->argument, NULL, 10);
	char buf[GUEST_PAGE];
	size_t len = 0;
	int err = 0;

	for (unsigned long i = 1; i <= n && err == 0; i++) {
		len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%lu\n", i);
		if (sizeof(buf) - len >= 32 && i < n)
			continue;
		err = write_out(m, buf, len);
		len = 0;
	}
	return err;
}

/* Standard input, to its end, goes to the port. */
static int do_file_out(struct machine *m)
{
	char buf[GUEST_PAGE];
	int err = 0;

	while (err == 0) {
		ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

		if (n == 0)
			break;
		if (n > 0)
			err = write_out(m, buf, (size_t)n);
		else if (errno != EINTR)
			err = -errno;
	}
	return err;
}

/* N bytes of input, each piece passed to `each`. */
static int take(struct machine *m, int (*each)(struct machine *m, const void *bytes, size_t len))
{
	size_t left = strtoul(m->settings->argument, NULL, 10);
	int err = 0;

	while (left > 0 && err == 0) {
		uint8_t buf[GUEST_PAGE];
		int n = guest_read_some_port(&m->guest, m->port, buf, min_size(left, sizeof(buf)),
					     m->settings->timeout_ms);

		if (n < 0)
			return n;
		left -= (size_t)n;
		err = each(m, buf, (size_t)n);
	}
	return err;
}

static int print_piece(struct machine *m, const void *bytes, size_t len)
{
	(void)m;
	return print(bytes, len);
}

/* N bytes of input go to standard output. */
static int do_sink(struct machine *m)
{
	return take(m, print_piece);
}

/* N bytes of input go back to where they came from: cat on a raw terminal. */
static int do_echo(struct machine *m)
{
	return take(m, write_out);
}

/* Until standard input ends; heard (or NULL) is told what the device says. */
static int attend(struct machine *m, void (*heard)(const struct guest_event *e))
{
	ssize_t n = 1;
	int err = 0;
	char byte;

	while (err == 0 && n != 0) {
		err = guest_attend(&m->guest, STDIN_FILENO, heard);
		if (err == 0)
			n = read(STDIN_FILENO, &byte, 1);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			err = -errno;
	}
	return err;
}

/* Up and running; what the device says is answered, and input waits. */
static int do_idle(struct machine *m)
{
	return attend(m, NULL);
}

static void print_event(const struct guest_event *e)
{
	switch (e->event) {
	case CONSOLE_PORT_ADD:
		printf("add %u\n", e->id);
		break;
	case CONSOLE_PORT_REMOVE:
		printf("remove %u\n", e->id);
		break;
	case CONSOLE_CONSOLE_PORT:
		printf("console %u\n", e->id);
		break;
	case CONSOLE_PORT_OPEN:
		printf("open %u %u\n", e->id, e->value);
		break;
	case CONSOLE_PORT_NAME:
		printf("name %u %s\n", e->id, e->name);
		break;
	case CONSOLE_RESIZE:
		printf("resize %u %u %u\n", e->id, e->cols, e->rows);
		break;
	default:
		break;
	}
	fflush(stdout);
}

/* What the device says, a line each. */
static int do_watch(struct machine *m)
{
	return attend(m, print_event);
}

/* The ports, once the device has said all there is to say of them. */
static int do_list(struct machine *m)
{
	enum { QUIET_MS = 200 };
	struct guest *g = &m->guest;
	int err = guest_settle(g, QUIET_MS);

	for (unsigned int i = 0; i < g->n_ports && err == 0; i++) {
		const struct guest_port *p = &g->ports[i];

		if (p->added)
			printf("%u %s %s %s %ux%u\n", i, p->name[0] ? p->name : "-",
			       p->is_console ? "console" : "port", p->host_open ? "open" : "closed",
			       p->cols, p->rows);
	}
	return err;
}

/* Each character as an emergency write, from a guest that has no driver yet. */
static int do_emerg(struct machine *m)
{
	int err = 0;

	for (const char *at = m->settings->argument; *at && err == 0; at++) {
		const uint8_t bytes[4] = { (uint8_t)*at };

		err = vhu_frontend_set_config(&m->fe, 8, bytes, sizeof(bytes), 0, true);
	}
	return err;
}

/* What a scenario needs of the guest before it runs. */
enum need {
	NEED_NOTHING, /* not even a driver */
	NEED_DRIVER,
	NEED_PORT, /* open */
};

static const struct scenario {
	const char *name;
	bool argument;
	enum need need;
	int (*run)(struct machine *m);
} scenarios[] = {
	{ "boot", false, NEED_PORT, do_boot },
	{ "send", true, NEED_PORT, do_send },
	{ "seq", true, NEED_PORT, do_seq },
	{ "sink", true, NEED_PORT, do_sink },
	{ "echo", true, NEED_PORT, do_echo },
	{ "idle", false, NEED_PORT, do_idle },
	{ "file-out", false, NEED_PORT, do_file_out },
	{ "pump", false, NEED_PORT, do_file_out },
	{ "file-in", true, NEED_PORT, do_sink },
	{ "list", false, NEED_DRIVER, do_list },
	{ "watch", false, NEED_DRIVER, do_watch },
	{ "emerg", true, NEED_NOTHING, do_emerg },
};

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

/* As a program that opens the port's device file, once there is one. */
static int open_port(struct machine *m)
{
	const struct settings *s = m->settings;
	char *end;
	unsigned long number = strtoul(s->port, &end, 10);
	int err;

	if (!m->guest.multiport)
		return number == 0 && *end == '\0'
			       ? 0
			       : vhu_frontend_fail(&m->fe, -ENOENT, "a driver of many ports");
	if (*end == '\0' && end != s->port) {
		m->port = (unsigned int)min_size(number, UINT32_MAX);
		err = guest_await_port(&m->guest, m->port, s->timeout_ms);
	} else {
		err = guest_await_name(&m->guest, s->port, s->timeout_ms, &m->port);
	}
	return err == 0 ? guest_open_port(&m->guest, m->port, true) : err;
}

/* A driver that starts, and the scenario. */
static int run_guest(struct machine *m)
{
	const struct settings *s = m->settings;
	const struct scenario *scenario = find_scenario(s->scenario);
	int err;

	if (scenario->need == NEED_DRIVER || s->port)
		err = guest_hello(&m->guest);
	else
		err = guest_start(&m->guest, s->timeout_ms);
	if (err == 0 && s->port && scenario->need == NEED_PORT)
		err = open_port(m);
	if (err == 0 && s->wait_open && m->guest.multiport)
		err = guest_await_port_host_open(&m->guest, m->port, true, s->timeout_ms);
	if (err == 0)
		say("up");
	return err == 0 ? scenario->run(m) : err;
}

/* As a guest does that resets its devices: the rings are empty again. */
static int reboot_guest(struct machine *m)
{
	int err = vhu_style_stop(&m->fe, &m->plan);

	if (err == 0)
		err = vhu_frontend_ping(&m->fe);
	if (err < 0)
		return err;
	for (unsigned int i = 0; i < m->plan.n_set_up; i++)
		vhu_frontend_reset_ring(&m->fe, i);
	err = vhu_style_start(&m->fe, &m->plan);
	if (err == 0)
		err = vhu_frontend_ping(&m->fe);
	return err == 0 ? run_guest(m) : err;
}

/* How many rings the machine has: what it was told, or as many as the device. */
static int plan_rings(struct machine *m)
{
	const struct settings *s = m->settings;
	uint64_t n = GUEST_RINGS(s->ports);
	int err = 0;

	if (s->ports == 0)
		err = vhu_frontend_get_u64(&m->fe, VHU_FE_GET_QUEUE_NUM, &n);
	if (n > VHU_MAX_FD_RINGS && !vhu_style_inband(s->style)) {
		if (s->ports > 0)
			return vhu_frontend_fail(&m->fe, -EINVAL,
						 "127 ports at most, or --style uml");
		n = VHU_MAX_FD_RINGS;
	}
	m->plan.n_rings = (unsigned int)n;
	return err;
}

/* How many of them the guest's driver uses: as many as the device's config space says. */
static int plan_driver(struct machine *m)
{
	uint64_t features = vhu_style_features(&m->fe, &m->plan);
	unsigned int n_rings = m->plan.n_rings;
	uint8_t max_nr_ports[4];
	int err;

	m->plan.n_set_up = 2;
	if (!(features & 2) || n_rings < GUEST_N_RINGS)
		return 0;
	m->plan.n_set_up = n_rings;
	if (!vhu_frontend_has_protocol(&m->fe, VHU_PF_CONFIG_BIT))
		return 0;
	err = vhu_frontend_get_config(&m->fe, 4, sizeof(max_nr_ports), 0, max_nr_ports);
	if (err < 0)
		return err;
	n_rings = GUEST_RINGS(max_nr_ports[0] + 256u * max_nr_ports[1]);
	if (n_rings < m->plan.n_set_up)
		m->plan.n_set_up = n_rings;
	return 0;
}

static int connect_machine(struct machine *m)
{
	const struct settings *s = m->settings;

	if (s->fd < 0)
		return vhu_frontend_connect(&m->fe, s->socket);
	vhu_frontend_attach(&m->fe, s->fd);
	return 0;
}

/* Boots the guest and has it do what it is for, again and again. */
static int run_machine(struct machine *m)
{
	const struct settings *s = m->settings;
	int err = plan_driver(m);

	if (err == 0)
		err = vhu_style_boot(&m->fe, &m->plan, s->size);
	if (err == 0)
		err = guest_init(&m->guest, &m->fe, vhu_style_features(&m->fe, &m->plan));
	if (err == 0)
		err = run_guest(m);
	for (unsigned int i = 0; i < s->reboots && err == 0; i++)
		err = reboot_guest(m);
	if (err == 0 && s->die)
		raise(SIGKILL);
	return err == 0 ? vhu_style_stop(&m->fe, &m->plan) : err;
}

static int run_connection(struct machine *m)
{
	const struct scenario *scenario = find_scenario(m->settings->scenario);
	int err = connect_machine(m);

	if (err < 0)
		return err;
	say("connected");
	err = plan_rings(m);
	if (err == 0)
		err = vhu_style_begin(&m->fe, &m->plan);
	if (err == 0)
		err = scenario->need == NEED_NOTHING ? scenario->run(m) : run_machine(m);
	if (err == 0)
		err = vhu_frontend_ping(&m->fe);
	if (err == 0)
		say("done");
	return err;
}

static int run(const struct settings *s)
{
	int err = 0;

	for (unsigned int i = 0; i < s->connections && err == 0; i++) {
		struct machine m = {
			.settings = s,
			.plan = {
				.style = s->style,
				.features = s->features,
				.protocol = s->protocol,
			},
		};

		vhu_frontend_init(&m.fe, -1);
		m.fe.timeout_ms = s->timeout_ms;
		err = run_connection(&m);
		if (err < 0)
			fprintf(stderr, "failed (%s): expected %s\n", strerror(-err), m.fe.error);
		guest_fini(&m.guest);
		vhu_frontend_fini(&m.fe);
	}
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: vhu-guest --socket PATH | --fd N [--style STYLE] [--features MASK]\n"
		"       [--protocol MASK] [--size N] [--connections N] [--reboots N]\n"
		"       [--timeout MS] [--ports N] [--port NUMBER|NAME] [--wait-open] [--die]\n"
		"       SCENARIO\n"
		"on a port (0, a console, unless given):\n"
		"  boot | send TEXT | seq N | sink N | file-in N | echo N | file-out | pump | "
		"idle\n"
		"on the device: list | watch | emerg TEXT\n"
		"styles:");
	for (int i = 0; i < VHU_N_STYLES; i++)
		fprintf(stderr, " %s", vhu_style_name((enum vhu_frontend_style)i));
	fprintf(stderr, "\n");
	return 2;
}

enum {
	STYLE,
	SOCKET,
	FD,
	FEATURES,
	PROTOCOL,
	SIZE,
	CONNECTIONS,
	REBOOTS,
	TIMEOUT,
	PORTS,
	PORT,
	WAIT_OPEN,
	DIE
};

static const struct option options[] = {
	{ "style", required_argument, NULL, STYLE },
	{ "socket", required_argument, NULL, SOCKET },
	{ "fd", required_argument, NULL, FD },
	{ "features", required_argument, NULL, FEATURES },
	{ "protocol", required_argument, NULL, PROTOCOL },
	{ "size", required_argument, NULL, SIZE },
	{ "connections", required_argument, NULL, CONNECTIONS },
	{ "reboots", required_argument, NULL, REBOOTS },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "ports", required_argument, NULL, PORTS },
	{ "port", required_argument, NULL, PORT },
	{ "wait-open", no_argument, NULL, WAIT_OPEN },
	{ "die", no_argument, NULL, DIE },
	{ NULL, 0, NULL, 0 },
};

/* Options whose value is one number. */
static bool take_number(struct settings *s, int which, uint64_t number)
{
	switch (which) {
	case FD:
		s->fd = (int)number;
		return true;
	case FEATURES:
		s->features = number;
		return true;
	case PROTOCOL:
		s->protocol = number;
		return true;
	case SIZE:
		s->size = (unsigned int)number;
		return true;
	case CONNECTIONS:
		s->connections = (unsigned int)number;
		return true;
	case REBOOTS:
		s->reboots = (unsigned int)number;
		return true;
	case TIMEOUT:
		s->timeout_ms = (int)number;
		return true;
	case PORTS:
		s->ports = (unsigned int)number;
		return number <= VHU_MAX_RINGS / 2 - 1;
	default:
		return false;
	}
}

static bool take_option(struct settings *s, int which, const char *value)
{
	switch (which) {
	case STYLE:
		return vhu_style_find(value, &s->style);
	case SOCKET:
		s->socket = value;
		return true;
	case PORT:
		s->port = value;
		return true;
	case WAIT_OPEN:
		s->wait_open = true;
		return true;
	case DIE:
		s->die = true;
		return true;
	default:
		return take_number(s, which, value ? strtoull(value, NULL, 0) : 0);
	}
}

int main(int argc, char **argv)
{
	struct settings s = {
		.style = VHU_STYLE_QEMU,
		.fd = -1,
		.connections = 1,
		.timeout_ms = 10000,
	};
	const struct scenario *scenario;
	int which;

	while ((which = getopt_long(argc, argv, "", options, NULL)) >= 0)
		if (!take_option(&s, which, optarg))
			return usage();
	if (!s.socket == (s.fd < 0) || optind >= argc)
		return usage();
	s.scenario = argv[optind++];
	scenario = find_scenario(s.scenario);
	if (!scenario || argc - optind != (int)scenario->argument)
		return usage();
	s.argument = argv[optind];
	signal(SIGPIPE, SIG_IGN);
	return run(&s);
}
