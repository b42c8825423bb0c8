/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Kills the daemon at random moments while a guest and the clients of its
 * lossless ports send each other streams, starts it again, and compares every
 * byte: VU-171 to VU-173, VU-235. The front-end and the guest are ours.
 *
 *   restart [--kills N] [--upgrades N] [--ports N] [--seed N] [--packed] [--in-order]
 *           [--term] DAEMON
 *
 * Before each kill it is upgraded N times (SIGUSR2), and nobody notices that; some
 * of the kills come amid one more.
 * --term: it is asked to end, and its clients do not read before it has.
 *
 * What a client has sent and the daemon has not read when it dies is lost with
 * the connection, which no back-end can help. So before some of the kills the
 * clients wait until all of it was read: then the guest must get all of it, and
 * otherwise a beginning of it, from the end of which the client goes on.
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "side.h"
#include "vhu/frontend-migrate.h"
#include "virtio/features.h"

enum {
	MAX_PORTS = 8,
	RING_SIZE = 64,
	MARK = 33,
	LATE_MAX = 4 << 20,
};

struct port {
	struct side side;
	uint8_t *late; /* input after a kill, up to the mark */
	size_t n_late;
	bool marked;
};

static struct {
	struct run_daemon daemon;
	unsigned int n_kills, n_upgrades;
	long log_at; /* what it has said before was looked at */
	uint64_t seed;
	bool packed, in_order, term;
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct vhu_frontend_inflight record;
	struct guest guest;
	unsigned int n_ports;
	struct port ports[MAX_PORTS];
} t;

static bool all_read(void)
{
	for (unsigned int i = 0; i < t.n_ports; i++)
		if (!side_all_read(&t.ports[i].side))
			return false;
	return true;
}

/* What goes on between two kills. */

static void step(bool clients_send)
{
	for (unsigned int i = 0; i < t.n_ports; i++) {
		struct side *s = &t.ports[i].side;

		side_send(s);
		side_receive(s, UINT_MAX);
		if (!side_client_receive(s))
			die("port %u: the daemon has closed the connection", s->id);
		if (clients_send)
			side_client_send(s);
	}
	must(&t.fe, guest_poll_control(&t.guest), "the control queue");
}

/* Bytes that no stream has: what comes before them was on its way when the daemon died. */
static const uint8_t mark[MARK] = "(here begins the next connection)";

static void take_late(struct side *s, const uint8_t *bytes, size_t len)
{
	struct port *p = container_of(s, struct port, side);

	if (len > LATE_MAX - p->n_late)
		die("port %u: more input than there can be", s->id);
	memcpy(p->late + p->n_late, bytes, len);
	p->n_late += len;
	p->marked = p->n_late >= MARK && memcmp(p->late + p->n_late - MARK, mark, MARK) == 0;
}

static void client_mark(struct port *p)
{
	if (send(p->side.fd, mark, MARK, MSG_NOSIGNAL) != MARK)
		die("port %u: the mark could not be sent", p->side.id);
	p->n_late = 0;
	p->marked = false;
	p->side.take = take_late;
}

static void say_what_is_missing(void)
{
	for (unsigned int i = 0; i < t.n_ports; i++) {
		const struct port *p = &t.ports[i];

		printf("# port %u: output %" PRIu64 " of %" PRIu64 ", input %zu after %" PRIu64
		       " of %" PRIu64 "\n",
		       p->side.id, p->side.out.got, p->side.out.sent, p->n_late, p->side.in.got,
		       p->side.in.sent);
	}
	die("bytes are missing");
}

/* All output has come, and all input that the daemon had read. */
static void settle(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	bool done = false;

	while (!done) {
		must(&t.fe, guest_poll_control(&t.guest), "the control queue");
		done = true;
		for (unsigned int i = 0; i < t.n_ports; i++) {
			struct port *p = &t.ports[i];

			side_collect(&p->side);
			side_receive(&p->side, UINT_MAX);
			side_client_receive(&p->side);
			done &= p->side.out.got == p->side.out.sent && p->marked;
		}
		if (!done && monotonic_ms() > deadline)
			say_what_is_missing();
	}
}

/* What the daemon had not read, the client sends again. */
static void go_on(struct port *p, bool exact)
{
	struct line *in = &p->side.in;

	p->side.take = NULL;
	side_compare(&p->side, in, p->late, p->n_late - MARK, "input");
	if (exact && in->got != in->sent)
		die("port %u: the daemon had read %" PRIu64 " bytes, the guest has %" PRIu64,
		    p->side.id, in->sent, in->got);
	in->sent = in->got;
}

static void give_record(void)
{
	must(&t.fe,
	     vhu_frontend_inflight_ready(&t.fe, &t.record, vhu_style_features(&t.fe, &t.plan),
					 t.plan.n_set_up, RING_SIZE),
	     "giving the record of requests in flight");
}

static void reconnect(void)
{
	vhu_frontend_attach(&t.fe, daemon_start(&t.daemon));
	vhu_frontend_recover_bases(&t.fe);
	must(&t.fe, vhu_style_negotiate(&t.fe, &t.plan), "negotiating again");
	give_record();
	must(&t.fe, vhu_style_start(&t.fe, &t.plan), "starting the rings again");
	for (unsigned int i = 0; i < t.n_ports; i++) {
		side_connect(&t.ports[i].side, &t.daemon);
		client_mark(&t.ports[i]);
	}
}

/* A new program goes on in its place, while bytes flow. */
static void one_upgrade(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	daemon_said(&t.daemon, "", &t.log_at);
	kill(t.daemon.pid, SIGUSR2);
	while (!daemon_said(&t.daemon, ": upgraded: ", &t.log_at)) {
		step(true);
		if (monotonic_ms() > deadline)
			die("the daemon was not upgraded: see %s", t.daemon.log);
	}
}

/* One kill, at a moment that is not known, and what is left of it. */
static void one_kill(void)
{
	bool exact = run_random() % 2;
	uint64_t end = monotonic_ns() + run_random() % 20000000;
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	for (unsigned int i = 0; i < t.n_upgrades; i++)
		one_upgrade();
	if (t.n_upgrades > 0 && run_random() % 4 == 0)
		kill(t.daemon.pid, SIGUSR2);
	while (monotonic_ns() < end)
		step(true);
	while (exact && !all_read()) {
		step(false);
		if (monotonic_ms() > deadline)
			die("the daemon does not read its clients");
	}
	daemon_signal(&t.daemon, t.term ? SIGTERM : SIGKILL);
	vhu_frontend_disconnect(&t.fe);
	for (unsigned int i = 0; i < t.n_ports; i++)
		side_leave(&t.ports[i].side);
	reconnect();
	settle();
	for (unsigned int i = 0; i < t.n_ports; i++)
		go_on(&t.ports[i], exact);
}

static void set_up_port(struct port *p, unsigned int id)
{
	side_init(&p->side, &t.fe, id);
	must(&t.fe, guest_await_port(&t.guest, id, RUN_WAIT_MS), "a port");
	side_open(&p->side, &t.guest);
	p->late = malloc(LATE_MAX);
	if (!p->late)
		die("no memory");
	side_connect(&p->side, &t.daemon);
	client_mark(p);
}

static void set_up(void)
{
	const uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
				  BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(1) |
				  (t.packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0) |
				  (t.in_order ? BIT(VIRTIO_F_IN_ORDER_BIT) : 0);

	t.plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features,
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT),
		.n_set_up = GUEST_RINGS(t.n_ports + 1),
	};
	vhu_frontend_init(&t.fe, daemon_start(&t.daemon));
	must(&t.fe, vhu_style_begin(&t.fe, &t.plan), "negotiating");
	give_record();
	must(&t.fe, vhu_style_boot(&t.fe, &t.plan, RING_SIZE), "setting up");
	must(&t.fe, guest_init(&t.guest, &t.fe, features), "the driver");
	t.guest.caller_posts = true;
	must(&t.fe, guest_start(&t.guest, RUN_WAIT_MS), "the driver's start");
	for (unsigned int i = 0; i < t.n_ports; i++)
		set_up_port(&t.ports[i], i + 1);
	/* The daemon knows its clients then, and will hold for them. */
	settle();
	for (unsigned int i = 0; i < t.n_ports; i++)
		go_on(&t.ports[i], true);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: restart [--kills N] [--upgrades N] [--ports N] [--seed N] [--packed] "
		"[--in-order] [--term] DAEMON\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kills", required_argument, NULL, 'k' },
		{ "upgrades", required_argument, NULL, 'u' },
		{ "ports", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "packed", no_argument, NULL, 'P' },
		{ "in-order", no_argument, NULL, 'O' },
		{ "term", no_argument, NULL, 'T' },
		{ 0 },
	};
	int c;

	t.n_kills = 20;
	t.n_ports = 2;
	t.seed = monotonic_ns();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'k')
			t.n_kills = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'u')
			t.n_upgrades = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 'p')
			t.n_ports = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 's')
			t.seed = strtoull(optarg, NULL, 10);
		else if (c == 'P')
			t.packed = true;
		else if (c == 'O')
			t.in_order = true;
		else if (c == 'T')
			t.term = true;
		else
			usage();
	}
	if (optind + 1 != argc || t.n_ports < 1 || t.n_ports > MAX_PORTS || t.seed == 0)
		usage();
	t.daemon.program = argv[optind];
	t.daemon.n_ports = t.n_ports;
	t.daemon.max_ports = t.n_ports + 1;
}

int main(int argc, char **argv)
{
	uint64_t n_out = 0, n_in = 0;

	parse(argc, argv);
	run_begin(t.seed);
	t.record = (struct vhu_frontend_inflight)VHU_FRONTEND_INFLIGHT_NONE;
	daemon_make(&t.daemon, "restart");
	t.daemon.option = "--journal";
	t.daemon.value = t.daemon.dir;
	set_up();
	for (unsigned int i = 0; i < t.n_kills; i++)
		one_kill();
	for (unsigned int i = 0; i < t.n_ports; i++) {
		n_out += t.ports[i].side.out.got;
		n_in += t.ports[i].side.in.got;
		side_leave(&t.ports[i].side);
		free(t.ports[i].late);
	}
	printf("# seed %" PRIu64 ": %u kills, %u upgrades, %u ports, %" PRIu64
	       " bytes out, %" PRIu64 " bytes in, 0 lost, 0 doubled\n",
	       t.seed, t.n_kills, t.n_kills * t.n_upgrades, t.n_ports, n_out, n_in);
	daemon_kill(&t.daemon);
	daemon_remove(&t.daemon);
	guest_fini(&t.guest);
	vhu_frontend_inflight_fini(&t.record);
	vhu_frontend_fini(&t.fe);
	printf("ok 1 - nothing is lost or doubled when the daemon is killed\n1..1\n");
	return 0;
}
