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

#include "guest.h"

struct settings {
	enum vhu_frontend_style style;
	const char *socket;
	int fd; /* an inherited connection instead, or -1 */
	uint64_t features, protocol;
	unsigned int size, connections, reboots;
	int timeout_ms;
	bool wait_open, die;
	const char *scenario, *argument;
};

struct machine {
	const struct settings *settings;
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct guest guest;
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

/* Nothing beyond the handshake. */
static int do_boot(struct machine *m)
{
	(void)m;
	return 0;
}

static int do_send(struct machine *m)
{
	const char *text = m->settings->argument;

	return guest_write(&m->guest, text, strlen(text), m->settings->timeout_ms);
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
		err = guest_write(&m->guest, buf, len, m->settings->timeout_ms);
		len = 0;
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
		int n = guest_read_some(&m->guest, buf, min_size(left, sizeof(buf)),
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

static int echo_piece(struct machine *m, const void *bytes, size_t len)
{
	return guest_write(&m->guest, bytes, len, m->settings->timeout_ms);
}

/* N bytes of input go to standard output. */
static int do_sink(struct machine *m)
{
	return take(m, print_piece);
}

/* N bytes of input go back to where they came from: cat on a raw terminal. */
static int do_echo(struct machine *m)
{
	return take(m, echo_piece);
}

/* Up and running until standard input ends. */
static int do_idle(struct machine *m)
{
	char byte;
	ssize_t n;

	(void)m;
	do {
		n = read(STDIN_FILENO, &byte, 1);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return 0;
}

static const struct scenario {
	const char *name;
	bool argument;
	int (*run)(struct machine *m);
} scenarios[] = {
	{ "boot", false, do_boot }, { "send", true, do_send }, { "seq", true, do_seq },
	{ "sink", true, do_sink },  { "echo", true, do_echo }, { "idle", false, do_idle },
};

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

/* A driver that starts, and the scenario. */
static int run_guest(struct machine *m)
{
	const struct settings *s = m->settings;
	int err = guest_start(&m->guest, s->timeout_ms);

	if (err == 0 && s->wait_open && m->guest.multiport)
		err = guest_await_host_open(&m->guest, true, s->timeout_ms);
	if (err == 0)
		say("up");
	return err == 0 ? find_scenario(s->scenario)->run(m) : err;
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

static int run_connection(struct machine *m)
{
	const struct settings *s = m->settings;
	int err = 0;

	if (s->fd >= 0)
		vhu_frontend_attach(&m->fe, s->fd);
	else
		err = vhu_frontend_connect(&m->fe, s->socket);
	if (err < 0)
		return err;
	say("connected");
	err = vhu_style_setup(&m->fe, &m->plan, s->size);
	if (err == 0)
		err = guest_init(&m->guest, &m->fe, vhu_style_features(&m->fe, &m->plan));
	if (err == 0)
		err = run_guest(m);
	for (unsigned int i = 0; i < s->reboots && err == 0; i++)
		err = reboot_guest(m);
	if (err == 0 && s->die)
		raise(SIGKILL);
	if (err == 0)
		err = vhu_style_stop(&m->fe, &m->plan);
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
		bool multiport = !s->features || (s->features & 2);
		struct machine m = {
			.settings = s,
			.plan = {
				.style = s->style,
				.features = s->features,
				.protocol = s->protocol,
				.n_rings = GUEST_N_RINGS,
				.n_set_up = multiport && s->style != VHU_STYLE_CLOUD_HYPERVISOR
						    ? GUEST_N_RINGS
						    : 2,
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
		"       [--timeout MS] [--wait-open] [--die]\n"
		"       boot | send TEXT | seq N | sink N | echo N | idle\n"
		"styles:");
	for (int i = 0; i < VHU_N_STYLES; i++)
		fprintf(stderr, " %s", vhu_style_name((enum vhu_frontend_style)i));
	fprintf(stderr, "\n");
	return 2;
}

enum { STYLE, SOCKET, FD, FEATURES, PROTOCOL, SIZE, CONNECTIONS, REBOOTS, TIMEOUT, WAIT_OPEN, DIE };

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
	{ "wait-open", no_argument, NULL, WAIT_OPEN },
	{ "die", no_argument, NULL, DIE },
	{ NULL, 0, NULL, 0 },
};

static bool take_option(struct settings *s, int which, const char *value)
{
	uint64_t number = value ? strtoull(value, NULL, 0) : 0;

	switch (which) {
	case STYLE:
		return vhu_style_find(value, &s->style);
	case SOCKET:
		s->socket = value;
		return true;
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
	case WAIT_OPEN:
		s->wait_open = true;
		return true;
	case DIE:
		s->die = true;
		return true;
	default:
		return false;
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
