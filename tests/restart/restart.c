/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Kills the daemon at random moments while a guest and the clients of its
 * lossless ports send each other streams, starts it again, and compares every
 * byte: VU-171 to VU-173, VU-235. The front-end and the guest are ours.
 *
 *   restart [--kills N] [--upgrades N] [--ports N] [--seed N] [--packed] DAEMON
 *
 * Before each kill it is upgraded N times (SIGUSR2), and nobody notices that; some
 * of the kills come amid one more.
 *
 * What a client has sent and the daemon has not read when it dies is lost with
 * the connection, which no back-end can help. So before some of the kills the
 * clients wait until all of it was read: then the guest must get all of it, and
 * otherwise a beginning of it, from the end of which the client goes on.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "guest/guest.h"
#include "files.h"
#include "vhu/frontend-migrate.h"
#include "virtio/features.h"

enum {
	MAX_PORTS = 8,
	N_PAGES = 16, /* of a port's output under way */
	RING_SIZE = 64,
	WAIT_MS = 10000,
	CHUNK = 8192,
	MARK = 33,
	LATE_MAX = 4 << 20,
};

/* One direction: bytes that follow from their position. */
struct line {
	uint32_t salt;
	uint64_t sent, got;
};

struct page {
	struct driverq_buf buf;
	uint8_t *host;
	bool out;
};

struct port_side {
	unsigned int id;
	char path[100];
	int fd;		 /* the client's connection, or -1 */
	struct line out; /* guest to client */
	struct line in;	 /* client to guest */
	struct page pages[N_PAGES];
	uint8_t *late; /* input after a kill, up to the mark */
	size_t n_late;
	bool marked;
};

static struct {
	const char *daemon;
	char dir[64], socket[100], log[100];
	unsigned int n_kills, n_upgrades, n_ports;
	uint64_t seed;
	bool packed;
	pid_t pid;
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct vhu_frontend_inflight record;
	struct guest guest;
	struct port_side ports[MAX_PORTS];
	uint64_t n_resumed; /* chains that a kill found taken and not returned */
} t;

static uint64_t random_state;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint8_t byte_at(const struct line *l, uint64_t pos)
{
	uint64_t x = (pos + 1) * UINT64_C(0x9e3779b97f4a7c15) + l->salt;

	return (uint8_t)(x >> 56);
}

__attribute__((noreturn)) PRINTF_LIKE(1, 2) static void die(const char *fmt, ...)
{
	va_list args;

	printf("Bail out! seed %" PRIu64 ": ", t.seed);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	if (t.pid > 0)
		kill(t.pid, SIGKILL);
	exit(1);
}

static void must(int err, const char *what)
{
	if (err < 0)
		die("%s: %s (%s)", what, strerror(-err), t.fe.error);
}

static void compare(struct line *l, const uint8_t *bytes, size_t len, const char *who,
		    unsigned int port)
{
	for (size_t i = 0; i < len; i++, l->got++)
		if (bytes[i] != byte_at(l, l->got))
			die("port %u, %s: byte %" PRIu64 " of %" PRIu64
			    " sent is 0x%02x, expected 0x%02x",
			    port, who, l->got, l->sent, bytes[i], byte_at(l, l->got));
	if (l->got > l->sent)
		die("port %u, %s: more bytes than were sent", port, who);
}

/* The daemon as a process. */

static int dial(const char *path)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd;

	if (!fd_unix_address(path, &addr, &len))
		die("%s is no address", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("no socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, len) == 0)
		return fd;
	fd_close(fd);
	return -1;
}

static void daemon_exec(void)
{
	static char spec[MAX_PORTS + 2][160];
	const char *argv[2 * (MAX_PORTS + 2) + 8];
	unsigned int n = 0;

	argv[n++] = t.daemon;
	argv[n++] = "--device";
	snprintf(spec[0], sizeof(spec[0]), "socket=%s,name=vm,max-ports=%u", t.socket,
		 t.n_ports + 1);
	argv[n++] = spec[0];
	argv[n++] = "--port";
	argv[n++] = "console,null";
	for (unsigned int i = 0; i < t.n_ports; i++) {
		snprintf(spec[i + 1], sizeof(spec[0]), "%u,name=data%u,history=64K,unix:%s", i + 1,
			 i + 1, t.ports[i].path);
		argv[n++] = "--port";
		argv[n++] = spec[i + 1];
	}
	argv[n++] = "--journal";
	argv[n++] = t.dir;
	argv[n++] = "--log-level";
	argv[n++] = getenv("RESTART_LOG") ? getenv("RESTART_LOG") : "info";
	argv[n] = NULL;
	files_log_to(t.log);
	execv(t.daemon, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* A socket of a process that was killed may still take connections for a moment. */
static int dial_daemon(const char *path)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	int fd = dial(path);

	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    peer.pid == t.pid)
		return fd;
	return fd_close(fd);
}

/* Until it serves. */
static void daemon_start(void)
{
	int64_t deadline = monotonic_ms() + WAIT_MS;
	int fd = -1;

	t.pid = fork();
	if (t.pid < 0)
		die("no process: %s", strerror(errno));
	if (t.pid == 0)
		daemon_exec();
	while (fd < 0) {
		if (waitpid(t.pid, NULL, WNOHANG) == t.pid)
			die("the daemon has ended at its start");
		if (monotonic_ms() > deadline)
			die("the daemon does not listen");
		fd = dial_daemon(t.socket);
		if (fd < 0)
			poll(NULL, 0, 1);
	}
	vhu_frontend_attach(&t.fe, fd);
}

static void daemon_kill(void)
{
	int status;

	kill(t.pid, SIGKILL);
	if (waitpid(t.pid, &status, 0) != t.pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("the daemon has ended by itself, with status 0x%x", status);
	t.pid = 0;
}

/* The guest's side of a port. */

static struct driverq *tx_queue(const struct port_side *p)
{
	return &t.fe.rings[GUEST_PORT_TX(p->id)].q;
}

static void guest_collect(struct port_side *p)
{
	enum driverq_result result;
	uint32_t len;
	void *token;

	while ((result = driverq_get(tx_queue(p), &token, &len)) == DRIVERQ_USED) {
		struct page *page = token;

		if (len != 0 || !page->out)
			die("port %u: a transmit chain came back %s", p->id,
			    len ? "with a length" : "twice");
		page->out = false;
	}
	if (result != DRIVERQ_EMPTY)
		die("port %u: %s", p->id, driverq_result_text(result));
}

static void guest_send(struct port_side *p)
{
	guest_collect(p);
	for (unsigned int i = 0; i < N_PAGES; i++) {
		struct page *page = &p->pages[i];

		if (page->out || random_number() % 4 == 0)
			continue;
		page->buf.len = 1 + (uint32_t)(random_number() % GUEST_PAGE);
		for (uint32_t k = 0; k < page->buf.len; k++)
			page->host[k] = byte_at(&p->out, p->out.sent + k);
		must(driverq_add(tx_queue(p), &page->buf, 1, 0, false, page), "offering output");
		page->out = true;
		p->out.sent += page->buf.len;
	}
	must(vhu_frontend_publish(&t.fe, GUEST_PORT_TX(p->id)), "kicking");
}

static void guest_receive(struct port_side *p)
{
	uint8_t buf[CHUNK];
	int n;

	while ((n = guest_read_some_port(&t.guest, p->id, buf, sizeof(buf), 0)) > 0)
		compare(&p->in, buf, (size_t)n, "input", p->id);
	if (n < 0 && n != -ETIMEDOUT)
		must(n, "reading input");
}

/* The client's. */

static void client_connect(struct port_side *p)
{
	int64_t deadline = monotonic_ms() + WAIT_MS;

	while ((p->fd = dial_daemon(p->path)) < 0)
		if (monotonic_ms() > deadline)
			die("port %u: nobody listens", p->id);
}

/* Everything that is there; false: the daemon is gone. */
static bool client_receive(struct port_side *p)
{
	uint8_t buf[CHUNK];
	ssize_t n;

	while ((n = read(p->fd, buf, sizeof(buf))) > 0)
		compare(&p->out, buf, (size_t)n, "output", p->id);
	return n < 0 && errno == EAGAIN;
}

static void client_send(struct port_side *p)
{
	uint8_t buf[CHUNK];
	size_t len = 1 + random_number() % CHUNK;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(&p->in, p->in.sent + i);
	n = send(p->fd, buf, len, MSG_NOSIGNAL);
	if (n > 0)
		p->in.sent += (uint64_t)n;
}

static void client_leave(struct port_side *p)
{
	client_receive(p);
	p->fd = fd_close(p->fd);
}

static bool all_read(void)
{
	for (unsigned int i = 0; i < t.n_ports; i++) {
		int left = 0;

		if (ioctl(t.ports[i].fd, SIOCOUTQ, &left) < 0)
			die("SIOCOUTQ: %s", strerror(errno));
		if (left > 0)
			return false;
	}
	return true;
}

/* What goes on between two kills. */

static void step(bool clients_send)
{
	for (unsigned int i = 0; i < t.n_ports; i++) {
		struct port_side *p = &t.ports[i];

		guest_send(p);
		guest_receive(p);
		if (!client_receive(p))
			die("port %u: the daemon has closed the connection", p->id);
		if (clients_send)
			client_send(p);
	}
	must(guest_poll(&t.guest), "the control queue");
}

/* Bytes that no stream has: what comes before them was on its way when the daemon died. */
static const uint8_t mark[MARK] = "(here begins the next connection)";

static void client_mark(struct port_side *p)
{
	if (send(p->fd, mark, MARK, MSG_NOSIGNAL) != MARK)
		die("port %u: the mark could not be sent", p->id);
	p->n_late = 0;
	p->marked = false;
}

static void guest_receive_late(struct port_side *p)
{
	int n = 0;

	while (!p->marked && n >= 0) {
		if (p->n_late == LATE_MAX)
			die("port %u: more input than there can be", p->id);
		n = guest_read_some_port(&t.guest, p->id, p->late + p->n_late, LATE_MAX - p->n_late,
					 0);
		if (n > 0)
			p->n_late += (size_t)n;
		p->marked =
			p->n_late >= MARK && memcmp(p->late + p->n_late - MARK, mark, MARK) == 0;
	}
	if (n < 0 && n != -ETIMEDOUT)
		must(n, "reading input");
}

/* All output has come, and all input that the daemon had read. */
static void settle(void)
{
	int64_t deadline = monotonic_ms() + WAIT_MS;
	bool done = false;

	while (!done) {
		must(guest_poll(&t.guest), "the receive rings");
		done = true;
		for (unsigned int i = 0; i < t.n_ports; i++) {
			struct port_side *p = &t.ports[i];

			guest_collect(p);
			guest_receive_late(p);
			client_receive(p);
			done &= p->out.got == p->out.sent && p->marked;
		}
		if (done || monotonic_ms() <= deadline)
			continue;
		for (unsigned int i = 0; i < t.n_ports; i++)
			printf("# port %u: output %" PRIu64 " of %" PRIu64
			       ", input %zu after %" PRIu64 " of %" PRIu64 "\n",
			       i + 1, t.ports[i].out.got, t.ports[i].out.sent, t.ports[i].n_late,
			       t.ports[i].in.got, t.ports[i].in.sent);
		die("bytes are missing");
	}
}

/* What the daemon had not read, the client sends again. */
static void go_on(struct port_side *p, bool exact)
{
	compare(&p->in, p->late, p->n_late - MARK, "input", p->id);
	if (exact && p->in.got != p->in.sent)
		die("port %u: the daemon had read %" PRIu64 " bytes, the guest has %" PRIu64, p->id,
		    p->in.sent, p->in.got);
	p->in.sent = p->in.got;
}

static void reconnect(void)
{
	vhu_frontend_disconnect(&t.fe);
	daemon_start();
	vhu_frontend_recover_bases(&t.fe);
	must(vhu_style_negotiate(&t.fe, &t.plan), "negotiating again");
	must(vhu_frontend_inflight_set(&t.fe, &t.record), "giving the record back");
	must(vhu_style_start(&t.fe, &t.plan), "starting the rings again");
	for (unsigned int i = 0; i < t.n_ports; i++) {
		client_connect(&t.ports[i]);
		client_mark(&t.ports[i]);
	}
}

/* Everything goes on meanwhile. */
static void one_upgrade(void)
{
	unsigned int n_before = files_count_lines(t.log, ": upgraded: ");
	int64_t deadline = monotonic_ms() + WAIT_MS;

	kill(t.pid, SIGUSR2);
	while (files_count_lines(t.log, ": upgraded: ") == n_before) {
		step(true);
		if (monotonic_ms() > deadline)
			die("the daemon was not upgraded: see %s", t.log);
	}
}

/* One kill, at a moment that is not known, and what is left of it. */
static void one_kill(void)
{
	bool exact = random_number() % 2;
	uint64_t end = monotonic_ns() + random_number() % 20000000;
	int64_t deadline = monotonic_ms() + WAIT_MS;

	for (unsigned int i = 0; i < t.n_upgrades; i++)
		one_upgrade();
	if (t.n_upgrades > 0 && random_number() % 4 == 0)
		kill(t.pid, SIGUSR2);
	while (monotonic_ns() < end)
		step(true);
	while (exact && !all_read()) {
		step(false);
		if (monotonic_ms() > deadline)
			die("the daemon does not read its clients");
	}
	daemon_kill();
	for (unsigned int i = 0; i < t.n_ports; i++)
		client_leave(&t.ports[i]);
	reconnect();
	settle();
	for (unsigned int i = 0; i < t.n_ports; i++)
		go_on(&t.ports[i], exact);
}

static void set_up(void)
{
	const uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
				  BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(1) |
				  (t.packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);

	t.plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features,
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT),
		.n_set_up = GUEST_RINGS(t.n_ports + 1),
	};
	vhu_frontend_init(&t.fe, -1);
	daemon_start();
	must(vhu_style_begin(&t.fe, &t.plan), "negotiating");
	must(vhu_frontend_inflight_get(&t.fe, &t.record, t.plan.n_set_up, RING_SIZE), "a record");
	must(vhu_frontend_inflight_set(&t.fe, &t.record), "giving the record back");
	must(vhu_style_boot(&t.fe, &t.plan, RING_SIZE), "setting up");
	must(guest_init(&t.guest, &t.fe, features), "the driver");
	must(guest_start(&t.guest, WAIT_MS), "the driver's start");
	for (unsigned int i = 0; i < t.n_ports; i++) {
		struct port_side *p = &t.ports[i];

		must(guest_await_port(&t.guest, p->id, WAIT_MS), "a port");
		must(guest_open_port(&t.guest, p->id, true), "opening a port");
		for (unsigned int k = 0; k < N_PAGES; k++) {
			p->pages[k].host = vhu_frontend_alloc(&t.fe, GUEST_PAGE, GUEST_PAGE,
							      &p->pages[k].buf.addr);
			if (!p->pages[k].host)
				die("no guest memory");
		}
		p->late = malloc(LATE_MAX);
		if (!p->late)
			die("no memory");
		client_connect(p);
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: restart [--kills N] [--upgrades N] [--ports N] [--seed N] "
			"[--packed] DAEMON\n");
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
		else
			usage();
	}
	if (optind + 1 != argc || t.n_ports < 1 || t.n_ports > MAX_PORTS || t.seed == 0)
		usage();
	t.daemon = argv[optind];
}

int main(int argc, char **argv)
{
	uint64_t n_out = 0, n_in = 0;

	parse(argc, argv);
	random_state = t.seed;
	signal(SIGPIPE, SIG_IGN);
	t.record = (struct vhu_frontend_inflight)VHU_FRONTEND_INFLIGHT_NONE;
	snprintf(t.dir, sizeof(t.dir), "/tmp/vhu-restart-XXXXXX");
	if (!mkdtemp(t.dir))
		die("no folder: %s", strerror(errno));
	snprintf(t.socket, sizeof(t.socket), "%s/socket", t.dir);
	snprintf(t.log, sizeof(t.log), "%s/log", t.dir);
	for (unsigned int i = 0; i < t.n_ports; i++) {
		t.ports[i] = (struct port_side){
			.id = i + 1,
			.fd = -1,
			.out.salt = 2 * i + 1,
			.in.salt = 2 * i + 2,
		};
		snprintf(t.ports[i].path, sizeof(t.ports[i].path), "%s/port%u", t.dir, i + 1);
	}
	set_up();
	for (unsigned int i = 0; i < t.n_kills; i++)
		one_kill();
	for (unsigned int i = 0; i < t.n_ports; i++) {
		n_out += t.ports[i].out.got;
		n_in += t.ports[i].in.got;
		client_leave(&t.ports[i]);
		free(t.ports[i].late);
	}
	printf("# seed %" PRIu64 ": %u kills, %u upgrades, %u ports, %" PRIu64
	       " bytes out, %" PRIu64 " bytes in, 0 lost, 0 doubled\n",
	       t.seed, t.n_kills, t.n_kills * t.n_upgrades, t.n_ports, n_out, n_in);
	daemon_kill();
	files_remove(t.dir);
	guest_fini(&t.guest);
	vhu_frontend_inflight_fini(&t.record);
	vhu_frontend_fini(&t.fe);
	puts("ok 1 - nothing is lost or doubled when the daemon is killed\n1..1");
	return 0;
}
