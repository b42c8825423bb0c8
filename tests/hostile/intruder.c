/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "intruder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "virtio/features.h"

enum { TABLE_SIZE = 4 };

static const char greeting[] = "good day";

static uint64_t features_of(const struct intruder *in)
{
	return BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
	       BIT(VIRTIO_F_INDIRECT_DESC_BIT) | BIT(1) |
	       (in->packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);
}

/* Rings first, so that what is cut off may lie behind them. */
static void make_memory(struct intruder *in)
{
	const uint64_t len = 4 << 20;

	must(&in->fe, vhu_frontend_make_plain_memory(&in->fe, len, false), "memory");
}

void intruder_negotiate(struct intruder *in)
{
	in->client = -1;
	in->plan = (struct vhu_frontend_plan){
		.style = VHU_STYLE_QEMU,
		.features = features_of(in),
		.extra_protocol = BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT) |
				  BIT(VHU_PF_LOG_SHMFD_BIT),
		.n_set_up = GUEST_RINGS(INTRUDER_PORT + 1),
	};
	vhu_frontend_init(&in->fe, daemon_dial_patiently(in->daemon, in->socket));
	must(&in->fe, vhu_style_begin(&in->fe, &in->plan), "the intruder's negotiation");
}

void intruder_await_turn(const struct intruder *in)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	struct vhu_frontend fe;
	uint64_t features;
	int err;

	do {
		vhu_frontend_init(&fe, daemon_dial_patiently(in->daemon, in->socket));
		err = vhu_frontend_get_u64(&fe, VHU_FE_GET_FEATURES, &features);
		if (err < 0 && monotonic_ms() > deadline)
			die("the daemon serves no session any more: %s", fe.error);
		vhu_frontend_fini(&fe);
	} while (err < 0);
}

static void take_pages(struct intruder *in)
{
	for (unsigned int i = 0; i < INTRUDER_CHAINS; i++) {
		in->hosts[i] =
			vhu_frontend_alloc(&in->fe, GUEST_PAGE, GUEST_PAGE, &in->pages[i].addr);
		in->pages[i].len = GUEST_PAGE;
		if (!in->hosts[i])
			die("no guest memory for the intruder");
	}
}

void *intruder_move_tables(struct intruder *in)
{
	uint64_t addr;
	void *host = vhu_frontend_alloc(
		&in->fe, driverq_table_bytes(INTRUDER_RING_SIZE, TABLE_SIZE), GUEST_PAGE, &addr);

	if (!host)
		die("no memory for indirect tables");
	driverq_set_tables(&in->fe.rings[GUEST_PORT_TX(INTRUDER_PORT)].q, host, addr, TABLE_SIZE);
	return host;
}

static void boot(struct intruder *in)
{
	make_memory(in);
	must(&in->fe, vhu_style_boot(&in->fe, &in->plan, INTRUDER_RING_SIZE),
	     "the intruder's rings");
	must(&in->fe, guest_init(&in->guest, &in->fe, features_of(in)), "the intruder's driver");
	in->guest.caller_posts = !in->reads;
	must(&in->fe, guest_start(&in->guest, RUN_WAIT_MS), "the intruder's start");
	must(&in->fe, guest_await_port(&in->guest, INTRUDER_PORT, RUN_WAIT_MS),
	     "the intruder's port");
	must(&in->fe, guest_open_port(&in->guest, INTRUDER_PORT, true), "opening it");
	intruder_move_tables(in);
	take_pages(in);
	in->client = daemon_dial_patiently(in->daemon, in->port);
	must(&in->fe, guest_await_port_host_open(&in->guest, INTRUDER_PORT, true, RUN_WAIT_MS),
	     "the intruder's client");
}

void intruder_boot(struct intruder *in)
{
	intruder_negotiate(in);
	boot(in);
}

void intruder_go_on(struct intruder *in, struct vhu_frontend_inflight *record)
{
	must(&in->fe,
	     vhu_frontend_inflight_ready(&in->fe, record, vhu_style_features(&in->fe, &in->plan),
					 in->plan.n_set_up, INTRUDER_RING_SIZE),
	     "the intruder's record of requests in flight");
	boot(in);
}

static void offer(struct intruder *in, unsigned int ring, unsigned int first, unsigned int n,
		  bool room, bool indirect)
{
	struct driverq *q = &in->fe.rings[ring].q;

	for (unsigned int i = first; i < first + n; i++)
		must(&in->fe,
		     driverq_add(q, &in->pages[i], room ? 0 : 1, room ? 1 : 0, indirect,
				 &in->pages[i]),
		     "offering a chain");
}

void intruder_offer_output(struct intruder *in, unsigned int n, bool indirect)
{
	offer(in, GUEST_PORT_TX(INTRUDER_PORT), 0, n, false, indirect);
}

void intruder_offer_room(struct intruder *in, unsigned int n)
{
	offer(in, GUEST_PORT_RX(INTRUDER_PORT), INTRUDER_CHAINS - n, n, true, false);
}

void intruder_show(struct intruder *in, unsigned int idx)
{
	driverq_publish(&in->fe.rings[idx].q);
}

void intruder_kick(struct intruder *in, unsigned int idx)
{
	must(&in->fe, vhu_frontend_kick(&in->fe, idx), "kicking");
}

static off_t file_offset(const struct intruder *in, const void *host)
{
	return (off_t)((const uint8_t *)host - in->fe.mem_map) & ~(off_t)(GUEST_PAGE - 1);
}

void intruder_cut(struct intruder *in, const void *host)
{
	if (ftruncate(in->fe.mem_fd, file_offset(in, host)) < 0)
		die("guest memory cannot be cut off: %s", strerror(errno));
}

void intruder_punch(struct intruder *in, const void *host, size_t len)
{
	if (fallocate(in->fe.mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      file_offset(in, host), (off_t)len) < 0)
		die("no hole can be made in guest memory: %s", strerror(errno));
}

void intruder_leave(struct intruder *in)
{
	in->client = fd_close(in->client);
	guest_fini(&in->guest);
	vhu_frontend_fini(&in->fe);
}

void intruder_await_end(struct intruder *in)
{
	must(&in->fe, vhu_frontend_await_close(&in->fe, RUN_WAIT_MS),
	     "the end of the intruder's session");
	intruder_leave(in);
}

/* What the sessions before have left on the way may come first. */
static bool ends_in_greeting(char *last, const char *bytes, size_t len)
{
	const size_t size = sizeof(greeting);

	for (size_t i = 0; i < len; i++) {
		memmove(last, last + 1, size - 1);
		last[size - 1] = bytes[i];
	}
	return memcmp(last, greeting, size) == 0;
}

static void receive_greeting(const struct intruder *in)
{
	struct pollfd p = { .fd = in->client, .events = POLLIN };
	char buf[GUEST_PAGE], last[sizeof(greeting)] = "";
	ssize_t n;

	do {
		n = poll(&p, 1, RUN_WAIT_MS) > 0 ? recv(in->client, buf, sizeof(buf), 0) : 0;
		if (n <= 0)
			die("the intruder's next session brings no output");
	} while (!ends_in_greeting(last, buf, (size_t)n));
}

static void read_greeting(struct intruder *in)
{
	char buf[GUEST_PAGE], last[sizeof(greeting)] = "";
	int n;

	do {
		n = guest_read_some_port(&in->guest, INTRUDER_PORT, buf, sizeof(buf), RUN_WAIT_MS);
		must(&in->fe, n, "reading in the intruder's next session");
	} while (!ends_in_greeting(last, buf, (size_t)n));
}

void intruder_try_service(struct intruder *in)
{
	bool packed = in->packed;

	in->packed = false;
	in->reads = true;
	intruder_boot(in);
	/* The client comes first: with its bytes it is there itself, and not one that lingers. */
	if (send(in->client, greeting, sizeof(greeting), MSG_NOSIGNAL) != sizeof(greeting))
		die("the intruder's client cannot send: %s", strerror(errno));
	read_greeting(in);
	must(&in->fe,
	     guest_write_port(&in->guest, INTRUDER_PORT, greeting, sizeof(greeting), RUN_WAIT_MS),
	     "writing in the intruder's next session");
	receive_greeting(in);
	intruder_leave(in);
	in->reads = false;
	in->packed = packed;
}
