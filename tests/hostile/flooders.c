/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "flooders.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"
#include "guests.h"
#include "vhu/codec.h"
#include "virtio/console-ctrl.h"

enum {
	TX = GUEST_PORT_TX(INTRUDER_PORT),
	RX = GUEST_PORT_RX(INTRUDER_PORT),
	AT_ONCE = 16,
	PATIENCE_MS = 600 * 1000, /* a daemon that lets us wait is no failure here */
	CHUNK = 64 * 1024,
	LINKS = 1024,
	WIDE_BYTES = 1 << 20,
	NAWS_LEN = 9,
};

static void count(struct flood_state *state)
{
	__atomic_fetch_add(&state->n, 1, __ATOMIC_RELAXED);
}

static void ready(struct flood_state *state)
{
	__atomic_store_n(&state->ready, true, __ATOMIC_SEQ_CST);
}

static void boot(struct intruder *in, struct flood_state *state)
{
	intruder_boot(in);
	in->fe.timeout_ms = PATIENCE_MS;
	ready(state);
}

static void flood_nothing(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (;;)
		pause();
}

/* Connections */

/* -1 while the daemon takes no more. */
static int try_connect(const char *path)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	fd_unix_address(path, &addr, &len);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, len) == 0)
		return fd;
	return fd_close(fd);
}

static void flood_path(const char *path, struct flood_state *state)
{
	for (;;) {
		int fd = try_connect(path);

		if (fd < 0)
			continue;
		fd_close(fd);
		count(state);
	}
}

static void flood_connects(struct intruder *in, struct flood_state *state)
{
	ready(state);
	flood_path(in->socket, state);
}

static void flood_clients(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	flood_path(in->port, state);
}

static void send_half(int fd)
{
	const int fds[FDSET_MAX] = { fd, fd, fd, fd, fd, fd, fd, fd };
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(fds))] = { 0 };
	uint8_t half[VHU_HDR_LEN / 2] = { VHU_FE_SET_MEM_TABLE };
	struct iovec iov = { half, sizeof(half) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	fd_attach(&msg, space, fds, FDSET_MAX);
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void flood_half_open(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (;;) {
		int fd = try_connect(in->socket);

		if (fd < 0)
			continue;
		send_half(fd);
		fd_close(fd);
		count(state);
	}
}

static void flood_refused(struct intruder *in, struct flood_state *state)
{
	const struct {
		uint32_t id, flags, size;
	} header = { 4711, 1, 0 };

	ready(state);
	for (;;) {
		int fd = try_connect(in->socket);

		if (fd < 0)
			continue;
		if (send(fd, &header, sizeof(header), MSG_NOSIGNAL) > 0)
			count(state);
		fd_close(fd);
	}
}

/* Kicks */

static void kick(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void flood_kicks(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (;;) {
		kick(in->fe.rings[TX].kick_fd);
		count(state);
	}
}

static void flood_kicks_all(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (;;) {
		for (unsigned int i = 0; i < in->plan.n_set_up; i++)
			kick(in->fe.rings[i].kick_fd);
		count(state);
	}
}

static void flood_semaphore(struct intruder *in, struct flood_state *state)
{
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK);

	boot(in, state);
	if (fd < 0 || write(fd, &most, sizeof(most)) < 0)
		die("no semaphore: %s", strerror(errno));
	must(&in->fe, vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, TX, fd, true),
	     "a kick that is a semaphore");
	for (;;)
		pause();
}

/* Messages */

static void say(struct intruder *in, const struct vhu_msg *msg, struct flood_state *state)
{
	must(&in->fe, vhu_frontend_send_unchecked(&in->fe, msg), "sending");
	count(state);
}

static void hear(struct intruder *in)
{
	struct vhu_msg msg;

	must(&in->fe, vhu_frontend_receive(&in->fe, &msg, PATIENCE_MS), "an answer");
	fdset_close(&msg.fds);
}

/* Messages that are answered: as many as are there at once. */
static void ask(struct intruder *in, const struct vhu_msg *msg, struct flood_state *state)
{
	for (unsigned int i = 0; i < AT_ONCE; i++)
		say(in, msg, state);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		hear(in);
}

static void flood_get_features(struct intruder *in, struct flood_state *state)
{
	struct vhu_msg msg;

	boot(in, state);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	for (;;)
		ask(in, &msg, state);
}

/* The memory that there is, in eight pieces. */
static void flood_mem_table(struct intruder *in, struct flood_state *state)
{
	struct vhu_mem_table table = { .n_regions = VHU_MAX_REGIONS };
	const struct vhu_region *all;
	struct vhu_msg msg;

	boot(in, state);
	all = &in->fe.regions[0].wire;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	for (unsigned int i = 0; i < VHU_MAX_REGIONS; i++) {
		uint64_t size = all->size / VHU_MAX_REGIONS;

		table.regions[i] = (struct vhu_region){
			.guest_addr = all->guest_addr + i * size,
			.size = size,
			.user_addr = all->user_addr + i * size,
			.mmap_offset = all->mmap_offset + i * size,
		};
		msg.fds.fd[msg.fds.n_fds++] = in->fe.mem_fd;
	}
	vhu_msg_put(&msg, &table, sizeof(table));
	msg.flags |= VHU_FLAG_NEED_REPLY;
	for (;;)
		ask(in, &msg, state);
}

static void flood_vring_base(struct intruder *in, struct flood_state *state)
{
	uint32_t base;

	boot(in, state);
	for (;;) {
		must(&in->fe, vhu_frontend_vring_base(&in->fe, TX, &base), "a base");
		must(&in->fe,
		     vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, TX,
					   in->fe.rings[TX].kick_fd, false),
		     "a kick descriptor");
		count(state);
	}
}

static void flood_vring_call(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (;;) {
		must(&in->fe,
		     vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_CALL, TX,
					   in->fe.rings[TX].call_fd, false),
		     "a call descriptor");
		count(state);
	}
}

static void flood_enable(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	for (unsigned int i = 0;; i++) {
		must(&in->fe,
		     vhu_frontend_vring(&in->fe, VHU_FE_SET_VRING_ENABLE, TX, i % 2, false),
		     "enabling");
		count(state);
	}
}

static void flood_config(struct intruder *in, struct flood_state *state)
{
	enum { EMERG_WR = 8 };
	const uint32_t letter = 'x';
	uint8_t bytes[12];

	boot(in, state);
	for (;;) {
		must(&in->fe, vhu_frontend_get_config(&in->fe, 0, sizeof(bytes), 0, bytes),
		     "a config read");
		must(&in->fe,
		     vhu_frontend_set_config(&in->fe, EMERG_WR, &letter, sizeof(letter), 0, false),
		     "an emergency write");
		count(state);
	}
}

/* Rings that always have something */

/* Offers chains on a ring of output for ever: what comes back goes out again. */
static void feed(struct intruder *in, unsigned int ring, const struct driverq_buf *bufs,
		 unsigned int n_out, bool indirect, struct flood_state *state)
{
	struct driverq *q = &in->fe.rings[ring].q;
	uint32_t len;
	void *token;

	for (;;) {
		while (driverq_get(q, &token, &len) == DRIVERQ_USED)
			count(state);
		while (driverq_add(q, bufs, n_out, 0, indirect, in) == 0)
			continue;
		must(&in->fe, vhu_frontend_publish(&in->fe, ring), "kicking");
	}
}

static void put_message(struct intruder *in, unsigned int page, uint16_t event, uint16_t value)
{
	const struct {
		uint32_t id;
		uint16_t event, value;
	} message = { INTRUDER_PORT, event, value };

	memcpy(in->hosts[page], &message, sizeof(message));
	in->pages[page].len = sizeof(message);
}

static void flood_control(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	put_message(in, 0, UINT16_MAX, 0);
	feed(in, GUEST_CTRL_TX, &in->pages[0], 1, false, state);
}

/* Two messages by turns; the buffers for what the device says come back, too. */
static void flood_open(struct intruder *in, struct flood_state *state)
{
	struct driverq *q;
	uint32_t len;
	void *token;

	boot(in, state);
	q = &in->fe.rings[GUEST_CTRL_TX].q;
	put_message(in, 0, CONSOLE_PORT_OPEN, 0);
	put_message(in, 1, CONSOLE_PORT_OPEN, 1);
	for (unsigned int i = 0;;) {
		while (driverq_get(q, &token, &len) == DRIVERQ_USED)
			count(state);
		while (driverq_add(q, &in->pages[i % 2], 1, 0, false, in) == 0)
			i++;
		must(&in->fe, vhu_frontend_publish(&in->fe, GUEST_CTRL_TX), "kicking");
		must(&in->fe, guest_poll_control(&in->guest), "the control queue");
	}
}

static void flood_broken(struct intruder *in, struct flood_state *state)
{
	struct driverq *q;
	uint32_t base;

	boot(in, state);
	q = &in->fe.rings[TX].q;
	for (;;) {
		/* A head that there is not. */
		vring_set_avail_entry(&q->ring, q->avail_idx, UINT16_MAX);
		vring_set_avail_idx(&q->ring, ++q->avail_idx);
		must(&in->fe, vhu_frontend_kick(&in->fe, TX), "kicking");
		must(&in->fe, vhu_frontend_vring_base(&in->fe, TX, &base), "a base");
		must(&in->fe,
		     vhu_frontend_vring(&in->fe, VHU_FE_SET_VRING_BASE, TX, q->avail_idx, false),
		     "setting it");
		must(&in->fe,
		     vhu_frontend_vring_fd(&in->fe, VHU_FE_SET_VRING_KICK, TX,
					   in->fe.rings[TX].kick_fd, false),
		     "a kick descriptor");
		count(state);
	}
}

/* Its client reads all; in a process of its own, which ends with this one. */
static void read_for_ever(const struct intruder *in)
{
	static uint8_t buf[CHUNK];

	if (fork() != 0)
		return;
	guests_end_with_parent();
	while (poll(&(struct pollfd){ .fd = in->client, .events = POLLIN }, 1, -1) > 0)
		if (read(in->client, buf, sizeof(buf)) == 0)
			break;
	_exit(0);
}

static void flood_output(struct intruder *in, struct flood_state *state)
{
	boot(in, state);
	read_for_ever(in);
	feed(in, TX, &in->pages[0], 1, false, state);
}

static void flood_long_chains(struct intruder *in, struct flood_state *state)
{
	static struct driverq_buf bufs[LINKS];

	boot(in, state);
	read_for_ever(in);
	for (unsigned int i = 0; i < LINKS; i++)
		bufs[i] = (struct driverq_buf){ in->pages[i % INTRUDER_CHAINS].addr, 1 };
	feed(in, TX, bufs, LINKS, false, state);
}

static void flood_wide_chains(struct intruder *in, struct flood_state *state)
{
	static struct driverq_buf bufs[LINKS];
	uint64_t addr;

	boot(in, state);
	read_for_ever(in);
	if (!vhu_frontend_alloc(&in->fe, WIDE_BYTES, GUEST_PAGE, &addr))
		die("no memory for wide chains");
	for (unsigned int i = 0; i < LINKS; i++)
		bufs[i] = (struct driverq_buf){ addr, WIDE_BYTES };
	feed(in, TX, bufs, LINKS, false, state);
}

/* Clients that send */

static void write_for_ever(int fd, const uint8_t *bytes, size_t len, struct flood_state *state)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	for (;;) {
		if (poll(&p, 1, -1) > 0 && send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			count(state);
	}
}

static void flood_resize(struct intruder *in, struct flood_state *state)
{
	static const uint8_t will_naws[] = { 255, 251, 31 };
	static uint8_t bytes[sizeof(will_naws) + NAWS_LEN * 1024];
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = sizeof(will_naws);

	boot(in, state);
	memcpy(bytes, will_naws, sizeof(will_naws));
	for (uint8_t i = 1; len + NAWS_LEN <= sizeof(bytes); len += NAWS_LEN, i ^= 3) {
		const uint8_t naws[NAWS_LEN] = { 255, 250, 31, 0, i, 0, i, 255, 240 };

		memcpy(bytes + len, naws, NAWS_LEN);
	}
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((uint16_t)guests_tcp_port(in->daemon, "intruder: port 0"));
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("no connection by telnet: %s", strerror(errno));
	write_for_ever(fd, bytes, len, state);
}

static void feed_room(struct intruder *in)
{
	struct driverq *q = &in->fe.rings[RX].q;
	uint32_t len;
	void *token;

	while (driverq_get(q, &token, &len) == DRIVERQ_USED)
		continue;
	while (driverq_add(q, &in->pages[0], 0, 1, false, in) == 0)
		continue;
	must(&in->fe, vhu_frontend_publish(&in->fe, RX), "kicking");
}

static void flood_input(struct intruder *in, struct flood_state *state)
{
	static const uint8_t bytes[CHUNK];

	boot(in, state);
	for (;;) {
		feed_room(in);
		if (send(in->client, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			count(state);
	}
}

const struct flooder flooders[] = {
#define FLOOD(name, text) { text, name },
#include "floods.def"
	{ 0 },
};
