/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/port-journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	JOURNAL_KIND_PORT = 1,
	TRANSFERS_SIZE = 4096,
};

/* What msg_len is until the kernel has written it. */
#define NOTHING_YET UINT32_MAX

/* One call. The address of the vector means something to the process that makes it alone. */
struct transfer {
	uint64_t pos; /* of a send */
	struct iovec iov;
	struct mmsghdr msg;
};

/* Calls take turns as commits do: number n is in place n % 2. */
struct port_transfers {
	uint64_t n_sends, n_receives;
	uint64_t client; /* one is there, or awaited */
	struct transfer sends[2], receives[2];
};

_Static_assert(sizeof(struct port_transfers) <= TRANSFERS_SIZE, "transfers fit");

/* To be killed between two stores is to have done the first: the compiler must keep them so. */
static void store_u64(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static void prepare(struct transfer *t, uint64_t pos, const void *buf, size_t len)
{
	t->pos = pos;
	t->iov = (struct iovec){ .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	t->msg = (struct mmsghdr){
		.msg_hdr = { .msg_iov = &t->iov, .msg_iovlen = 1 },
		.msg_len = NOTHING_YET,
	};
}

static uint32_t transferred(const struct transfer *t)
{
	return t->msg.msg_len == NOTHING_YET ? 0 : t->msg.msg_len;
}

static uint64_t sent_to(const struct port_transfers *t)
{
	const struct transfer *send = &t->sends[t->n_sends % 2];

	return send->pos + transferred(send);
}

static size_t area_len(size_t out_size)
{
	return TRANSFERS_SIZE + PORT_JOURNAL_RECEIVE + PORT_JOURNAL_INPUT + out_size;
}

static void set_places(struct port_journal *j, size_t out_size)
{
	j->transfers = j->file.area;
	j->received = (uint8_t *)j->file.area + TRANSFERS_SIZE;
	j->in = j->received + PORT_JOURNAL_RECEIVE;
	j->out = j->in + PORT_JOURNAL_INPUT;
	j->out_size = out_size;
}

int port_journal_new(const char *path, size_t out_size, struct port_journal **ret_journal,
		     char *ret_why, size_t why_cap)
{
	struct port_journal *j = calloc(1, sizeof(*j));
	bool found = false;
	int err;

	if (!j) {
		snprintf(ret_why, why_cap, "%s: no memory for a journal", path);
		return -ENOMEM;
	}
	err = journal_open(&j->file, path, JOURNAL_KIND_PORT, sizeof(j->now), area_len(out_size),
			   &found, ret_why, why_cap);
	if (err < 0) {
		free(j);
		return err;
	}
	set_places(j, out_size);
	if (found)
		memcpy(&j->now, journal_last(&j->file), sizeof(j->now));
	*ret_journal = j;
	return 0;
}

void port_journal_free(struct port_journal *j)
{
	if (!j)
		return;
	journal_close(&j->file);
	free(j);
}

/* Whether the queues can be as the commit says; a file can be of any kind. */
static bool plausible(const struct port_journal *j)
{
	const struct port_commit *c = &j->now;
	const uint64_t n = j->transfers->n_receives;

	return c->in_head - c->in_tail <= PORT_JOURNAL_INPUT &&
	       (n == c->receive || n == c->receive + 1) && c->received_to <= PORT_JOURNAL_RECEIVE &&
	       transferred(&j->transfers->receives[n % 2]) <= PORT_JOURNAL_RECEIVE &&
	       sent_to(j->transfers) <= c->out_head;
}

/* What the last receive brought and the queue had not had when the process was killed. */
static void queue_received(struct port_journal *j, struct port *port)
{
	const uint64_t n = j->transfers->n_receives;
	const uint32_t len = transferred(&j->transfers->receives[n % 2]);
	const uint64_t from = n == j->now.receive ? j->now.received_to : 0;

	if (n > 0 && from < len)
		bytering_put(&port->in, j->received + from, (size_t)(len - from));
	j->now.receive = n;
	j->now.received_to = len;
	j->now.in_head = port->in.head;
	journal_commit(&j->file, &j->now);
}

void port_journal_begin(struct port_journal *j, struct port *port)
{
	uint64_t sent;

	if (!plausible(j)) {
		j->now = (struct port_commit){ 0 };
		*j->transfers = (struct port_transfers){ 0 };
	}
	j->found_ring[0] = j->found_ring[1] = j->found_out_done = true;
	port->journal = j;
	bytering_lend(&port->in, j->in, PORT_JOURNAL_INPUT);
	port->in.head = j->now.in_head;
	port->in.tail = j->now.in_tail;
	queue_received(j, port);
	bytering_lend(&port->out, j->out, j->out_size);
	port->out.head = j->now.out_head;
	sent = j->transfers->client ? sent_to(j->transfers) : j->now.out_head;
	/* What was overwritten since is lost to a client that was not waited for. */
	if (port->out.head - sent > port->out.size)
		sent = port->out.head - port->out.size;
	port->out.tail = port->begin = port->delivered = sent;
	port->owing = sent < port->out.head || j->transfers->client;
}

bool port_journal_join(struct port_journal *j, uint64_t pos)
{
	struct port_transfers *t = j->transfers;

	if (j->client)
		return false;
	j->client = true;
	prepare(&t->sends[(t->n_sends + 1) % 2], pos, NULL, 0);
	store_u64(&t->n_sends, t->n_sends + 1);
	store_u64(&t->client, 1);
	return true;
}

void port_journal_part(struct port_journal *j)
{
	j->client = false;
}

void port_journal_leave(struct port_journal *j)
{
	port_journal_part(j);
	store_u64(&j->transfers->client, 0);
}

/* seccomp: sendmmsg */
ssize_t port_journal_send(struct port_journal *j, int fd, uint64_t pos, const void *buf, size_t len)
{
	struct port_transfers *t = j->transfers;
	struct transfer *send = &t->sends[(t->n_sends + 1) % 2];

	prepare(send, pos, buf, len);
	store_u64(&t->n_sends, t->n_sends + 1);
	if (sendmmsg(fd, &send->msg, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return send->msg.msg_len;
}

/* seccomp: recvmmsg recvmsg */
ssize_t port_journal_receive(struct port_journal *j, int fd)
{
	struct port_transfers *t = j->transfers;
	const struct transfer *last = &t->receives[t->n_receives % 2];
	/* One that brought nothing is tried again: a commit is at most one receive behind. */
	const uint64_t n =
		transferred(last) > 0 || t->n_receives == 0 ? t->n_receives + 1 : t->n_receives;
	struct transfer *receive = &t->receives[n % 2];

	prepare(receive, 0, j->received, PORT_JOURNAL_RECEIVE);
	store_u64(&t->n_receives, n);
	j->now.receive = t->n_receives;
	j->now.received_to = 0;
	if (recvmmsg(fd, &receive->msg, 1, MSG_DONTWAIT, NULL) < 0)
		return -errno;
	return receive->msg.msg_len;
}

void port_journal_input(struct port_journal *j, const struct port *port, size_t n)
{
	j->now.received_to += n;
	j->now.in_head = port->in.head;
	journal_commit(&j->file, &j->now);
}

void port_journal_guest_gave(struct port_journal *j, const struct port *port,
			     const struct ring_mark *mark, uint32_t next_out, uint64_t out_done)
{
	j->now.out_head = port->out.head;
	j->now.returned[1] = *mark;
	j->now.next_out = next_out;
	j->now.out_done = out_done;
	journal_commit(&j->file, &j->now);
}

void port_journal_guest_took(struct port_journal *j, const struct port *port,
			     const struct ring_mark *mark)
{
	j->now.in_tail = port->in.tail;
	j->now.returned[0] = *mark;
	journal_commit(&j->file, &j->now);
}

/* What was found is of use once, to the rings of the guest that was there. */
static bool found_for(struct port_journal *j, uint64_t guest, bool *found)
{
	const bool use = *found && guest != 0 && guest == j->now.guest;

	*found = false;
	return use;
}

void port_journal_meet(struct port_journal *j, uint64_t guest)
{
	j->found_ring[0] = j->found_ring[1] = j->found_out_done = false;
	j->now.guest = guest;
	memset(j->now.returned, 0, sizeof(j->now.returned));
	j->now.out_done = 0;
	journal_commit(&j->file, &j->now);
}

bool port_journal_resume(struct port_journal *j, uint64_t guest, unsigned int ring,
			 struct ring_mark *ret_mark)
{
	if (found_for(j, guest, &j->found_ring[ring])) {
		*ret_mark = j->now.returned[ring];
		return true;
	}
	if (guest != j->now.guest)
		port_journal_meet(j, guest);
	j->now.returned[ring] = (struct ring_mark){ 0 };
	journal_commit(&j->file, &j->now);
	return false;
}

uint64_t port_journal_out_done(struct port_journal *j, uint64_t guest, uint32_t next)
{
	return found_for(j, guest, &j->found_out_done) && next == j->now.next_out ? j->now.out_done
										  : 0;
}

/* Another process. */

enum journal_tag { TAG_FILE = 1, TAG_FLAGS, TAG_COMMIT, TAG_IN, TAG_OUT };
enum journal_flag { FLAG_CLIENT, FLAG_FOUND_IN, FLAG_FOUND_OUT, FLAG_FOUND_DONE, N_FLAGS };

static void save_positions(const struct bytering *ring, struct state_writer *w, unsigned int tag)
{
	const uint64_t at[] = { ring->head, ring->tail, ring->base };

	state_put_bytes(w, tag, at, sizeof(at));
}

static void load_positions(struct bytering *ring, struct handover_in *in, unsigned int tag)
{
	uint64_t at[3] = { 0 };

	handover_take_exact(in, tag, "positions", at, sizeof(at));
	if (at[0] - at[1] > ring->size)
		state_fail(&in->state, "there is more than the ring holds");
	ring->head = at[0];
	ring->tail = at[1];
	ring->base = at[2];
}

void port_journal_save(const struct port_journal *j, const struct port *port,
		       struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	state_begin_group(w, tag);
	journal_save(&j->file, out, TAG_FILE);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)j->client << FLAG_CLIENT |
				 (uint64_t)j->found_ring[0] << FLAG_FOUND_IN |
				 (uint64_t)j->found_ring[1] << FLAG_FOUND_OUT |
				 (uint64_t)j->found_out_done << FLAG_FOUND_DONE);
	state_put_bytes(w, TAG_COMMIT, &j->now, sizeof(j->now));
	save_positions(&port->in, w, TAG_IN);
	save_positions(&port->out, w, TAG_OUT);
	state_end(w);
}

static void load_journal(struct port_journal *j, size_t out_size, struct handover_in *in)
{
	uint64_t flags;

	journal_load(&j->file, in, TAG_FILE, JOURNAL_KIND_PORT, sizeof(j->now), area_len(out_size));
	flags = state_take_number(&in->state, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	j->client = flags & BIT(FLAG_CLIENT);
	j->found_ring[0] = flags & BIT(FLAG_FOUND_IN);
	j->found_ring[1] = flags & BIT(FLAG_FOUND_OUT);
	j->found_out_done = flags & BIT(FLAG_FOUND_DONE);
	handover_take_exact(in, TAG_COMMIT, "commit", &j->now, sizeof(j->now));
}

void port_journal_load(struct port *port, size_t out_size, struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;
	struct port_journal *j;

	if (!state_enter(r, tag, "journal"))
		return;
	j = calloc(1, sizeof(*j));
	if (j)
		load_journal(j, out_size, in);
	else
		state_fail(r, "no memory");
	if (j && !r->failed) {
		set_places(j, out_size);
		port->journal = j;
		bytering_lend(&port->in, j->in, PORT_JOURNAL_INPUT);
		load_positions(&port->in, in, TAG_IN);
		bytering_lend(&port->out, j->out, j->out_size);
		load_positions(&port->out, in, TAG_OUT);
	} else {
		port_journal_free(j);
	}
	state_leave(r);
}
