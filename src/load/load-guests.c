/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-guests.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "virtio/features.h"

enum {
	START_MS = 5000,
	RETRY_NS = 100000,
	F_MULTIPORT_BIT = 1,
	CTRL_RING = 64,
	FEW_RX = 16, /* chains for input where none is expected */
	PAGE = 4096,
};

/* Names of sockets and peers. */

static unsigned int count_guests(const struct load_options *o)
{
	return o->socket_path ? (unsigned int)o->guests : o->sockets.n_items;
}

static int name_socket(const struct load_options *o, unsigned int i, struct load_guest *g)
{
	int n = o->socket_path ? snprintf(g->path, sizeof(g->path), "%s%u", o->socket_path, i)
			       : snprintf(g->path, sizeof(g->path), "%s", o->sockets.items[i].text);

	if (n >= (int)sizeof(g->path))
		return load_fail(-EINVAL, "--socket-path %s: too long with the number %u",
				 o->socket_path, i);
	g->line.name = g->path;
	return 0;
}

/* Starting is measured without them, and guests that do nothing need none. */
static bool has_peers(const struct load_run *run)
{
	return run->mode != LOAD_MODE_start && (run->o->peers.n_items > 0 || run->o->tcp_port > 0);
}

static int name_peer(const struct load_options *o, unsigned int i, struct load_guest *g)
{
	if (o->peers.n_items > 0)
		return load_peer_parse(o->peers.items[i].text, &g->peer);
	load_peer_local((uint16_t)(o->tcp_port + i), &g->peer);
	return 0;
}

/* How buffers are offered. Input comes in pages, as Linux posts them, unless it is measured. */
static struct load_shape shape_of(const struct load_options *o, enum load_mode_id mode)
{
	bool stream = mode == LOAD_MODE_rx || mode == LOAD_MODE_duplex;
	struct load_shape shape = {
		.chunk = (uint32_t)o->chunk,
		.rx_chunk = stream ? (uint32_t)o->chunk : PAGE,
		.chain = (unsigned int)o->chain,
		.indirect = o->indirect,
		.n_rx = stream || mode == LOAD_MODE_echo ? 0 : FEW_RX,
	};

	return shape;
}

/* Connecting. */

static void pause_briefly(void)
{
	const struct timespec ts = { .tv_nsec = RETRY_NS };

	nanosleep(&ts, NULL);
}

/* Whether a back-end that we started may yet come to listen. */
static bool may_retry(struct load_run *run, int err)
{
	if (run->exec.pid == 0 || (err != -ENOENT && err != -ECONNREFUSED))
		return false;
	if (monotonic_ns() - run->exec.began_ns > START_MS * UINT64_C(1000000))
		return false;
	pause_briefly();
	return load_exec_runs(&run->exec);
}

static int connect_guest(struct load_run *run, struct load_guest *g)
{
	int err;

	do {
		err = vhu_frontend_connect(&g->fe, g->path);
	} while (err < 0 && may_retry(run, err));
	if (err < 0)
		return load_fail(err, "%s: expected %s", g->path, g->fe.error);
	if (run->exec.pid != 0 && run->listen_ns == 0)
		run->listen_ns = monotonic_ns() - run->exec.began_ns;
	return 0;
}

/* A back-end that has just started listens before it serves: that is not the handshake's time. */
static int await_serving(struct load_run *run, struct load_guest *g)
{
	int err = vhu_frontend_ping(&g->fe);

	if (err < 0)
		return load_fail(err, "%s: expected %s", g->path, g->fe.error);
	run->serve_ns = monotonic_ns() - run->exec.began_ns;
	return 0;
}

static int connect_peer(struct load_run *run, struct load_guest *g)
{
	do {
		g->peer_fd = load_peer_connect(&g->peer);
	} while (g->peer_fd < 0 && may_retry(run, g->peer_fd));
	return g->peer_fd < 0 ? load_fail(g->peer_fd, "%s: the peer %s: %s", g->path, g->peer.text,
					  strerror(-g->peer_fd))
			      : 0;
}

/* The handshake. */

static bool wants_ports(const struct load_options *o)
{
	return strcmp(o->port, "0") != 0;
}

/* How many rings the machine has: a console's two, or what the device has. */
static int plan_rings(const struct load_options *o, struct load_guest *g)
{
	uint64_t n = 2;
	int err = 0;

	if (wants_ports(o))
		err = vhu_frontend_get_u64(&g->fe, VHU_FE_GET_QUEUE_NUM, &n);
	g->plan.n_rings = (unsigned int)min_u64(n, VHU_MAX_FD_RINGS);
	return err;
}

static int check_features(const struct load_options *o, struct load_guest *g)
{
	uint64_t have = vhu_style_features(&g->fe, &g->plan);

	if (!(have & BIT(VIRTIO_F_VERSION_1_BIT)))
		return vhu_frontend_fail(&g->fe, -ENOTSUP, "VIRTIO_F_VERSION_1 to be offered");
	if (o->indirect && !(have & BIT(VIRTIO_F_INDIRECT_DESC_BIT)))
		return vhu_frontend_fail(&g->fe, -ENOTSUP,
					 "VIRTIO_F_INDIRECT_DESC to be offered, for --indirect");
	if (o->ring_features & ~have)
		return vhu_frontend_fail(&g->fe, -ENOTSUP,
					 "rings to be offered that are %s, for --ring-features",
					 o->ring_words);
	if (wants_ports(o) && (!(have & BIT(F_MULTIPORT_BIT)) || g->plan.n_rings < GUEST_N_RINGS))
		return vhu_frontend_fail(&g->fe, -ENOTSUP,
					 "VIRTIO_CONSOLE_F_MULTIPORT to be offered, for --port %s",
					 o->port);
	return 0;
}

/* How many rings the driver uses: as many as the device's config space says. */
static int plan_driver(const struct load_options *o, struct load_guest *g)
{
	uint8_t max_nr_ports[4];
	int err;

	g->plan.n_set_up = 2;
	if (!wants_ports(o))
		return 0;
	g->plan.n_set_up = g->plan.n_rings;
	if (!vhu_frontend_has_protocol(&g->fe, VHU_PF_CONFIG_BIT))
		return 0;
	err = vhu_frontend_get_config(&g->fe, 4, sizeof(max_nr_ports), 0, max_nr_ports);
	if (err == 0)
		g->plan.n_set_up = (unsigned int)min_u64(
			g->plan.n_rings, GUEST_RINGS(max_nr_ports[0] + 256u * max_nr_ports[1]));
	return err;
}

/* More would measure how the machine finds pages. */
#define GUEST_MEMORY_MAX (UINT64_C(4) << 30)

static unsigned int ring_size(const struct load_options *o, unsigned int idx)
{
	if (idx == GUEST_CTRL_RX || idx == GUEST_CTRL_TX)
		return (unsigned int)min_u64(o->ring, CTRL_RING);
	return (unsigned int)o->ring;
}

static int make_memory(const struct load_run *run, struct load_guest *g)
{
	uint64_t len =
		load_line_memory(&run->shape, (unsigned int)run->o->ring, run->pattern.period);

	len += (uint64_t)(2 * GUEST_MAX_PAGES + 4) * PAGE;
	for (unsigned int i = 0; i < g->plan.n_set_up; i++)
		len += driverq_bytes(ring_size(run->o, i)) + PAGE;
	len = (len + PAGE - 1) / PAGE * PAGE;
	if (len > GUEST_MEMORY_MAX)
		return vhu_frontend_fail(&g->fe, -E2BIG,
					 "smaller --ring or --chunk: at most %" PRIu64
					 " MiB for a guest, not %" PRIu64,
					 GUEST_MEMORY_MAX >> 20, len >> 20);
	return vhu_frontend_make_plain_memory(&g->fe, len, vhu_style_flat(g->plan.style));
}

static int boot(const struct load_run *run, struct load_guest *g)
{
	uint64_t features = vhu_style_features(&g->fe, &g->plan);
	int err = make_memory(run, g);

	for (unsigned int i = 0; i < g->plan.n_set_up && err == 0; i++)
		err = vhu_frontend_make_ring(&g->fe, i, ring_size(run->o, i), features);
	return err == 0 ? vhu_style_start(&g->fe, &g->plan) : err;
}

static int shake_hands(struct load_run *run, struct load_guest *g)
{
	int err = plan_rings(run->o, g);

	if (err == 0)
		err = vhu_style_begin(&g->fe, &g->plan);
	if (err == 0)
		err = check_features(run->o, g);
	if (err == 0)
		err = plan_driver(run->o, g);
	if (err == 0)
		err = boot(run, g);
	if (err == 0)
		err = vhu_frontend_ping(&g->fe);
	return err < 0 ? load_fail(err, "%s: expected %s", g->path, g->fe.error) : 0;
}

static void plan(const struct load_options *o, struct load_guest *g)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | o->ring_features;

	if (o->event_idx == LOAD_EVENT_IDX_ON)
		features |= BIT(VIRTIO_F_EVENT_IDX_BIT);
	if (o->indirect)
		features |= BIT(VIRTIO_F_INDIRECT_DESC_BIT);
	if (wants_ports(o))
		features |= BIT(F_MULTIPORT_BIT);
	g->plan.features = features;
	/* Neither a channel nor notifications on it: nobody listens to it under load. */
	g->plan.protocol = ~(BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT));
	vhu_style_find(o->style, &g->plan.style);
}

/* Ports. */

static int find_port(const struct load_options *o, struct load_guest *g)
{
	uint64_t number;
	int err;

	if (!option_parse_number(o->port, &number))
		return guest_await_name(&g->driver, o->port, START_MS, &g->port);
	if (number >= g->driver.n_ports)
		return vhu_frontend_fail(&g->fe, -ENOENT, "a port %s below %u", o->port,
					 g->driver.n_ports);
	g->port = (unsigned int)number;
	err = guest_await_port(&g->driver, g->port, START_MS);
	return err;
}

static int meet_port(const struct load_options *o, struct load_guest *g)
{
	int err = guest_init(&g->driver, &g->fe, g->plan.features);

	g->driver.caller_posts = true;
	if (err == 0)
		err = guest_hello(&g->driver);
	return err == 0 ? find_port(o, g) : err;
}

/* As a program that opens it; and the peer, if any, has been noticed. */
static int open_port(struct load_guest *g)
{
	int err = guest_open_port(&g->driver, g->port, true);

	if (err < 0 || g->line.peer < 0)
		return err;
	return guest_await_port_host_open(&g->driver, g->port, true, START_MS);
}

static int start_driver(struct load_run *run, struct load_guest *g)
{
	bool ports = wants_ports(run->o);
	int err = ports ? meet_port(run->o, g) : 0;

	if (err == 0)
		err = load_line_init(&g->line, &g->fe, GUEST_PORT_TX(g->port), fd_take(&g->peer_fd),
				     &run->shape, &run->pattern);
	if (err == 0)
		err = load_line_post(&g->line);
	if (err == 0 && ports)
		err = open_port(g);
	if (err < 0 && g->fe.error[0])
		load_fail(err, "%s: expected %s", g->path, g->fe.error);
	return err;
}

/* All together. */

/* Otherwise that one would be measured, and what we start fails beside it. */
static int check_nobody_listens(const struct load_run *run)
{
	struct load_guest *g = &run->guests[0];
	int err = vhu_frontend_connect(&g->fe, g->path);

	vhu_frontend_fini(&g->fe);
	vhu_frontend_init(&g->fe, -1);
	g->fe.seal_memory = true;
	if (err < 0)
		return 0;
	return load_fail(-EADDRINUSE,
			 "%s: another back-end listens there; expected none with --exec", g->path);
}

/* A console tells who comes what the guest had printed before; none of that is ours. */
static int drain_peers(struct load_run *run)
{
	enum { QUIET_MS = 100 };
	static char bytes[65536];
	struct pollfd *fds;
	int n;

	assert(run->n_guests > 0);
	fds = calloc(run->n_guests, sizeof(*fds));
	n = fds ? 0 : -ENOMEM;
	for (unsigned int i = 0; fds && i < run->n_guests; i++)
		fds[i] = (struct pollfd){ run->guests[i].line.peer, POLLIN, 0 };
	while (n == 0 && poll(fds, run->n_guests, QUIET_MS) > 0)
		for (unsigned int i = 0; i < run->n_guests && n == 0; i++)
			if (fds[i].revents && recv(fds[i].fd, bytes, sizeof(bytes), 0) == 0)
				n = load_fail(-ECONNRESET, "%s: the peer's connection was closed",
					      run->guests[i].path);
	free(fds);
	return n;
}

/* Connects and shakes hands, and notes how long that took. */
static int meet_guest(struct load_run *run, struct load_guest *g)
{
	uint64_t began = monotonic_ns();
	int err = connect_guest(run, g);

	if (err == 0 && run->exec.pid != 0 && run->serve_ns == 0) {
		err = await_serving(run, g);
		began = monotonic_ns();
	}
	if (err == 0)
		err = shake_hands(run, g);
	if (err < 0)
		return err;
	latency_add(run->handshakes, monotonic_ns() - began);
	if (run->first_ns == 0)
		run->first_ns = monotonic_ns() - began;
	return 0;
}

static int start_guest(struct load_run *run, struct load_guest *g)
{
	int err = 0;

	plan(run->o, g);
	/* First, so that no output is kept for it. */
	if (has_peers(run))
		err = connect_peer(run, g);
	if (err == 0)
		err = meet_guest(run, g);
	return err == 0 ? start_driver(run, g) : err;
}

static int measured_process(struct load_run *run)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (run->o->pid > 0)
		run->pid = (pid_t)run->o->pid;
	else if (run->exec.pid > 0)
		run->pid = run->exec.pid;
	else if (getsockopt(run->guests[0].fe.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return load_fail(-errno, "%s: whose socket this is: %s", run->guests[0].path,
				 strerror(errno));
	else
		run->pid = cred.pid;
	return 0;
}

static int make_guests(struct load_run *run)
{
	unsigned int n = count_guests(run->o);
	int err = 0;

	run->guests = calloc(n, sizeof(*run->guests));
	run->handshakes = calloc(1, sizeof(*run->handshakes));
	if (!run->guests || !run->handshakes)
		return load_fail(-ENOMEM, "memory for %u guests", n);
	for (; run->n_guests < n && err == 0; run->n_guests++) {
		struct load_guest *g = &run->guests[run->n_guests];

		vhu_frontend_init(&g->fe, -1);
		g->fe.seal_memory = true;
		g->peer_fd = -1;
		g->line.peer = -1;
		err = name_socket(run->o, run->n_guests, g);
		if (err == 0 && has_peers(run))
			err = name_peer(run->o, run->n_guests, g);
	}
	return err;
}

int load_run_init(struct load_run *run, const struct load_options *o, enum load_mode_id mode)
{
	int err;

	*run = (struct load_run){ .o = o, .mode = mode, .shape = shape_of(o, mode) };
	if (load_pattern_init(&run->pattern, run->shape.chunk) < 0)
		return load_fail(-ENOMEM, "memory for the bytes of a stream");
	err = make_guests(run);
	if (err == 0 && o->exec)
		err = check_nobody_listens(run);
	if (err == 0 && o->exec)
		err = load_exec_start(&run->exec, o->exec);
	for (unsigned int i = 0; i < run->n_guests && err == 0; i++)
		err = start_guest(run, &run->guests[i]);
	if (err == 0)
		err = measured_process(run);
	if (err == 0 && !o->exec)
		err = drain_peers(run);
	return err;
}

void load_run_fini(struct load_run *run)
{
	for (unsigned int i = 0; i < run->n_guests; i++) {
		struct load_guest *g = &run->guests[i];

		fd_close(g->peer_fd);
		load_line_fini(&g->line);
		guest_fini(&g->driver);
		vhu_frontend_fini(&g->fe);
	}
	free(run->guests);
	free(run->handshakes);
	load_pattern_fini(&run->pattern);
	load_exec_end(&run->exec);
}

bool load_run_lives(struct load_run *run)
{
	if (run->o->exec && !load_exec_runs(&run->exec))
		return false;
	for (unsigned int i = 0; i < run->n_guests; i++) {
		struct pollfd p = { .fd = run->guests[i].fe.fd, .events = POLLRDHUP };

		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR))) {
			load_fail(0, "%s: the back-end has closed the connection",
				  run->guests[i].path);
			return false;
		}
	}
	return true;
}

uint64_t load_run_violations(const struct load_run *run)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < run->n_guests; i++)
		n += run->guests[i].line.n_violations;
	return n;
}
