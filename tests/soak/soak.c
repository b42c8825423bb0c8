/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guests and clients that come, go, are killed, are slow and are rude, for as long as one
 * likes, on one daemon. All the time every byte of ports that hold is compared, and what
 * others give is seen to be in order. Now and then everything becomes calm, and then all
 * bytes must have come, descriptors are counted, and memory is looked at.
 *
 *   soak [--seconds N] [--guests N] [--rounds N] [--seed N] [--upgrades N] [--idle N]
 *        [--loops N] [--samples FILE] [--summary FILE] DAEMON
 *
 * --upgrades: so many times a round the daemon is replaced by the program anew.
 * --idle: for so many seconds in the end nothing may wake it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "soak.h"

enum {
	STEP_MS = 10,
	SAMPLE_MS = 1000,
	SETTLE_MS = 60000,
	FILL_MS = 20000,
	STUCK_STEPS = 50, /* in which nothing moves: all is full */
	ROUND_S = 20,
	FEWEST_ROUNDS = 6,
};

struct soak soak;

/* What happens to a daemon, at random: one of so many steps. */

enum event_kind { KILL, PLUG, RELOAD, SIZE, STATUS, ATTACH, DETACH, N_EVENTS };

static const struct {
	const char *name;
	unsigned int one_of;
} events[N_EVENTS] = {
	[KILL] = { "kills", 100 },	[PLUG] = { "plugs", 80 },
	[RELOAD] = { "reloads", 900 },	[SIZE] = { "resizes", 50 },
	[STATUS] = { "statuses", 60 },	[ATTACH] = { "attaches", 300 },
	[DETACH] = { "detaches", 600 },
};

static struct {
	uint64_t n_events[N_EVENTS], n_upgrades, n_unplugs;
	int64_t sample_at;
	long log_at;
	bool all_fine;
	unsigned int n_points;
} t;

static unsigned int any_guest(void)
{
	return (unsigned int)(run_random() % soak.o.n_guests);
}

static void plug_or_unplug(void)
{
	unsigned int guest = any_guest(), hot = (unsigned int)(run_random() % SOAK_HOT), generation;

	if (ports_is_plugged(guest, hot, &generation)) {
		ports_unplug(guest, hot);
		t.n_unplugs++;
	} else if (generation == 0 || clients_hot_is_over(guest, hot)) {
		ports_plug(guest, hot);
	}
}

static void happen(enum event_kind what)
{
	t.n_events[what]++;
	switch (what) {
	case KILL:
		front_kill(any_guest());
		return;
	case PLUG:
		plug_or_unplug();
		return;
	case RELOAD:
		ports_reload();
		return;
	case SIZE:
		ports_resize(any_guest());
		return;
	case STATUS:
		ports_status(any_guest());
		return;
	case ATTACH:
		ports_attach(any_guest());
		return;
	case DETACH:
		ports_detach_all();
		return;
	default:
		return;
	}
}

/* Rounds */

static void tick(void)
{
	clients_poll(STEP_MS);
	clients_step();
	fronts_watch(soak.shared->phase > SOAK_LOAD);
	if (monotonic_ms() < t.sample_at)
		return;
	sample_take("load");
	t.sample_at = monotonic_ms() + SAMPLE_MS;
}

static void upgrade(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	daemon_said(&soak.daemon, "", &t.log_at);
	kill(soak.daemon.pid, SIGUSR2);
	while (!daemon_said(&soak.daemon, ": upgraded: ", &t.log_at)) {
		tick();
		if (monotonic_ms() > deadline)
			die("the daemon was not upgraded");
	}
	t.n_upgrades++;
}

static void load(int64_t ms)
{
	int64_t began = monotonic_ms(), end = began + ms, next = began;
	unsigned int upgrades = soak.o.upgrades;

	soak.shared->phase = SOAK_LOAD;
	while (monotonic_ms() < end) {
		tick();
		rude_step();
		for (unsigned int i = 0; i < N_EVENTS; i++)
			if (run_random() % events[i].one_of == 0)
				happen((enum event_kind)i);
		if (upgrades > 0 && monotonic_ms() >= next + ms / (soak.o.upgrades + 1)) {
			upgrade();
			next = monotonic_ms();
			upgrades--;
		}
	}
}

/* How far each stream has come, before all ends with the test. */
static void tell_streams(void)
{
	fronts_end();
	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		const struct soak_guest *g = &soak.shared->guests[id];

		for (unsigned int i = 0; i < SOAK_STREAMS; i++)
			printf("# guest %u, stream %u: output %" PRIu64 " of %" PRIu64
			       " returned, input %" PRIu64 "\n",
			       id, i, g->streams[i].out.returned, g->streams[i].out.offered,
			       g->streams[i].in.got);
	}
}

static void await_phase(enum soak_phase phase)
{
	int64_t deadline = monotonic_ms() + SETTLE_MS;

	soak.shared->phase = phase;
	while (!fronts_are_in(phase) || !clients_are_there()) {
		tick();
		if (monotonic_ms() > deadline)
			die("not all guests and clients are there (phase %u): %s", phase,
			    clients_missing());
	}
}

/* A client is there for the daemon somewhat later than for itself. */
static void await_clients(void)
{
	int64_t deadline = monotonic_ms() + SETTLE_MS;

	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		while (ports_count_clients(id) != clients_due(id)) {
			tick();
			if (monotonic_ms() > deadline)
				die("guest %u has %u clients, expected %u", id,
				    ports_count_clients(id), clients_due(id));
		}
	}
}

static void await_bytes(void)
{
	int64_t deadline = monotonic_ms() + SETTLE_MS;
	const char *missing;

	while ((missing = clients_missing())) {
		tick();
		if (monotonic_ms() > deadline)
			die("bytes are missing: %s", missing);
	}
}

static void settle(const char *what)
{
	rude_end();
	ports_detach_all();
	await_phase(SOAK_CALM);
	await_clients();
	clients_begin_tail();
	await_phase(SOAK_TAIL);
	await_bytes();
	await_phase(SOAK_STILL);
	sample_settled(what);
}

/* With as many ports as there can be, so that what grows later has another reason. */
static void fill(void)
{
	int64_t end = monotonic_ms() + FILL_MS;
	unsigned int still = 0;

	soak.shared->phase = SOAK_FILL;
	for (unsigned int id = 0; id < soak.o.n_guests; id++)
		for (unsigned int hot = 0; hot < SOAK_HOT; hot++)
			ports_plug(id, hot);
	await_phase(SOAK_FILL);
	while (still < STUCK_STEPS && monotonic_ms() < end) {
		uint64_t before = clients_moved();

		tick();
		still = clients_moved() == before ? still + 1 : 0;
	}
	settle("filled");
}

/* Beginning and end */

/* Ports that follow each other, and are not taken now. */
static bool are_free(unsigned int first, unsigned int n)
{
	bool free = true;

	for (unsigned int i = 0; i < n && free; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)(first + i)),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		free = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
		fd_close(fd);
	}
	return free;
}

/* Below those that the kernel gives away; another test beside this one begins elsewhere. */
/* Below those that the kernel gives away; another test beside this one begins elsewhere. */
static void find_tcp_ports(void)
{
	enum { FIRST = 20000, STEP = 2 * SOAK_MAX_GUESTS, N_STEPS = 24 };
	unsigned int step = (unsigned int)getpid() % N_STEPS;

	for (unsigned int i = 0; i < N_STEPS; i++) {
		soak.tcp_port = FIRST + STEP * ((step + i) % N_STEPS);
		if (are_free(soak.tcp_port, 2 * soak.o.n_guests))
			return;
	}
	die("no free TCP ports");
}

static void set_up(void)
{
	size_t len = sizeof(struct soak_shared) + soak.o.n_guests * sizeof(struct soak_guest);
	struct rlimit limit;
	static char config[128];

	soak.shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (soak.shared == MAP_FAILED)
		die("no memory");
	for (unsigned int id = 0; id < soak.o.n_guests; id++)
		soak.shared->guests[id].id = id;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	daemon_make(&soak.daemon, "soak");
	run_on_death(tell_streams);
	find_tcp_ports();
	snprintf(config, sizeof(config), "%s/config", soak.daemon.dir);
	soak.daemon.config = config;
	soak.daemon.controlled = true;
	memcpy(soak.daemon.socket, soak.daemon.control, sizeof(soak.daemon.socket));
	ports_write_config();
	fd_close(daemon_start(&soak.daemon));
	ports_status(0); /* once it answers, all that it has open to begin with is closed */
	samples_open();
	clients_init();
	fronts_start();
}

static void point(bool fine, const char *what)
{
	printf("%sok %u - %s\n", fine ? "" : "not ", ++t.n_points, what);
	fflush(stdout);
	t.all_fine &= fine;
}

static void sum_guests(FILE *f)
{
	uint64_t boots = 0, resets = 0, reconnects = 0, aborts = 0, packed = 0, slow = 0;

	for (unsigned int id = 0; id < soak.o.n_guests; id++) {
		const struct soak_guest *g = &soak.shared->guests[id];

		boots += g->n_boots;
		resets += g->n_resets;
		reconnects += g->n_reconnects;
		aborts += g->n_aborts;
		packed += g->n_packed;
		slow += g->n_slow;
	}
	fprintf(f,
		"boots=%" PRIu64 "\nresets=%" PRIu64 "\nreconnects=%" PRIu64 "\naborts=%" PRIu64
		"\npacked=%" PRIu64 "\nslow=%" PRIu64 "\n",
		boots, resets, reconnects, aborts, packed, slow);
}

static void summary(FILE *f)
{
	struct clients_figures c;

	clients_sum(&c);
	fprintf(f, "seed=%" PRIu64 "\nseconds=%u\nguests=%u\nidle_seconds=%u\n", soak.o.seed,
		soak.o.seconds, soak.o.n_guests, soak.o.idle_seconds);
	sum_guests(f);
	for (unsigned int i = 0; i < N_EVENTS; i++)
		fprintf(f, "%s=%" PRIu64 "\n", events[i].name, t.n_events[i]);
	fprintf(f, "unplugs=%" PRIu64 "\nupgrades=%" PRIu64 "\nrude=%" PRIu64 "\n", t.n_unplugs,
		t.n_upgrades, rude_count());
	fprintf(f,
		"bytes_out=%" PRIu64 "\nbytes_in=%" PRIu64 "\nbytes_lossy=%" PRIu64
		"\nbytes_told_lost=%" PRIu64 "\nbytes_unplaced=%" PRIu64 "\n",
		c.out, c.in, c.lossy_out, c.told, c.unplaced);
	fprintf(f, "leaves=%" PRIu64 "\nhalf_closes=%" PRIu64 "\ntcp_resets=%" PRIu64 "\n",
		c.leaves, c.half_closes, c.resets);
	samples_summary(f);
}

static void write_summary(void)
{
	FILE *f = soak.o.summary ? fopen(soak.o.summary, "we") : NULL;

	if (f) {
		summary(f);
		fclose(f);
	}
}

static void print_figures(void)
{
	char *text, *line, *rest;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		die("no memory");
	summary(f);
	fclose(f);
	rest = text;
	printf("#");
	while ((line = strsep(&rest, "\n")))
		printf(" %s", line);
	printf("\n");
	free(text);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: soak [--seconds N] [--guests N] [--rounds N] [--seed N] [--upgrades N]\n"
		"            [--idle N] [--loops N] [--samples FILE] [--summary FILE] DAEMON\n");
	exit(2);
}

static void take_option(int option, const char *value)
{
	switch (option) {
	case 's':
		soak.o.seed = strtoull(value, NULL, 10);
		return;
	case 'S':
		soak.o.samples = value;
		return;
	case 'Y':
		soak.o.summary = value;
		return;
	case 'l':
		soak.daemon.option = "--loops";
		soak.daemon.value = value;
		return;
	default:
		break;
	}
	switch (option) {
	case 't':
		soak.o.seconds = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'g':
		soak.o.n_guests = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'r':
		soak.o.rounds = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'u':
		soak.o.upgrades = (unsigned int)strtoul(value, NULL, 10);
		return;
	case 'i':
		soak.o.idle_seconds = (unsigned int)strtoul(value, NULL, 10);
		return;
	default:
		usage();
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "guests", required_argument, NULL, 'g' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "upgrades", required_argument, NULL, 'u' },
		{ "idle", required_argument, NULL, 'i' },
		{ "loops", required_argument, NULL, 'l' },
		{ "samples", required_argument, NULL, 'S' },
		{ "summary", required_argument, NULL, 'Y' },
		{ 0 },
	};
	int option;

	soak.o = (struct soak_options){ .seconds = 60, .n_guests = 16, .idle_seconds = 10 };
	soak.o.seed = monotonic_ns();
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(option, optarg);
	if (soak.o.rounds == 0)
		soak.o.rounds = soak.o.seconds / ROUND_S;
	if (soak.o.rounds < FEWEST_ROUNDS)
		soak.o.rounds = FEWEST_ROUNDS;
	if (optind + 1 != argc || soak.o.n_guests < 1 || soak.o.n_guests > SOAK_MAX_GUESTS ||
	    soak.o.seed == 0 || soak.o.seconds < 1)
		usage();
	soak.daemon.program = argv[optind];
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	run_begin(soak.o.seed);
	setvbuf(stdout, NULL, _IOLBF, 0);
	t.all_fine = true;
	set_up();
	fill();
	for (unsigned int i = 0; i < soak.o.rounds; i++) {
		load((int64_t)soak.o.seconds * 1000 / soak.o.rounds);
		settle("settled");
	}
	print_figures();
	point(true, "no byte of a port that holds is lost, doubled or moved");
	point(true, "what other ports give is in order, and what is missing is told");
	point(true, "descriptors are those of what is attached, each time");
	point(samples_are_flat(), "memory does not grow");
	point(sample_idle(soak.o.idle_seconds), "nothing wakes an idle daemon");
	write_summary();
	printf("1..%u\n", t.n_points);
	fronts_end();
	clients_fini();
	daemon_signal(&soak.daemon, SIGTERM);
	daemon_remove(&soak.daemon);
	return t.all_fine ? 0 : 1;
}
