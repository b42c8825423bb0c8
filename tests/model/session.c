/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The front-end: sessions, rings that start and stop, a guest that boots. */
#include <sys/socket.h>

#include "model.h"

static const uint64_t known_protocol =
	BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT) |
	BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |
	BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) |
	BIT(VHU_PF_STATUS_BIT) | BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT);

static bool has_enable(const struct model *m)
{
	return m->fe.nego.features & BIT(VHU_F_PROTOCOL_FEATURES_BIT);
}

bool session_has(const struct model *m, unsigned int bit)
{
	return vhu_frontend_has_protocol(&m->fe, bit);
}

void session_pump(struct model *m, unsigned int n)
{
	while (n-- > 0)
		if (loop_step(m->loop, false) < 0)
			model_fail(m, "the loop to go on");
}

static void ended(struct vhu_backend *b, void *arg)
{
	struct model *m = arg;

	vhu_backend_free(b);
	m->b = NULL;
}

static void connect_pair(struct model *m)
{
	struct vhu_backend_options options = { .who = "model", .max_queue_size = MODEL_RING_MAX };
	int fds[2];

	model_say(m, "a session begins");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
	    vhu_backend_new(m->loop, &m->con.vdev, fds[0], &options, ended, m, &m->b) < 0)
		model_fail(m, "a session");
	vhu_frontend_attach(&m->fe, fds[1]);
}

static uint64_t choose_protocol(struct rng *r)
{
	uint64_t protocol = known_protocol & rng_next(r);

	if (rng_one_in(r, 3))
		protocol |= BIT(VHU_PF_BACKEND_REQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT);
	if (!(protocol & BIT(VHU_PF_BACKEND_REQ_BIT)) || !(protocol & BIT(VHU_PF_REPLY_ACK_BIT)) ||
	    rng_one_in(r, 2))
		protocol &= ~BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT);
	return protocol;
}

static void set_features(struct model *m, bool with_protocol)
{
	uint64_t features = m->features;

	if (with_protocol)
		features |= BIT(VHU_F_PROTOCOL_FEATURES_BIT);
	session_must(m, vhu_frontend_set_u64(&m->fe, VHU_FE_SET_FEATURES, features, false));
	for (unsigned int i = 0; i < MODEL_RINGS; i++)
		m->rings[i].enabled |= !with_protocol;
}

void session_set_features(struct model *m)
{
	set_features(m, has_enable(m));
}

static void check_max_ports(struct model *m)
{
	uint32_t max = 0;

	if (!session_has(m, VHU_PF_CONFIG_BIT))
		return;
	session_must(m, vhu_frontend_get_config(&m->fe, 4, sizeof(max), 0, &max));
	model_expect(m, le32toh(max) == m->n_numbers, "max_nr_ports %u, not %u", m->n_numbers, max);
}

/* The record of requests in flight: a new one for new rings, else the one they have. */
static void give_inflight(struct model *m, bool fresh)
{
	if (fresh || !session_has(m, VHU_PF_INFLIGHT_SHMFD_BIT))
		vhu_frontend_inflight_fini(&m->inflight);
	if (!session_has(m, VHU_PF_INFLIGHT_SHMFD_BIT))
		return;
	if (fresh)
		session_must(m, vhu_frontend_inflight_get(&m->fe, &m->inflight, m->n_rings,
							  MODEL_RING_MAX));
	if (m->inflight.fd >= 0)
		session_must(m, vhu_frontend_inflight_set(&m->fe, &m->inflight));
}

static void negotiate(struct model *m, struct rng *r)
{
	bool with_protocol = !rng_one_in(r, 8);
	uint64_t value;

	m->protocol = with_protocol ? choose_protocol(r) : 0;
	session_must(m, vhu_frontend_simple(&m->fe, VHU_FE_SET_OWNER, false));
	session_must(m, vhu_frontend_get_u64(&m->fe, VHU_FE_GET_FEATURES, &value));
	if (with_protocol) {
		session_must(m, vhu_frontend_get_u64(&m->fe, VHU_FE_GET_PROTOCOL_FEATURES, &value));
		m->protocol &= value;
		session_must(m, vhu_frontend_set_u64(&m->fe, VHU_FE_SET_PROTOCOL_FEATURES,
						     m->protocol, false));
	}
	set_features(m, with_protocol);
	if (session_has(m, VHU_PF_BACKEND_REQ_BIT))
		session_must(m, vhu_frontend_open_channel(&m->fe, rng_one_in(r, 2)));
	check_max_ports(m);
	memory_tell(m, rng_one_in(r, 2));
	if (session_has(m, VHU_PF_STATUS_BIT) && rng_one_in(r, 2))
		session_must(m, vhu_frontend_set_u64(&m->fe, VHU_FE_SET_STATUS, 0x0f, false));
}

/* A session in which nothing but memory is set up. */
void session_connect(struct model *m, struct rng *r)
{
	connect_pair(m);
	negotiate(m, r);
	give_inflight(m, false);
}

/* The ring has stopped; what came back is there. */
static void note_stopped(struct model *m, unsigned int ring)
{
	struct model_ring *d = &m->rings[ring];

	d->started = false;
	d->armed = false;
	if (!m->booted || ring >= m->n_set_up)
		return;
	/* What came on a control ring is heard later. */
	if (!model_is_ctrl(ring))
		driver_collect(m, ring);
	m->fe.rings[ring].base = driver_base(m, ring);
}

void session_disconnect(struct model *m)
{
	model_say(m, "the session ends");
	vhu_frontend_disconnect(&m->fe);
	for (unsigned int i = 0; m->b; i++) {
		model_expect(m, i < 10000, "the session to end");
		/* What is done apart ends when its thread does. */
		model_expect(m, loop_step(m->loop, true) >= 0, "the loop to go on");
	}
	for (unsigned int i = 0; i < m->n_rings; i++) {
		note_stopped(m, i);
		m->rings[i].enabled = false;
	}
}

void session_enable_ring(struct model *m, unsigned int ring, bool on)
{
	if (!has_enable(m))
		return;
	session_must(m, vhu_frontend_vring(&m->fe, VHU_FE_SET_VRING_ENABLE, ring, on, true));
	if (!on && !session_has(m, VHU_PF_REPLY_ACK_BIT))
		session_must(m, vhu_frontend_ping(&m->fe));
	m->rings[ring].enabled = on;
}

void session_stop_ring(struct model *m, unsigned int ring)
{
	struct vhu_frontend_ring *fr = &m->fe.rings[ring];
	uint32_t base;

	session_must(m, vhu_frontend_vring_base(&m->fe, ring, &base));
	note_stopped(m, ring);
	model_say(m, "ring %u stops at %u", ring, base);
	model_expect(m, base == fr->base, "ring %u: base %u, as all that was taken is back, not %u",
		     ring, fr->base, base);
}

bool session_is_ambiguous(struct model *m)
{
	static const unsigned int rings[] = { MODEL_CTRL_RX, MODEL_CTRL_TX };

	for (size_t i = 0; i < ARRAY_SIZE(rings) && model_multiport(m); i++)
		if (driver_base(m, rings[i]) != driverq_first_base(model_q(m, rings[i])))
			return false;
	return model_multiport(m);
}

bool session_stop_by_status(struct model *m)
{
	if (!session_has(m, VHU_PF_STATUS_BIT))
		return false;
	model_say(m, "all rings stop");
	session_must(m, vhu_frontend_set_u64(&m->fe, VHU_FE_SET_STATUS, 0, true));
	session_must(m, vhu_frontend_ping(&m->fe));
	for (unsigned int i = 0; i < m->n_rings; i++)
		note_stopped(m, i);
	return true;
}

static void send_ring_fd(struct model *m, enum vhu_fe_id id, unsigned int ring, int fd, bool ack)
{
	if (session_has(m, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		fd = -1;
	session_must(m, vhu_frontend_vring_fd(&m->fe, id, ring, fd, ack));
}

void session_start_ring(struct model *m, unsigned int ring, struct rng *r)
{
	struct vhu_frontend_ring *fr = &m->fe.rings[ring];
	bool call_first = !rng_one_in(r, 3), enable_first = rng_one_in(r, 2);
	bool ack = rng_one_in(r, 3);

	model_say(m, "ring %u of %u starts at %u", ring, fr->size, fr->base);
	session_must(m, vhu_frontend_vring(&m->fe, VHU_FE_SET_VRING_NUM, ring, fr->size, ack));
	session_must(m, vhu_frontend_vring(&m->fe, VHU_FE_SET_VRING_BASE, ring, fr->base, ack));
	session_must(m, vhu_frontend_vring_addr(&m->fe, ring, 0, 0, ack));
	if (enable_first)
		session_enable_ring(m, ring, true);
	if (call_first)
		send_ring_fd(m, VHU_FE_SET_VRING_CALL, ring, fr->call_peer, ack);
	send_ring_fd(m, VHU_FE_SET_VRING_KICK, ring, fr->kick_fd, ack);
	m->rings[ring].started = true;
	if (!call_first)
		send_ring_fd(m, VHU_FE_SET_VRING_CALL, ring, fr->call_peer, ack);
	if (!enable_first)
		session_enable_ring(m, ring, true);
}

/* Ends what the driver before had. */
static void shut(struct model *m)
{
	bool by_reset = m->b && session_has(m, VHU_PF_RESET_DEVICE_BIT);

	if (by_reset)
		session_must(m, vhu_frontend_simple(&m->fe, VHU_FE_RESET_DEVICE, true));
	if (by_reset)
		session_must(m, vhu_frontend_ping(&m->fe));
	for (unsigned int i = 0; i < m->n_rings; i++) {
		if (by_reset) {
			note_stopped(m, i);
			m->rings[i].enabled = false;
		} else if (m->b && m->rings[i].started) {
			session_stop_ring(m, i);
		}
	}
	for (unsigned int i = 0; i < m->n_numbers; i++) {
		struct model_number *num = &m->numbers[i];

		if (num->port)
			host_forget_output(num->port);
		num->bound = false;
	}
	m->booted = false;
}

static uint8_t *take(struct model *m, unsigned int region, size_t len, uint64_t *ret_addr)
{
	struct vhu_frontend_region *reg = &m->fe.regions[region];
	size_t at = (reg->n_taken + 15) & ~(size_t)15;

	model_expect(m, at + len <= reg->wire.size, "room in guest memory");
	reg->n_taken = at + len;
	*ret_addr = reg->wire.guest_addr + at;
	return reg->host + at;
}

/* Where a ring that has been used for long may stand. */
static uint32_t used_base(const struct model *m, unsigned int size, struct rng *r)
{
	uint32_t at = rng_below(r, size) | (uint32_t)rng_below(r, 2) << 15;

	if (m->features & BIT(VIRTIO_F_RING_PACKED_BIT))
		return at | at << 16; /* the place and the wrap counter, of both sides */
	return UINT16_MAX - rng_below(r, 300);
}

static unsigned int choose_size(const struct model *m, struct rng *r)
{
	if ((m->features & BIT(VIRTIO_F_RING_PACKED_BIT)) && rng_one_in(r, 2))
		return 1 + rng_below(r, MODEL_RING_MAX);
	return 1U << rng_below(r, 9);
}

static void make_ring(struct model *m, unsigned int ring, struct rng *r)
{
	enum { TABLE = 6 };
	unsigned int size = choose_size(m, r);
	struct model_ring *d = &m->rings[ring];
	uint8_t *tables;
	uint64_t addr;

	session_must(m, vhu_frontend_make_ring(&m->fe, ring, size, m->features));
	driver_reset_ring(m, ring);
	if (model_is_ctrl(ring))
		return;
	tables = take(m, REGION_RINGS, driverq_table_bytes(size, TABLE), &addr);
	driverq_set_tables(model_q(m, ring), tables, addr, TABLE);
	for (unsigned int i = 0; i < MODEL_ARENAS; i++)
		d->arenas[i].host = take(m, REGION_DATA + i, MODEL_ARENA_LEN, &d->arenas[i].addr);
	/* As one that has long been in use: its index is about to wrap. */
	if (model_multiport(m) && rng_one_in(r, 4))
		driver_set_base(m, ring, used_base(m, size, r));
}

static void make_control(struct model *m)
{
	unsigned int size = m->fe.rings[MODEL_CTRL_RX].size;

	m->n_ctrl_in = (unsigned int)min_size(size, MODEL_CTRL_BUFS);
	for (unsigned int i = 0; i < m->n_ctrl_in; i++)
		m->ctrl_in[i] = take(m, REGION_RINGS, MODEL_CTRL_BUF_LEN, &m->ctrl_in_addr[i]);
	m->ctrl_out = take(m, REGION_RINGS, CONSOLE_MSG_LEN, &m->ctrl_out_addr);
}

/* Of those that the back-end offers. */
static uint64_t choose_features(const struct model *m, struct rng *r)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT);

	if (!rng_one_in(r, 5))
		features |= BIT(CONSOLE_F_MULTIPORT_BIT);
	if (!rng_one_in(r, 4))
		features |= BIT(CONSOLE_F_SIZE_BIT);
	if (rng_one_in(r, 2))
		features |= BIT(VIRTIO_F_EVENT_IDX_BIT);
	if (rng_one_in(r, 2))
		features |= BIT(VIRTIO_F_INDIRECT_DESC_BIT);
	if (rng_one_in(r, 3))
		features |= BIT(VIRTIO_F_RING_PACKED_BIT);
	if (rng_one_in(r, 3))
		features |= BIT(VIRTIO_F_IN_ORDER_BIT);
	return features & m->b->nego.offered_features;
}

void session_boot(struct model *m, struct rng *r)
{
	bool connected = m->b && m->plugged;

	if (m->b && !connected)
		session_disconnect(m);
	if (!connected)
		connect_pair(m);
	m->features = choose_features(m, r);
	m->n_set_up = model_multiport(m) ? m->n_rings : 2;
	model_say(m, "a driver boots with features 0x%llx", (unsigned long long)m->features);
	m->plugged = true;
	for (unsigned int i = 0; i < N_REGIONS; i++)
		m->fe.regions[i].n_taken = 0;
	for (unsigned int i = 0; i < m->n_set_up; i++)
		make_ring(m, i, r);
	if (model_multiport(m))
		make_control(m);
	if (connected)
		session_set_features(m);
	else
		negotiate(m, r);
	give_inflight(m, true);
	m->booted = true;
	for (unsigned int i = 0; i < m->n_set_up; i++)
		session_start_ring(m, i, r);
	/* Without control queues it uses its rings only when the device has seen them. */
	if (!model_multiport(m))
		session_must(m, vhu_frontend_ping(&m->fe));
	control_begin(m);
	m->numbers[0].bound = !model_multiport(m) && m->numbers[0].port;
}

void session_reboot(struct model *m, struct rng *r)
{
	shut(m);
	session_boot(m, r);
}
