/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "crowd.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../restart/side.h"
#include "clock.h"
#include "fd.h"
#include "guests.h"
#include "vhu/frontend-style.h"
#include "virtio/features.h"

enum {
	PORT = 1,
	RING_SIZE = 64,
	BULK_RING_SIZE = 32768, /* work for longer than we may be kept off our core */
	BULK_BYTES = 1024,
	LOOK_MS = 1,
};

/* What the two processes tell each other; each word has one writer. */
struct crowd_shared {
	bool busy, stop;
	uint64_t out[CROWD_MAX], in[CROWD_MAX];
};

struct innocent {
	struct vhu_frontend fe;
	struct vhu_frontend_plan plan;
	struct guest guest;
	struct side side;
};

static struct innocent *people;

void crowd_socket_path(const struct run_daemon *d, unsigned int i, char *ret_path)
{
	snprintf(ret_path, 128, "%s/s%u", d->dir, i);
}

void crowd_port_path(const struct run_daemon *d, unsigned int i, char *ret_path)
{
	snprintf(ret_path, 128, "%s/p%u", d->dir, i);
}

/* Their process */

static int dial_tcp(const struct run_daemon *d, unsigned int i)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char who[32];

	snprintf(who, sizeof(who), "g%u: port %d", i, PORT);
	addr.sin_port = htons((uint16_t)guests_tcp_port(d, who));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("guest %u: no connection by TCP: %s", i, strerror(errno));
	return fd;
}

/* It does not block from here on. */
static int dial_client(const struct run_daemon *d, unsigned int i)
{
	char path[128];
	int fd;

	crowd_port_path(d, i, path);
	fd = i % 2 ? dial_tcp(d, i) : daemon_dial_patiently(d, path);
	return fd;
}

static void boot(struct innocent *p, const struct crowd *c, unsigned int i)
{
	const uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
				  BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(1) |
				  (!c->bulk && i % 3 == 0 ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);
	char path[128];

	crowd_socket_path(c->daemon, i, path);
	p->plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features,
		.n_set_up = GUEST_RINGS(PORT + 1),
	};
	vhu_frontend_init(&p->fe, daemon_dial_patiently(c->daemon, path));
	must(&p->fe, vhu_style_setup(&p->fe, &p->plan, c->bulk ? BULK_RING_SIZE : RING_SIZE),
	     "an innocent's session");
	must(&p->fe, guest_init(&p->guest, &p->fe, features), "an innocent's driver");
	p->guest.caller_posts = true;
	must(&p->fe, guest_start(&p->guest, RUN_WAIT_MS), "an innocent's start");
	must(&p->fe, guest_await_port(&p->guest, PORT, RUN_WAIT_MS), "an innocent's port");
	side_init(&p->side, &p->fe, PORT);
	p->side.out.pattern.salt += 2 * i;
	p->side.in.pattern.salt += 2 * i;
	side_open(&p->side, &p->guest);
	if (!c->bulk)
		p->side.fd = dial_client(c->daemon, i);
	must(&p->fe, guest_await_port_host_open(&p->guest, PORT, true, RUN_WAIT_MS),
	     "an innocent's client");
}

/* Everything that is there, and it is what was sent. False: the daemon has hung up. */
static bool receive(struct side *s)
{
	uint8_t buf[SIDE_CHUNK];
	ssize_t n;

	while ((n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		side_compare(s, &s->out, buf, (size_t)n, "output");
	return n < 0 && errno == EAGAIN;
}

static void send_some(struct side *s)
{
	uint8_t buf[SIDE_CHUNK];
	size_t len = 1 + run_random() % SIDE_CHUNK;
	ssize_t n;

	side_input(s, buf, len);
	n = send(s->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		s->in.sent += (uint64_t)n;
}

static void step_compared(struct innocent *p, unsigned int i, bool more)
{
	if (more)
		side_send(&p->side);
	else
		side_collect(&p->side);
	side_receive(&p->side, SIDE_PAGES);
	if (!receive(&p->side))
		die("guest %u: the daemon has closed its client's connection", i);
	if (more)
		send_some(&p->side);
}

/*
 * The same chains again and again, which the device returns in order: the ring is full
 * at all times, and that costs next to nothing here, so the daemon is what limits it.
 */
static void step_bulk(struct innocent *p)
{
	struct side *s = &p->side;
	struct driverq *q = &p->fe.rings[GUEST_PORT_TX(PORT)].q;
	const struct driverq_buf buf = { s->tx[0].buf.addr, BULK_BYTES };
	uint16_t used_idx = vring_used_idx(&q->ring);

	while (driverq_n_free(q) > 0)
		must(&p->fe, driverq_add(q, &buf, 1, 0, false, p), "offering output");
	s->out.got += (uint64_t)(uint16_t)(used_idx - q->last_used) * BULK_BYTES;
	q->last_used = used_idx;
	q->avail_idx = (uint16_t)(used_idx + BULK_RING_SIZE);
	must(&p->fe, vhu_frontend_publish(&p->fe, GUEST_PORT_TX(PORT)), "kicking");
}

static void step(const struct crowd *c, unsigned int i, bool more)
{
	struct innocent *p = &people[i];

	if (c->bulk)
		step_bulk(p);
	else
		step_compared(p, i, more);
	if (!c->bulk)
		must(&p->fe, guest_poll_control(&p->guest), "an innocent's control queue");
	__atomic_store_n(&c->shared->out[i], p->side.out.got, __ATOMIC_RELAXED);
	__atomic_store_n(&c->shared->in[i], p->side.in.got, __ATOMIC_RELAXED);
}

/* What is on its way has to arrive. */
static void settle(const struct crowd *c)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;

	for (unsigned int i = 0; i < c->n; i++) {
		const struct side *s = &people[i].side;

		while (s->out.got != s->out.sent || s->in.got != s->in.sent) {
			step(c, i, false);
			if (monotonic_ms() > deadline)
				die("guest %u has lost bytes: output %llu of %llu, input %llu of "
				    "%llu",
				    i, (unsigned long long)s->out.got,
				    (unsigned long long)s->out.sent, (unsigned long long)s->in.got,
				    (unsigned long long)s->in.sent);
		}
	}
}

static void leave(struct innocent *p)
{
	p->side.fd = fd_close(p->side.fd);
	guest_fini(&p->guest);
	vhu_frontend_fini(&p->fe);
}

void crowd_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	if (cpu >= 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
		die("core %d cannot be had: %s", cpu, strerror(errno));
}

static void live(const struct crowd *c)
{
	people = calloc(c->n, sizeof(*people));
	if (!people)
		die("no memory");
	guests_end_with_parent();
	crowd_pin(c->cpu);
	for (unsigned int i = 0; i < c->n; i++)
		boot(&people[i], c, i);
	__atomic_store_n(&c->shared->busy, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&c->shared->stop, __ATOMIC_RELAXED))
		for (unsigned int i = 0; i < c->n; i++)
			step(c, i, true);
	if (!c->bulk)
		settle(c);
	for (unsigned int i = 0; i < c->n; i++)
		leave(&people[i]);
	free(people);
	exit(0);
}

/* Ours */

static void must_live(const struct crowd *c)
{
	int status;

	if (waitpid(c->pid, &status, WNOHANG) == c->pid)
		die("the innocent guests have failed, with status 0x%x", status);
	if (waitpid(c->daemon->pid, &status, WNOHANG) == c->daemon->pid)
		die("the daemon has ended with status 0x%x", status);
}

void crowd_start(struct crowd *c)
{
	c->shared = mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shared == MAP_FAILED)
		die("no memory to share: %s", strerror(errno));
	fflush(stdout);
	c->pid = fork();
	if (c->pid < 0)
		die("no process: %s", strerror(errno));
	if (c->pid == 0)
		live(c);
	while (!__atomic_load_n(&c->shared->busy, __ATOMIC_SEQ_CST)) {
		must_live(c);
		poll(NULL, 0, LOOK_MS);
	}
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static bool all_moved(const struct crowd *c, const struct crowd_shared *before)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (load(&c->shared->out[i]) == before->out[i] ||
		    (!c->bulk && load(&c->shared->in[i]) == before->in[i]))
			return false;
	return true;
}

void crowd_await_progress(const struct crowd *c)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	struct crowd_shared before = { 0 };

	for (unsigned int i = 0; i < c->n; i++) {
		before.out[i] = load(&c->shared->out[i]);
		before.in[i] = load(&c->shared->in[i]);
	}
	while (!all_moved(c, &before)) {
		must_live(c);
		if (monotonic_ms() > deadline)
			die("an innocent guest gets no bytes any more");
		poll(NULL, 0, LOOK_MS);
	}
	must_live(c);
}

uint64_t crowd_bytes(const struct crowd *c)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < c->n; i++)
		n += load(&c->shared->out[i]) + load(&c->shared->in[i]);
	return n;
}

void crowd_end(struct crowd *c)
{
	int status;

	__atomic_store_n(&c->shared->stop, true, __ATOMIC_SEQ_CST);
	if (waitpid(c->pid, &status, 0) != c->pid || status != 0)
		die("the innocent guests have failed, with status 0x%x", status);
}
