/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A small but honest vhost-user back-end, explained in doc/wire-format: a console between the guest
 * and standard input and output. It offers no more than it does. If nobody reads its output, the
 * guest waits; if output fails or the file of guest memory shrinks, it ends.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* What is on the wire, and what is in a ring: one thing, one line. */
/* clang-format off */
enum { RECEIVE, TRANSMIT, N_RINGS, KICK = 0, CALL, ERR, N_FDS, MAX_REGIONS = 8, MAX_NUM = 1024 };
enum { GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_VRING_NUM = 8,
	SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
	SET_VRING_ENABLE, SET_BACKEND_REQ_FD = 21 };
enum { VERSION = 1, REPLY = 4, MASK = 3 | REPLY, NEED_REPLY = 8, NO_FD = 256 };
enum { MQ = 1, REPLY_ACK = 1 << 3, BACKEND_REQ = 1 << 5, F_PROTOCOL = 1 << 30 };
static const uint64_t protocol = MQ | REPLY_ACK | BACKEND_REQ, features = F_PROTOCOL | 1ull << 32;
struct wire_region { uint64_t guest, size, user, offset; };
struct wire_addr { uint32_t index, flags; uint64_t desc, used, avail, log; };
union payload { uint64_t u64; struct { uint32_t index, num; } state; struct wire_addr addr;
	struct { uint32_t n, padding; struct wire_region region[MAX_REGIONS]; } table; };
struct message { uint32_t got; /* bytes of what follows: */ uint32_t request, flags, size;
	union payload payload; int fds[MAX_REGIONS]; size_t n_fds; /* closed unless taken */ };
enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4, F_NO_INTERRUPT = 1 };
struct desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct avail { uint16_t flags, idx, ring[]; };
struct used { uint16_t flags, idx; struct entry { uint32_t id, len; } ring[]; };
/* What a front-end has set up. A ring's descriptors are those of its kick, call and error. */
struct ring { int fd[N_FDS]; uint32_t num; struct wire_addr addr; bool started, enabled, polled;
	bool fresh; /* next_used is still to be read */ uint16_t next_avail, next_used;
	volatile struct desc *desc; volatile struct avail *avail; volatile struct used *used; };
struct region { struct wire_region w; uint8_t *map; };
struct memory { uint32_t n; struct region region[MAX_REGIONS]; };
static struct { uint64_t features, protocol; struct memory memory; struct ring ring[N_RINGS];
	struct message message; int channel; bool input_ended; } s, blank = { .channel = -1,
	.ring = { { .fd = { -1, -1, -1 } }, { .fd = { -1, -1, -1 } } } };

static void fd_replace(int *slot, int fd) { if (*slot >= 0) close(*slot); *slot = fd; }
/* If there is no room, the other side has not yet taken what it was told before. */
static bool fd_has_room(int fd) { struct pollfd p = { fd, POLLOUT, 0 };
	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT; }
static void fd_signal(int fd) { if (fd_has_room(fd)) (void)!write(fd, &(uint64_t){ 1 }, 8); }
/* clang-format on */

/* What there is of a header, with the descriptors that came along, or then of its payload. */
static bool message_receive(int fd, struct message *m)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(m->fds))];
	size_t end = m->got < 12 ? 12 : 12 + m->size;
	struct iovec iov = { (char *)&m->request + m->got, end - m->got };
	struct msghdr msg = { NULL, 0, &iov, 1, control, m->got ? 0 : sizeof(control), 0 };
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS) {
		m->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(m->fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
	m->got += n > 0 ? (uint32_t)n : 0;
	return n > 0 && !(msg.msg_flags & MSG_CTRUNC) &&
	       (m->got < 12 || (m->size <= sizeof(m->payload) && (m->flags & MASK) == VERSION));
}

static void message_end(struct message *m)
{
	while (m->n_fds)
		close(m->fds[--m->n_fds]);
	*m = (struct message){ 0 };
}

/* [addr, addr + len) of the guest or of the front-end, as it lies in this process, or NULL. */
static void *memory_at(bool guest, uint64_t addr, uint64_t len)
{
	for (struct region *r = s.memory.region; r < s.memory.region + s.memory.n; r++) {
		uint64_t at = addr - (guest ? r->w.guest : r->w.user); /* wraps if it is below */
		if (at < r->w.size && len <= r->w.size - at)
			return r->map + r->w.offset + at;
	}
	return NULL;
}

static bool memory_add(struct memory *t, struct wire_region w, int fd)
{
	struct stat st;
	uint64_t end = w.offset + w.size; /* too much for a size_t of 32 bits, perhaps */
	bool bad = fstat(fd, &st) < 0 || !w.size || w.guest + w.size - 1 < w.guest ||
		   w.user + w.size - 1 < w.user || end < w.size || end != (size_t)end ||
		   end > (uint64_t)st.st_size;
	for (struct region *r = t->region; r < t->region + t->n; r++) /* they must not overlap */
		bad |= w.guest - r->w.guest < r->w.size || r->w.guest - w.guest < w.size ||
		       w.user - r->w.user < r->w.size || r->w.user - w.user < w.size;
	void *map = bad ? MAP_FAILED : mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t->region[t->n] = (struct region){ w, map };
	return map != MAP_FAILED && ++t->n;
}

/* The new table is in force as a whole, or the old one stays. */
static bool memory_replace(const struct message *m)
{
	struct memory drop = s.memory, new = { 0 };
	bool good = m->payload.table.n == m->n_fds;
	for (size_t i = 0; good && i < m->n_fds; i++)
		good = memory_add(&new, m->payload.table.region[i], m->fds[i]);
	*(good ? &s.memory : &drop) = new;
	for (struct region *r = drop.region; r < drop.region + drop.n; r++)
		munmap(r->map, r->w.offset + r->w.size);
	return good;
}

static int ring_stop(struct ring *r, int error_fd)
{
	fd_signal(error_fd);
	fd_replace(&r->fd[KICK], -1);
	r->started = r->polled = false;
	return -1;
}

/* How many chains wait. Acquire: what the driver wrote before the index is read after it. */
static uint16_t ring_look(struct ring *r)
{
	r->desc = memory_at(false, r->addr.desc, 16 * r->num);
	r->avail = memory_at(false, r->addr.avail, 6 + 2 * r->num);
	r->used = memory_at(false, r->addr.used, 6 + 8 * r->num);
	if (!r->started || !r->enabled || !r->num || !r->desc || !r->avail || !r->used)
		return 0;
	r->next_used = r->fresh ? r->used->idx : r->next_used;
	r->used->flags = r->fresh = 0; /* kicks, please; a device before us may have wanted none */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(__atomic_load_n(&r->avail->idx, __ATOMIC_ACQUIRE) - r->next_avail);
}

/* Looks at a chain of n_avail. The guest may write at any time: read once, then check. */
static int ring_peek(struct ring *r, uint16_t n_avail, uint16_t *ret_head, struct iovec *ret_iov)
{
	uint16_t next = *ret_head = r->avail->ring[r->next_avail % r->num];
	for (int n = 0; n_avail <= r->num && n < (int)r->num && next < r->num;) {
		struct desc d = r->desc[next];
		void *at = memory_at(true, d.addr, d.len);
		if (!at || d.flags & F_INDIRECT || (d.flags & F_WRITE && !d.len) ||
		    !(d.flags & F_WRITE) != (r == &s.ring[TRANSMIT]))
			break;
		ret_iov[n++] = (struct iovec){ at, d.len };
		next = d.next;
		if (!(d.flags & F_NEXT))
			return n;
	}
	return ring_stop(r, r->fd[ERR]);
}

/* Release: who sees the index sees the entry. Fence: the driver asks for calls, then looks. */
static void ring_use(struct ring *r, uint16_t head, uint32_t len)
{
	r->used->ring[r->next_used % r->num] = (struct entry){ head, len };
	__atomic_store_n(&r->used->idx, ++r->next_used, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(r->avail->flags & F_NO_INTERRUPT))
		fd_signal(r->fd[CALL]);
	r->next_avail++;
}

/* The device: all output that waits, or one chain of input. Later chains have later kicks. */
static void device_serve(struct ring *r, bool input)
{
	static struct iovec iov[MAX_NUM];
	uint16_t head;
	for (uint16_t n_avail = ring_look(r); n_avail; n_avail = input ? 0 : n_avail - 1) {
		int n = ring_peek(r, n_avail, &head, iov);
		ssize_t len = input && n > 0 ? readv(STDIN_FILENO, iov, n) : 0;
		s.input_ended |= input && n > 0 && len <= 0;
		if (n < 0 || (input && len <= 0))
			return;
		for (int i = 0; !input && i < n; i++)
			fwrite(iov[i].iov_base, 1, iov[i].iov_len, stdout);
		if (fflush(stdout) || ferror(stdout))
			err(1, "standard output");
		ring_use(r, head, (uint32_t)len);
	}
}

/* Requests, one to a line. False: refused, and nothing has changed. Answers are in the payload. */
/* clang-format off */
static bool request_ring(struct message *m, uint32_t id, struct ring *r, uint32_t num)
{
	struct wire_addr *a = &m->payload.addr;
	switch (id) { /* a new size or base begins a new set-up: the ring stops */
	case SET_VRING_NUM: if (!num || num > MAX_NUM || num & (num - 1)) return false;
		ring_stop(r, -1); r->num = num; return true;
	case SET_VRING_BASE: if (num >= 65536) return false;
		ring_stop(r, -1); r->next_avail = (uint16_t)num; return true;
	case GET_VRING_BASE: ring_stop(r, -1); fd_replace(&r->fd[CALL], -1);
		m->payload.state.num = r->next_avail; return true;
	case SET_VRING_ENABLE: if (num > 1 || !(s.features & F_PROTOCOL)) return false;
		r->enabled = num; return true;
	case SET_VRING_ADDR: if (a->desc % 16 || a->avail % 2 || a->used % 4) return false;
		r->addr = *a; r->fresh = true; return true;
	}
	if (m->n_fds != !(m->payload.u64 & NO_FD)) return false;
	fd_replace(&r->fd[id - SET_VRING_KICK], m->n_fds ? m->fds[0] : -1);
	if (id == SET_VRING_KICK) r->fresh |= !r->started, r->started = 1, r->polled = !m->n_fds;
	if (id == SET_VRING_CALL && r->started) fd_signal(r->fd[CALL]); /* of what it has missed */
	m->n_fds = 0; return true;
}

static bool request_act(struct message *m, uint32_t id, uint32_t size)
{
	switch (id) {
	case SET_OWNER: case RESET_OWNER: return size == 0;
	case GET_FEATURES: m->payload.u64 = features; return size == 0;
	case GET_PROTOCOL_FEATURES: m->payload.u64 = protocol; return size == 0;
	case GET_QUEUE_NUM: m->payload.u64 = N_RINGS; return size == 0;
	case SET_PROTOCOL_FEATURES: if (size != 8 || m->payload.u64 & ~protocol) return false;
		s.protocol = m->payload.u64; return true;
	case SET_FEATURES: if (size != 8 || m->payload.u64 & ~features) return false;
		for (int i = N_RINGS; i--;) s.ring[i].enabled |= !(m->payload.u64 & F_PROTOCOL);
		s.features = m->payload.u64; return true; /* without bit 30 nothing else enables */
	case SET_MEM_TABLE: return m->n_fds && size >= 8 + 32 * m->n_fds && memory_replace(m);
	case SET_BACKEND_REQ_FD: if (m->n_fds != 1 || !(s.protocol & BACKEND_REQ)) return false;
		fd_replace(&s.channel, m->fds[0]); m->n_fds = 0; return true; /* UML needs one */
	default: if (id < SET_VRING_NUM || id > SET_VRING_ENABLE) return false; /* or a ring's */
	}
	bool fds = id >= SET_VRING_KICK && id <= SET_VRING_ERR;
	uint32_t index = fds ? m->payload.u64 & 0xff : m->payload.state.index;
	return size == (id == SET_VRING_ADDR ? 40 : 8) && index < N_RINGS &&
		request_ring(m, id, &s.ring[index], m->payload.state.num);
}
/* clang-format on */

/* Reads on; acts and answers once a message is whole. False: this front-end is done with. */
static bool request_serve(int fd, struct message *m)
{
	bool good = message_receive(fd, m);
	if (!good || m->got < 12 || m->got < 12 + m->size)
		return good;
	uint32_t id = m->request, reply[5] = { id, VERSION | REPLY, 8 };
	bool done = request_act(m, id, m->size);
	bool own = id == GET_FEATURES || id == GET_PROTOCOL_FEATURES || id == GET_QUEUE_NUM ||
		   id == GET_VRING_BASE;
	bool ack = !own && m->flags & NEED_REPLY && s.protocol & REPLY_ACK;
	memcpy(&reply[3], own ? &m->payload.u64 : &(uint64_t){ !done }, 8);
	message_end(m);
	return (done || ack) && (!(own || ack) || write(fd, reply, 20) == 20);
}

/* Kicks first: a message may replace their descriptors. Then whatever runs is looked at. */
static void session_run(int fd)
{
	s = blank;
	for (bool alive = true; alive;) {
		bool input = !s.input_ended && ring_look(&s.ring[RECEIVE]);
		struct pollfd p[] = { { s.ring[0].fd[KICK], POLLIN, 0 },
				      { s.ring[1].fd[KICK], POLLIN, 0 },
				      { input ? STDIN_FILENO : -1, POLLIN, 0 },
				      { fd, fd_has_room(fd) ? POLLIN : POLLOUT, 0 } };
		poll(p, 4, s.ring[0].polled || s.ring[1].polled ? 10 /* ms */ : -1);
		for (int i = 0; i < N_RINGS; i++)
			if (p[i].revents && read(p[i].fd, &(uint64_t){ 0 }, 8) <= 0)
				ring_stop(&s.ring[i], s.ring[i].fd[ERR]); /* a pipe's end */
		if (p[2].revents)
			device_serve(&s.ring[RECEIVE], true);
		if (p[3].revents & ~POLLOUT) /* if there was room for an answer */
			alive = request_serve(fd, &s.message);
		device_serve(&s.ring[TRANSMIT], false);
	}
	for (int i = 0; i < N_RINGS * N_FDS; i++)
		fd_replace(&s.ring[i / N_FDS].fd[i % N_FDS], -1);
	fd_replace(&s.channel, -1);
	message_end(&s.message);
	memory_replace(&s.message);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (argc != 2 || argv[1][0] == '-' || strlen(argv[1]) >= sizeof(address.sun_path))
		errx(2, "usage: minimal-backend SOCKET");
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	struct sockaddr *to = (struct sockaddr *)&address;
	if (!lstat(argv[1], &st) && S_ISSOCK(st.st_mode) && connect(listener, to, sizeof(address)))
		unlink(argv[1]); /* nobody listens there any more */
	if (bind(listener, to, sizeof(address)) || listen(listener, 4))
		err(1, "%s", argv[1]);
	signal(SIGPIPE, SIG_IGN);
	for (int fd;; close(fd)) /* one front-end after the other */
		if ((fd = accept(listener, NULL, NULL)) >= 0)
			session_run(fd);
}
