/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bulk over a session, between chains of a guest's and a client's socket, while
 * the front-end does to the ring what it may: VC-062, VC-089, VU-065, VU-104, VU-108.
 */
#include "ports_rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backends/attachment.h"
#include "vhu/frontend-rings.h"

enum { TOTAL = 2 * 1024 * 1024, DEPTH = 4, SEGMENTS_MAX = 16, TABLE_LEN = 32 };

struct chain_kind {
	uint32_t len;
	unsigned int n_segments;
	bool indirect;
};

static const struct chain_kind chain_kinds[] = {
	{ 4096, 1, false },
	{ 4096, 4, true },
	{ 65536, 16, false },
	{ 65536, 16, true },
};

/* Buffers of the guest's, in the order in which they are offered. */
struct slot {
	uint64_t addr;
	uint8_t *host;
	bool offered;
};

static uint8_t stream[TOTAL], got[TOTAL];
static struct attachment_options options;
static struct attachment *server;
static struct slot slots[DEPTH];
static unsigned int next_offer, next_back, n_closed;
static size_t n_in, n_out; /* bytes of the stream that went in and came out */
static int peer;

static void on_closed(void *arg)
{
	(void)arg;
	n_closed++;
}

static void connect_peer(struct port *port)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const struct attachment_args args = {
		.loop = rig->loop, .port = port, .options = &options, .who = "test"
	};
	char name[64], why[128] = "";

	snprintf(name, sizeof(name), "@vhu-test-bulk-%d", getpid());
	options = (struct attachment_options){
		.kind = ATTACHMENT_unix_server,
		.address = name,
		.clients = 1,
	};
	if (attachment_open(&args, &server, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		connect(peer, (struct sockaddr *)&un,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	for (unsigned int i = 0; port->n_clients == 0 && i < 1000; i++)
		rig_step(rig);
	assert_int_equal(port->n_clients, 1);
}

static void disconnect_peer(void)
{
	n_closed = 0;
	server->closed = on_closed;
	server->ops->close(server);
	server->ops->hurry(server);
	for (unsigned int i = 0; n_closed == 0 && i < 1000; i++)
		rig_step(rig);
	assert_int_equal(n_closed, 1);
	server = NULL;
	close(peer);
}

/* A guest with an open data port, and a client of it. Buffers are the test's affair. */
static struct host *begin(const struct chain_kind *kind)
{
	struct host *h = host_new(1, "bulk");
	struct driverq *rings[2];

	fill_pattern(stream, TOTAL, 5);
	memset(got, 0, sizeof(got));
	n_in = n_out = next_offer = next_back = 0;
	host_plug(h);
	connect_peer(&h->port);
	rig_setup_usual(rig);
	assert_fe_ok(rig, guest_init(&guest, &rig->fe, vhu_style_features(&rig->fe, &rig_plan)));
	guest.caller_posts = true;
	assert_fe_ok(rig, guest_hello(&guest));
	open_port(h);
	rings[0] = &rig->fe.rings[GUEST_PORT_RX(1)].q;
	rings[1] = &rig->fe.rings[GUEST_PORT_TX(1)].q;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t addr;
		void *tables = vhu_frontend_alloc(
			&rig->fe, driverq_table_bytes(rings[i]->ring.size, TABLE_LEN), 16, &addr);

		assert_non_null(tables);
		driverq_set_tables(rings[i], tables, addr, TABLE_LEN);
	}
	for (unsigned int i = 0; i < DEPTH; i++) {
		slots[i].offered = false;
		slots[i].host = vhu_frontend_alloc(&rig->fe, kind->len, 4096, &slots[i].addr);
		assert_non_null(slots[i].host);
	}
	return h;
}

static void end(struct host *h)
{
	disconnect_peer();
	assert_int_equal(h->port.counters.output_lost, 0);
}

/* The next slot as a chain of that kind, unless it is under way. */
static bool offer(unsigned int idx, const struct chain_kind *kind, bool in)
{
	struct slot *slot = &slots[next_offer % DEPTH];
	struct driverq_buf bufs[SEGMENTS_MAX];
	uint32_t len = kind->len / kind->n_segments;

	if (slot->offered)
		return false;
	for (unsigned int i = 0; i < kind->n_segments; i++)
		bufs[i] =
			(struct driverq_buf){ .addr = slot->addr + i * (uint64_t)len, .len = len };
	if (!in) {
		memcpy(slot->host, stream + n_in, kind->len);
		n_in += kind->len;
	}
	assert_int_equal(driverq_add(&rig->fe.rings[idx].q, bufs, in ? 0 : kind->n_segments,
				     in ? kind->n_segments : 0, kind->indirect, slot),
			 0);
	slot->offered = true;
	next_offer++;
	return true;
}

/* Chains come back in their order; those that were written to are read. */
static void collect(unsigned int idx, bool in)
{
	void *token;
	uint32_t len;

	while (driverq_get(&rig->fe.rings[idx].q, &token, &len) == DRIVERQ_USED) {
		struct slot *slot = &slots[next_back++ % DEPTH];

		assert_ptr_equal(token, slot);
		slot->offered = false;
		if (!in) {
			assert_int_equal(len, 0);
			continue;
		}
		assert_true(len > 0 && len <= TOTAL - n_out);
		memcpy(got + n_out, slot->host, len);
		n_out += len;
	}
}

/* What a front-end does to a ring that runs. */
static void disturb(unsigned int idx, unsigned int how)
{
	struct vhu_frontend *fe = &rig->fe;
	uint32_t base;

	if (how == 0) {
		assert_fe_ok(rig, vhu_frontend_vring_base(fe, idx, &base));
		for (unsigned int i = 0; i < 3; i++)
			rig_step(rig);
		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, base, true));
		assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx,
							fe->rings[idx].call_peer, true));
		assert_fe_ok(rig, vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx,
							fe->rings[idx].kick_fd, true));
	} else if (how == 1) {
		assert_fe_ok(rig, vhu_frontend_set_mem_table(fe, 0, true));
	} else {
		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 0, true));
		for (unsigned int i = 0; i < 3; i++)
			rig_step(rig);
		assert_fe_ok(rig, vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true));
	}
}

static void peer_reads(size_t piece)
{
	ssize_t n = read(peer, got + n_out, min_size(piece, TOTAL - n_out));

	n_out += n > 0 ? (size_t)n : 0;
}

static void peer_writes(void)
{
	ssize_t n = write(peer, stream + n_in, TOTAL - n_in);

	n_in += n > 0 ? (size_t)n : 0;
}

/* All of the stream, with something in its way every now and then. */
static void pass_stream(bool in)
{
	unsigned int idx = in ? GUEST_PORT_RX(1) : GUEST_PORT_TX(1);

	for (unsigned int k = 0; k < ARRAY_SIZE(chain_kinds); k++) {
		const struct chain_kind *kind = &chain_kinds[k];
		struct host *h = begin(kind);
		unsigned int n_turns = 0;

		while (n_out < TOTAL) {
			while ((in || n_in < TOTAL) && offer(idx, kind, in))
				;
			assert_fe_ok(rig, vhu_frontend_publish(&rig->fe, idx));
			if (in)
				peer_writes();
			rig_step(rig);
			if (++n_turns % 2 == 0)
				disturb(idx, n_turns / 2 % 3);
			collect(idx, in);
			if (!in)
				peer_reads(n_turns % 5 ? 30000 : 100);
			assert_true(n_turns < 20000);
		}
		assert_memory_equal(got, stream, TOTAL);
		assert_int_equal(n_in, TOTAL);
		assert_true(n_turns >= 6); /* each disturbance */
		assert_true(h->port.counters.output == (in ? 0 : TOTAL));
		assert_true(h->port.counters.input == (in ? TOTAL : 0));
		end(h);
		guest_fini(&guest);
		rig_disconnect(rig);
		host_unplug(h);
	}
}

static void bulk_from_the_guest_is_given_once_and_in_order(void **state)
{
	(void)state;
	pass_stream(false);
}

static void bulk_for_the_guest_is_given_once_and_in_order(void **state)
{
	(void)state;
	pass_stream(true);
}

static int setup(void **state)
{
	return ports_setup(state, 2);
}

/* A test that failed has left its client there. */
static int teardown(void **state)
{
	if (server)
		disconnect_peer();
	return ports_teardown(state);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(bulk_from_the_guest_is_given_once_and_in_order, setup, teardown),
	UNIT_TEST_WITH(bulk_for_the_guest_is_given_once_and_in_order, setup, teardown),
};
UNIT_MAIN(tests)
