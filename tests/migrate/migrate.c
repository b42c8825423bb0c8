/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Moves a guest between two daemons again and again while it and the clients of
 * its lossless ports send each other streams, and compares every byte; and all
 * of memory, which comes with the dirty log or late: VU-155 to VU-168, VU-177 to
 * VU-181, VU-192 to VU-200, VU-119. The front-end and the guest are ours.
 *
 *   migrate [--moves N] [--ports N] [--mode precopy|postcopy] [--packed] [--seed N]
 *           [--fail N] DAEMON
 *
 * A client reads at the source what the source has given it, then goes on at the
 * destination. It sends nothing while the guest moves, and has seen that all was
 * read before: what has not reached the guest by then is part of the state.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "migrate.h"
#include "vhu/frontend-postcopy.h"
#include "virtio/features.h"

enum {
	RING_SIZE = 64,
	BUSY_NS = 3 * 1000 * 1000, /* of load at a time, at most */
	FILLING = 32,		   /* steps, at most, in which whoever is slow is given more */
	FILL = 64,		   /* pages put in place between two steps */
	ALARM_S = 600,
	MEMORY_LEN = 1 << 20, /* of the guest; and more for each port */
	PORT_MEMORY_LEN = 1 << 18,
};

/* How a move ends. All but the first go on at the source. */
enum ending {
	WELL,
	CUT,	     /* the state is truncated */
	FOREIGN,     /* or of something else */
	OTHER_PORTS, /* or does not fit */
	DEAD_BEFORE, /* the destination dies before the state comes */
	DEAD_AFTER,  /* or after it was taken */
	N_ENDINGS,
};

struct migrate m;

static struct {
	unsigned int n_moves, fail;
	bool postcopy, packed;
	uint64_t seed;
	struct vhu_frontend_state state;
	struct vhu_frontend_postcopy pc;
	uint64_t stopped_ns; /* when the first ring was stopped */
	long log_at[2];	     /* what the daemons have said until there was looked at */

	/* Figures */
	double *downtimes; /* of moves that went well, ms */
	unsigned int n_well, n_failed;
	size_t state_min, state_max;
	uint64_t n_passed, n_after, n_late, n_faults; /* pages */
	uint64_t n_out_under_way, n_in_under_way;     /* bytes, sums over moves */
} t;

/* Load */

void step(bool clients_send)
{
	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct move_port *p = &m.ports[i];

		side_send(&p->side);
		if (!p->slow_guest)
			side_receive(&p->side, UINT_MAX);
		if (!p->slow_client && !side_client_receive(&p->side))
			die("port %u: the daemon has closed the connection", p->side.id);
		if (clients_send)
			side_client_send(&p->side);
	}
	must(&m.fe, guest_poll_control(&m.guest), "the control queue");
}

void be_busy(void)
{
	uint64_t end = monotonic_ns() + run_random() % BUSY_NS;

	do {
		step(true);
	} while (monotonic_ns() < end);
}

static bool all_read(void)
{
	bool all = true;

	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct side *s = &m.ports[i].side;

		if (side_all_read(s))
			continue;
		side_receive(s, 1); /* makes room, and no more than is needed */
		all = false;
	}
	return all;
}

/* Clients are silent from now on; what they have sent is in the daemon, or further. */
static void become_silent(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	for (unsigned int i = 0; i < m.n_ports; i++) {
		m.ports[i].slow_guest = run_random() % 4 != 0;
		m.ports[i].slow_client = run_random() % 4 != 0;
	}
	for (uint64_t n = run_random() % FILLING; n > 0; n--)
		step(true);
	while (!all_read()) {
		must(&m.fe, vhu_frontend_ping(&m.fe), "a barrier");
		if (monotonic_ms() > deadline)
			die("the daemon does not read its clients");
	}
}

static void wake_up(void)
{
	for (unsigned int i = 0; i < m.n_ports; i++)
		m.ports[i].slow_guest = m.ports[i].slow_client = false;
}

/* Steps of a move */

static void negotiate_there(void)
{
	vhu_frontend_init(&m.there, daemon_dial_patiently(destination(), destination()->socket));
	must(&m.there, vhu_style_negotiate(&m.there, &m.plan), "negotiating");
}

/* Here or there: where fe is connected to. */
static void start_rings(void)
{
	for (unsigned int i = 0; i < m.plan.n_set_up; i++) {
		const struct vhu_frontend_ring *r = &m.fe.rings[i];
		int err = vhu_frontend_vring(&m.fe, VHU_FE_SET_VRING_NUM, i, r->size, false);

		if (err == 0)
			err = vhu_frontend_vring(&m.fe, VHU_FE_SET_VRING_BASE, i, r->base, false);
		if (err == 0)
			err = vhu_frontend_vring_addr(&m.fe, i, 0, 0, false);
		if (err == 0)
			err = vhu_frontend_vring_fd(&m.fe, VHU_FE_SET_VRING_CALL, i, r->call_peer,
						    false);
		if (err == 0)
			err = vhu_frontend_vring(&m.fe, VHU_FE_SET_VRING_ENABLE, i, 1, false);
		if (err == 0)
			err = vhu_frontend_vring_fd(&m.fe, VHU_FE_SET_VRING_KICK, i, r->kick_fd,
						    true);
		if (err == 0)
			err = vhu_frontend_kick(&m.fe, i);
		must(&m.fe, err, "starting a ring");
	}
}

static int set_features(void)
{
	return vhu_frontend_set_u64(&m.fe, VHU_FE_SET_FEATURES, vhu_style_features(&m.fe, &m.plan),
				    false);
}

static void start_with_memory(void)
{
	must(&m.fe, set_features(), "features");
	must(&m.fe, vhu_frontend_set_mem_table(&m.fe, 0, true), "the memory table");
	start_rings();
}

static void stop_rings(void)
{
	t.stopped_ns = monotonic_ns();
	must(&m.fe, vhu_style_stop(&m.fe, &m.plan), "stopping the rings");
}

/* Memory goes ahead while the guest works, and the rest after it has stopped. */
static void stop_with_memory(void)
{
	memory_begin();
	for (uint64_t n = 1 + run_random() % 3; n > 0; n--) {
		be_busy();
		t.n_passed += memory_pass(true);
	}
	become_silent();
	t.n_passed += memory_pass(true); /* the processors have stopped */
	clients_read_on();
	must(&m.fe, vhu_frontend_ping(&m.fe), "a barrier");
	stop_rings();
	t.n_after += memory_pass(false);
	memory_compare();
}

static void stop_without_memory(void)
{
	must(&m.fe, vhu_frontend_memory_make(&m.fe, &m.memory), "memory of the destination");
	be_busy();
	become_silent();
	stop_rings();
}

static void save(void)
{
	must(&m.fe, vhu_frontend_save_state(&m.fe, run_random() % 2, &t.state), "saving");
	if (t.state_min == 0 || t.state.len < t.state_min)
		t.state_min = t.state.len;
	if (t.state.len > t.state_max)
		t.state_max = t.state.len;
}

/* Front-end and memory are those of the other machine. Again: back. */
static void change_machines(void)
{
	must(&m.fe, vhu_frontend_memory_swap(&m.fe, &m.memory), "changing memory");
	vhu_frontend_swap_connection(&m.fe, &m.there);
}

static int begin_late_memory(void)
{
	int err = vhu_frontend_postcopy_begin(&m.fe, &t.pc, m.memory.map, m.memory.len);

	if (err == 0)
		err = vhu_frontend_postcopy_listen(&m.fe);
	if (err == 0)
		err = set_features();
	return err == 0 ? vhu_frontend_postcopy_table(&m.fe, &t.pc) : err;
}

/* The state as it arrives. */
static int load(enum ending ending)
{
	size_t len = ending == CUT ? run_random() % t.state.len : t.state.len;

	if (ending == FOREIGN)
		t.state.bytes[run_random() % t.state.len] ^= (uint8_t)(1 + run_random() % 255);
	return vhu_frontend_load_state(&m.fe, run_random() % 2, t.state.bytes, len);
}

/* The guest works while its memory comes. */
static void await_memory(void)
{
	struct vhu_frontend_faults faults;
	size_t left = 1;

	while (left > 0) {
		step(true);
		must(&m.fe, vhu_frontend_postcopy_fill(&m.fe, &t.pc, FILL, &left), "filling");
	}
	faults = vhu_frontend_postcopy_faults(&t.pc);
	t.n_late += faults.n_pages;
	t.n_faults += faults.n_backend + faults.n_own;
	must(&m.fe, vhu_frontend_postcopy_end(&m.fe, &t.pc), "the end of postcopy");
}

static void go_on_there(void)
{
	if (t.postcopy)
		start_rings();
	else
		start_with_memory();
	t.downtimes[t.n_well++] = (double)(monotonic_ns() - t.stopped_ns) / 1e6;
	vhu_frontend_fini(&m.there);
	m.here = 1 - m.here;
	wake_up();
	clients_follow();
	if (t.postcopy)
		await_memory();
}

static void go_on_here(void)
{
	vhu_frontend_postcopy_fini(&t.pc);
	change_machines();
	vhu_frontend_fini(&m.there);
	if (destination()->pid == 0) {
		clients_forget();
		fd_close(daemon_start(destination()));
		control_equip(destination());
	}
	start_with_memory();
	wake_up();
	control_await();
	t.n_failed++;
}

static void rename_first_port(const char *name)
{
	daemon_ask(destination(), "{\"command\":\"rename-port\",\"port\":1,\"name\":\"%s\"}", name);
}

static int arrive(enum ending ending)
{
	int err = t.postcopy ? begin_late_memory() : 0;

	if (err == 0)
		err = load(ending);
	if (err == 0 && ending == DEAD_AFTER) {
		daemon_kill(destination());
		return -ECONNRESET;
	}
	return err;
}

/* It must say why, if it lives. */
static void check_refusal(enum ending ending, int err)
{
	if (err == 0)
		die("a move went well that must not (%d)", ending);
	if (ending == DEAD_BEFORE || ending == DEAD_AFTER)
		return;
	if (err != -EREMOTEIO)
		must(&m.fe, err, "loading");
	if (!daemon_said(destination(),
			 "the device's state was not loaded: ", &t.log_at[1 - m.here]))
		die("the destination does not say why it refuses");
}

static void fail_to_move(enum ending ending)
{
	int err;

	if (ending == OTHER_PORTS)
		rename_first_port("other");
	if (ending == DEAD_BEFORE)
		daemon_kill(destination());
	change_machines();
	err = arrive(ending);
	check_refusal(ending, err);
	if (ending == OTHER_PORTS)
		rename_first_port("data1");
	go_on_here();
}

static void one_move(unsigned int n, enum ending ending)
{
	negotiate_there();
	clients_go_ahead();
	if (t.postcopy)
		stop_without_memory();
	else
		stop_with_memory();
	must(&m.fe, guest_poll_control(&m.guest), "the control queue");
	control_check();
	control_begin();
	control_happen(n);
	save();
	clients_drain(&t.n_out_under_way, &t.n_in_under_way);
	if (ending == WELL) {
		change_machines();
		must(&m.fe, arrive(ending), "arriving");
		go_on_there();
	} else {
		fail_to_move(ending);
	}
	vhu_frontend_memory_fini(&m.memory);
}

static enum ending ending_of(unsigned int n)
{
	if (t.fail == 0 || n % t.fail != t.fail - 1)
		return WELL;
	return CUT + n / t.fail % (N_ENDINGS - CUT);
}

/* All that was sent has come. */
static void settle(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	bool done = false;

	while (!done) {
		done = true;
		for (unsigned int i = 0; i < m.n_ports; i++) {
			struct side *s = &m.ports[i].side;

			side_collect(s);
			side_receive(s, UINT_MAX);
			side_client_receive(s);
			done &= s->out.got == s->out.sent && s->in.got == s->in.sent;
		}
		if (!done && monotonic_ms() > deadline)
			die("bytes are missing");
	}
	must(&m.fe, guest_poll_control(&m.guest), "the control queue");
	control_check();
}

/* Beginning and end */

static void make_daemon(struct run_daemon *d, const char *program)
{
	d->program = program;
	d->n_ports = m.n_ports;
	d->max_ports = m.n_ports + 2; /* port 0, and one that comes and goes */
	d->controlled = true;
	daemon_make(d, "migrate");
}

static void make_plan(void)
{
	m.plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
			    BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(0) | BIT(1) |
			    (t.packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0),
		.protocol = ~(BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT)),
		.extra_protocol =
			BIT(VHU_PF_DEVICE_STATE_BIT) | (t.postcopy ? BIT(VHU_PF_PAGEFAULT_BIT) : 0),
		.n_set_up = GUEST_RINGS(m.n_ports + 2),
	};
}

static void set_up_ports(void)
{
	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct move_port *p = &m.ports[i];

		p->there = -1;
		side_init(&p->side, &m.fe, i + 1);
		must(&m.fe, guest_await_port(&m.guest, i + 1, RUN_WAIT_MS), "a port");
		side_open(&p->side, &m.guest);
		side_connect(&p->side, source());
		must(&m.fe, guest_await_port_host_open(&m.guest, i + 1, true, RUN_WAIT_MS),
		     "a client");
	}
	control_begin();
}

static void set_up(void)
{
	make_plan();
	vhu_frontend_init(&m.fe, daemon_start(source()));
	fd_close(daemon_start(destination()));
	must(&m.fe, vhu_style_begin(&m.fe, &m.plan), "negotiating");
	must(&m.fe,
	     vhu_frontend_make_plain_memory(&m.fe, MEMORY_LEN + m.n_ports * PORT_MEMORY_LEN, false),
	     "memory");
	must(&m.fe, vhu_style_boot(&m.fe, &m.plan, RING_SIZE), "setting up");
	must(&m.fe, guest_init(&m.guest, &m.fe, m.plan.features), "the driver");
	m.guest.caller_posts = true;
	must(&m.fe, guest_start(&m.guest, RUN_WAIT_MS), "the driver's start");
	set_up_ports();
}

static void tear_down(void)
{
	for (unsigned int i = 0; i < m.n_ports; i++) {
		side_leave(&m.ports[i].side);
		m.ports[i].there = fd_close(m.ports[i].there);
	}
	for (unsigned int i = 0; i < 2; i++) {
		daemon_kill(&m.daemons[i]);
		daemon_remove(&m.daemons[i]);
	}
	guest_fini(&m.guest);
	vhu_frontend_state_fini(&t.state);
	vhu_frontend_fini(&m.fe);
	free(t.downtimes);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(void)
{
	uint64_t n_out = 0, n_in = 0;
	const double *d = t.downtimes;

	for (unsigned int i = 0; i < m.n_ports; i++) {
		n_out += m.ports[i].side.out.got;
		n_in += m.ports[i].side.in.got;
	}
	qsort(t.downtimes, t.n_well, sizeof(*d), compare_doubles);
	printf("# seed %" PRIu64 ", %s, %s rings, %u ports: %u moves and %u that failed, %" PRIu64
	       " bytes out, %" PRIu64
	       " in, 0 lost, 0 doubled, 0 reordered; under way when saved %" PRIu64
	       " bytes out, %" PRIu64 " in; downtime %.1f/%.1f/%.1f ms (min/median/max); state "
	       "%zu to %zu bytes; pages: %" PRIu64 " in passes, %" PRIu64
	       " after the stop, %" PRIu64 " late, %" PRIu64 " faults\n",
	       t.seed, t.postcopy ? "postcopy" : "precopy", t.packed ? "packed" : "split",
	       m.n_ports, t.n_well, t.n_failed, n_out, n_in, t.n_out_under_way, t.n_in_under_way,
	       t.n_well ? d[0] : 0, t.n_well ? d[t.n_well / 2] : 0, t.n_well ? d[t.n_well - 1] : 0,
	       t.state_min, t.state_max, t.n_passed, t.n_after, t.n_late, t.n_faults);
}

static void usage(void)
{
	fprintf(stderr, "usage: migrate [--moves N] [--ports N] [--mode precopy|postcopy] "
			"[--packed] [--seed N] [--fail N] DAEMON\n");
	exit(2);
}

static void take_option(int option, const char *value)
{
	switch (option) {
	case 'n':
		t.n_moves = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'p':
		m.n_ports = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'm':
		t.postcopy = strcmp(value, "postcopy") == 0;
		if (!t.postcopy && strcmp(value, "precopy") != 0)
			usage();
		return;
	case 's':
		t.seed = strtoull(value, NULL, 10);
		return;
	case 'f':
		t.fail = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'P':
		t.packed = true;
		return;
	default:
		usage();
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "moves", required_argument, NULL, 'n' },
		{ "ports", required_argument, NULL, 'p' },
		{ "mode", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 's' },
		{ "fail", required_argument, NULL, 'f' },
		{ "packed", no_argument, NULL, 'P' },
		{ 0 },
	};
	int option;

	t.n_moves = 20;
	m.n_ports = 16;
	t.seed = monotonic_ns();
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(option, optarg);
	if (optind + 1 != argc || m.n_ports < 1 || m.n_ports > MAX_PORTS || t.seed == 0)
		usage();
	for (unsigned int i = 0; i < 2; i++)
		make_daemon(&m.daemons[i], argv[optind]);
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	alarm(ALARM_S);
	run_begin(t.seed);
	m.memory = (struct vhu_frontend_memory)VHU_FRONTEND_MEMORY_NONE;
	t.downtimes = calloc(t.n_moves + 1, sizeof(*t.downtimes));
	if (!t.downtimes)
		die("no memory");
	set_up();
	for (unsigned int n = 0; n < t.n_moves; n++)
		one_move(n, ending_of(n));
	settle();
	report();
	tear_down();
	printf("ok 1 - nothing is lost, doubled or reordered when a guest moves\n1..1\n");
	return 0;
}
