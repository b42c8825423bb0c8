/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session with a data port that holds, whose host side is a socket or a
 * pseudo-terminal and whose every byte is known by its place: nothing can be
 * lost, doubled or taken from foreign memory without being seen. The rings and
 * buffers of each direction have a memory region of their own.
 */
#ifndef VHU_TESTS_QUIESCE_RIG_H
#define VHU_TESTS_QUIESCE_RIG_H

#include "ports_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backends/attachment.h"
#include "vhu/frontend-rings.h"

enum {
	Q_PORT = 1,
	Q_RX = GUEST_PORT_RX(Q_PORT),
	Q_TX = GUEST_PORT_TX(Q_PORT),
	Q_N_RINGS = GUEST_RINGS(2),
	Q_RING_SIZE = 16,
	Q_SLOT_LEN = 4096,
	Q_N_SLOTS = 8,
	Q_N_REGIONS = 3, /* all else, of Q_RX, of Q_TX */
	Q_REGION_LEN = 0x40000,
	Q_TICK_NS = 500 * 1000,
	Q_PUMP_MAX = 20000,
};

/* One direction of the data port. */
struct flow {
	unsigned int idx;
	uint64_t addr;
	uint8_t *host; /* of Q_N_SLOTS buffers */
	unsigned int n_offered, n_back;
	uint64_t n_in, n_out; /* bytes that went in at one end, came out at the other */
	uint64_t n_before;    /* of n_out, those of guests before this one */
	uint8_t seed;
};

static struct flow flow_tx, flow_rx;
static struct host *q_host;
static struct attachment *q_attachment;
static struct attachment_options q_options;
static int q_peer = -1;
static unsigned int q_n_closed;
static char q_label[128]; /* names what is being tried, for failures */

#define q_fail(...)                                                                                \
	do {                                                                                       \
		print_error("%s: ", q_label);                                                      \
		fail_msg(__VA_ARGS__);                                                             \
	} while (0)

#define q_check(cond)                                                                              \
	do {                                                                                       \
		if (!(cond))                                                                       \
			q_fail("expected %s", #cond);                                              \
	} while (0)

#define q_ok(expr)                                                                                 \
	do {                                                                                       \
		int q_err_ = (expr);                                                               \
		if (q_err_ < 0)                                                                    \
			q_fail("%s: %d, expected %s", #expr, q_err_, rig->fe.error);               \
	} while (0)

/* One iteration of the loop; true if it ended with a tick, since nothing else came for a while. */
static inline bool q_step(void)
{
	if (!op_armed(&rig->tick.op))
		timer_arm(&rig->tick, Q_TICK_NS);
	assert_int_equal(loop_step(rig->loop, true), 0);
	return !op_armed(&rig->tick.op);
}

#define q_until(cond)                                                                              \
	do {                                                                                       \
		for (unsigned int n_ = 0; !(cond); n_++) {                                         \
			if (n_ >= Q_PUMP_MAX)                                                      \
				q_fail("waited in vain for %s", #cond);                            \
			q_step();                                                                  \
		}                                                                                  \
	} while (0)

/* The byte at a place of a stream. */
static inline uint8_t flow_byte(const struct flow *f, uint64_t at)
{
	return (uint8_t)(((at * 2654435761u) >> 11) + f->seed);
}

static inline void flow_fill(struct flow *f, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = flow_byte(f, f->n_in + i);
	f->n_in += len;
}

static inline void flow_check(struct flow *f, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != flow_byte(f, f->n_out + i))
			q_fail("%s: byte %llu of %llu is wrong: 0x%02x",
			       f == &flow_tx ? "output" : "input",
			       (unsigned long long)(f->n_out + i), (unsigned long long)f->n_in,
			       bytes[i]);
	f->n_out += len;
	if (f->n_out > f->n_in)
		q_fail("more came out than went in");
}

static inline bool flow_has_slot(const struct flow *f)
{
	return f->n_offered - f->n_back < Q_N_SLOTS;
}

static inline bool flow_collect(struct flow *f)
{
	bool any = false;
	void *token;
	uint32_t len;

	while (driverq_get(&rig->fe.rings[f->idx].q, &token, &len) == DRIVERQ_USED) {
		uint8_t *slot = f->host + (size_t)(f->n_back % Q_N_SLOTS) * Q_SLOT_LEN;

		q_check(token == slot);
		f->n_back++;
		any = true;
		if (f == &flow_rx)
			flow_check(f, slot, len);
		else
			q_check(len == 0);
	}
	return any;
}

/* Up to n chains of one slot each, in two segments; none is shown to the device yet. */
static inline unsigned int flow_offer(struct flow *f, unsigned int n)
{
	enum { FIRST = 1000 };
	unsigned int done = 0;

	for (flow_collect(f); done < n && flow_has_slot(f); done++) {
		size_t at = (size_t)(f->n_offered++ % Q_N_SLOTS) * Q_SLOT_LEN;
		const struct driverq_buf bufs[] = {
			{ .addr = f->addr + at, .len = FIRST },
			{ .addr = f->addr + at + FIRST, .len = Q_SLOT_LEN - FIRST },
		};
		bool in = f == &flow_rx;

		if (!in)
			flow_fill(f, f->host + at, Q_SLOT_LEN);
		q_ok(driverq_add(&rig->fe.rings[f->idx].q, bufs, in ? 0 : 2, in ? 2 : 0, false,
				 f->host + at));
	}
	return done;
}

static inline void flow_show(struct flow *f, unsigned int n)
{
	flow_offer(f, n);
	q_ok(vhu_frontend_publish(&rig->fe, f->idx));
}

/* The host's end. */

static inline bool other_end_read(void)
{
	uint8_t bytes[8192];
	bool any = false;
	ssize_t n;

	while ((n = read(q_peer, bytes, sizeof(bytes))) > 0) {
		flow_check(&flow_tx, bytes, (size_t)n);
		any = true;
	}
	return any;
}

/* As much of len bytes as goes without waiting. */
static inline size_t peer_write(size_t len)
{
	uint8_t bytes[4096];
	size_t done = 0;

	while (done < len) {
		uint64_t before = flow_rx.n_in;
		size_t want = min_size(len - done, sizeof(bytes));
		ssize_t n;

		flow_fill(&flow_rx, bytes, want);
		n = write(q_peer, bytes, want);
		flow_rx.n_in = before + (n > 0 ? (size_t)n : 0);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static inline void q_on_closed(void *arg)
{
	(void)arg;
	q_n_closed++;
}

static inline void q_open_attachment(enum attachment_kind kind, const char *address)
{
	const struct attachment_args args = {
		.loop = rig->loop, .port = &q_host->port, .options = &q_options, .who = "test"
	};
	char why[128] = "";

	q_options = (struct attachment_options){ .kind = kind, .address = address, .clients = 1 };
	if (attachment_open(&args, &q_attachment, why, sizeof(why)) < 0)
		q_fail("%s", why);
}

static inline void q_connect_socket(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	static char name[64];

	snprintf(name, sizeof(name), "@vhu-test-quiesce-%d", getpid());
	q_open_attachment(ATTACHMENT_unix_server, name);
	memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
	q_peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	q_ok(connect(q_peer, (struct sockaddr *)&un,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))));
	fcntl(q_peer, F_SETFL, O_NONBLOCK);
}

static inline void q_connect_pty(void)
{
	char what[128] = "", path[64] = "";

	q_open_attachment(ATTACHMENT_pty, NULL);
	q_attachment->ops->describe(q_attachment, what, sizeof(what));
	q_check(sscanf(what, "pty %63[^, ]", path) == 1);
	q_peer = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	q_check(q_peer >= 0);
}

/* A port with a host side that is there before, and after, any session. */
static inline void q_begin_host(bool pty)
{
	q_host = host_new(Q_PORT, "data");
	host_plug(q_host);
	flow_tx = (struct flow){ .idx = Q_TX, .seed = 3 };
	flow_rx = (struct flow){ .idx = Q_RX, .seed = 101 };
	if (pty)
		q_connect_pty();
	else
		q_connect_socket();
	q_until(q_host->port.n_clients == 1);
}

static inline void q_end_host(void)
{
	q_n_closed = 0;
	q_attachment->closed = q_on_closed;
	q_attachment->ops->close(q_attachment);
	q_attachment->ops->hurry(q_attachment);
	q_until(q_n_closed == 1);
	q_attachment = NULL;
	q_peer = fd_close(q_peer);
	host_unplug(q_host);
	port_fini(&q_host->port);
	n_hosts--;
}

static inline struct port_client *q_client(void)
{
	return list_first(&q_host->port.clients, struct port_client, link);
}

/* The session */

static inline uint64_t q_region_addr(unsigned int i)
{
	return 0x40000000 + i * UINT64_C(0x1000000);
}

/* Guest memory in three regions: whatever is allocated later is in the first. */
static inline void q_make_memory(uint64_t features)
{
	struct vhu_frontend *fe = &rig->fe;
	struct vhu_region regions[Q_N_REGIONS];
	struct flow *flows[Q_N_REGIONS] = { NULL, &flow_rx, &flow_tx };
	size_t n_taken;

	for (unsigned int i = 0; i < Q_N_REGIONS; i++)
		regions[i] = (struct vhu_region){
			.guest_addr = q_region_addr(i),
			.size = Q_REGION_LEN,
			.user_addr = 0x7f5500000000 + i * UINT64_C(0x2000000),
			.mmap_offset = i * (uint64_t)Q_REGION_LEN,
		};
	q_ok(vhu_frontend_make_memory(fe, regions, Q_N_REGIONS));
	for (unsigned int i = 0; i < Q_RX; i++)
		q_ok(vhu_frontend_make_ring(fe, i, Q_RING_SIZE, features));
	n_taken = fe->regions[0].n_taken;
	fe->regions[0].n_taken = Q_REGION_LEN;
	for (unsigned int i = 1; i < Q_N_REGIONS; i++) {
		q_ok(vhu_frontend_make_ring(fe, flows[i]->idx, Q_RING_SIZE, features));
		flows[i]->host =
			vhu_frontend_alloc(fe, Q_N_SLOTS * Q_SLOT_LEN, 4096, &flows[i]->addr);
		q_check(flows[i]->host != NULL);
		fe->regions[i].n_taken = Q_REGION_LEN;
	}
	fe->regions[0].n_taken = n_taken;
}

/* All that makes a stopped ring go on from its base. */
static inline int q_start_ring(unsigned int idx, bool descriptors)
{
	struct vhu_frontend *fe = &rig->fe;
	struct vhu_frontend_ring *r = &fe->rings[idx];
	int err;

	err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, r->size, false);
	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, r->base, false);
	if (err == 0)
		err = vhu_frontend_vring_addr(fe, idx, 0, 0, false);
	if (err == 0 && descriptors)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_ERR, idx, r->err_fd, true);
	if (err == 0 && descriptors)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, true);
	if (err == 0 && descriptors)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, true);
	if (err == 0 && !descriptors)
		err = vhu_frontend_kick(fe, idx);
	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true);
	return err;
}

static inline bool q_inband(void)
{
	return vhu_frontend_has_protocol(&rig->fe, VHU_PF_INBAND_NOTIFICATIONS_BIT);
}

static inline int q_start_rings(void)
{
	int err = 0;

	for (unsigned int i = 0; i < Q_N_RINGS && err == 0; i++)
		err = q_start_ring(i, !q_inband());
	if (err == 0 && vhu_frontend_has_protocol(&rig->fe, VHU_PF_STATUS_BIT))
		err = vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_STATUS, 0x0f, true);
	return err;
}

/* Split rings; a test may add what makes them others. */
static uint64_t q_features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
			     BIT(CONSOLE_F_MULTIPORT_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT);

static const uint64_t q_protocol = BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) |
				   BIT(VHU_PF_BACKEND_REQ_BIT) | BIT(VHU_PF_CONFIG_BIT) |
				   BIT(VHU_PF_RESET_DEVICE_BIT) |
				   BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT);

/* Up to the features of protocol (what is not offered is left out). 0 or what a request returns. */
static inline int q_negotiate(uint64_t protocol, uint64_t features)
{
	struct vhu_frontend *fe = &rig->fe;
	uint64_t value;
	int err;

	err = vhu_frontend_get_u64(fe, VHU_FE_GET_FEATURES, &value);
	if (err == 0)
		err = vhu_frontend_get_u64(fe, VHU_FE_GET_PROTOCOL_FEATURES, &value);
	if (err == 0)
		err = vhu_frontend_set_u64(fe, VHU_FE_SET_PROTOCOL_FEATURES,
					   protocol & fe->nego.offered_protocol, false);
	if (err == 0)
		err = vhu_frontend_simple(fe, VHU_FE_SET_OWNER, true);
	if (err == 0)
		err = vhu_frontend_get_u64(fe, VHU_FE_GET_QUEUE_NUM, &value);
	if (err == 0)
		err = vhu_frontend_open_channel(fe, true);
	if (err == 0)
		err = vhu_frontend_set_u64(fe, VHU_FE_SET_FEATURES,
					   features & fe->nego.offered_features, true);
	return err;
}

/* A new guest: memory, rings, nothing sent. */
static inline void q_make_guest(uint64_t protocol, uint64_t features)
{
	bool inband = protocol & BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT);

	guest_fini(&guest);
	rig_forget_guest(rig);
	q_ok(vhu_frontend_make_rings(&rig->fe, Q_N_RINGS,
				     inband ? VHU_CALL_NONE : VHU_CALL_EVENTFD));
	flow_tx.n_offered = flow_tx.n_back = 0;
	flow_rx.n_offered = flow_rx.n_back = 0;
	flow_tx.n_in = flow_tx.n_before = flow_tx.n_out;
	q_make_memory(features);
	q_ok(guest_init(&guest, &rig->fe, features));
	guest.caller_posts = true;
}

/* All that the port has taken so far reaches the peer. */
static inline void q_drain(void)
{
	q_until((other_end_read(), flow_tx.n_out >= q_host->port.counters.output));
	q_check(flow_tx.n_out == q_host->port.counters.output);
}

/*
 * The guest goes. What it got back was taken, and reaches the peer; of what it did
 * not, a part of the first chain may have.
 */
static inline void q_end_guest(void)
{
	uint64_t n_taken;

	flow_collect(&flow_rx);
	flow_collect(&flow_tx);
	n_taken = flow_tx.n_before + (uint64_t)flow_tx.n_back * Q_SLOT_LEN;
	q_drain();
	q_check(flow_tx.n_out - n_taken < Q_SLOT_LEN);
	guest_fini(&guest);
	rig_forget_guest(rig);
}

/* The guest's driver starts and a program opens the port. */
static inline void q_greet(void)
{
	q_ok(guest_hello(&guest));
	q_ok(guest_await_port(&guest, Q_PORT, RIG_TIMEOUT_MS));
	q_ok(guest_await_port_host_open(&guest, Q_PORT, true, RIG_TIMEOUT_MS));
	q_ok(guest_open_port(&guest, Q_PORT, true));
}

/* A session of a new guest, up to its open port. */
static inline void q_begin_session(uint64_t protocol, uint64_t features)
{
	if (rig->b)
		rig_disconnect(rig);
	q_make_guest(protocol, features);
	rig_connect(rig);
	q_ok(q_negotiate(protocol, features));
	q_ok(vhu_frontend_set_mem_table(&rig->fe, 0, true));
	q_ok(q_start_rings());
	q_greet();
}

/* Both directions to their end, and n bytes more. */
static inline void q_finish(size_t n)
{
	uint64_t in_end = flow_rx.n_in + n;

	flow_show(&flow_tx, (unsigned int)(n / Q_SLOT_LEN) + 1);
	for (unsigned int i = 0; flow_tx.n_out < flow_tx.n_in || flow_rx.n_out < in_end; i++) {
		if (i >= Q_PUMP_MAX)
			q_fail("output %llu of %llu, input %llu of %llu",
			       (unsigned long long)flow_tx.n_out, (unsigned long long)flow_tx.n_in,
			       (unsigned long long)flow_rx.n_out, (unsigned long long)in_end);
		if (flow_rx.n_in < in_end)
			peer_write(in_end - flow_rx.n_in);
		flow_show(&flow_rx, Q_N_SLOTS);
		q_step();
		other_end_read();
		flow_collect(&flow_tx);
	}
	q_until(flow_collect(&flow_tx) || flow_tx.n_back == flow_tx.n_offered);
	q_check(q_host->port.counters.output_lost == 0);
}

/* The daemon's own mappings of guest memory, beside those of the front-end. */

struct span {
	uintptr_t start, end;
};

enum { SPANS_MAX = 16 };

static inline unsigned int q_find_mappings(struct span *ret_spans)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t own = (uintptr_t)rig->fe.mem_map;
	unsigned int n = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (!strstr(line, "/memfd:guest") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (start >= own && start < own + rig->fe.mem_len)
			continue;
		assert_true(n < SPANS_MAX);
		ret_spans[n++] = (struct span){ start, end };
	}
	fclose(f);
	return n;
}

/* The session is over: what it had is gone, what it took is at its place. */
static inline void check_end(unsigned int n_fds)
{
	struct span spans[SPANS_MAX];

	q_check(q_find_mappings(spans) == 0);
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		q_check(rig->con.queues[i] == NULL);
	q_check(!q_host->port.present);
	q_end_guest();
	q_check(fd_count_open() == n_fds);
}

static inline void expect_service(unsigned int n_fds)
{
	q_begin_session(q_protocol, q_features);
	q_finish(Q_SLOT_LEN);
	rig_disconnect(rig);
	check_end(n_fds);
}

static inline int q_setup(void **state)
{
	return ports_setup(state, 2);
}

/* A test that failed has left its host side there. */
static inline int q_teardown(void **state)
{
	if (rig->b)
		rig_disconnect(rig);
	if (q_attachment)
		q_end_host();
	return ports_teardown(state);
}

#define Q_TEST(f) UNIT_TEST_WITH(f, q_setup, q_teardown)

#endif
