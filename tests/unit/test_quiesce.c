/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Silence before an answer: for every message that ends a promise about memory,
 * rings or descriptors, and every kind of operation that can be under way when
 * it comes. After the answer what the message gave back is filled with a canary,
 * everything held is let go, and nothing may touch it; no byte is lost or doubled.
 * VU-065 to VU-068, VU-079, VU-109 to VU-111, VU-118, VU-134, VR-104, VR-108
 */
#include "quiesce_canary.h"
#include "quiesce_holds.h"

/* What is the front-end's again, once it has the answer. */
enum ends {
	ENDS_NOTHING,
	ENDS_MAPPING,	  /* the daemon's mapping alone */
	ENDS_RING_MEMORY, /* the ring and its buffers */
	ENDS_DATA_MEMORY, /* both data rings and theirs */
	ENDS_ALL_MEMORY,  /* every ring: the device is suspended */
	ENDS_DESCRIPTOR,
};

struct quiet_case {
	enum vhu_fe_id id;
	const char *variant; /* where a row has more than one case */
	enum ends ends;
	bool unmaps;
	bool stops; /* no call either: the ring is stopped, or the device suspended */
	int (*send)(unsigned int idx);
	void (*resume)(unsigned int idx);
};

static int old_fd = -1, old_file = -1;
static int watched_fd = -1; /* where nothing may come any more; lent */
static uint8_t *old_memory; /* of old_file */

/* The messages, and how a session goes on after each. */

static int ring_message(enum vhu_fe_id id, unsigned int idx, uint32_t num)
{
	return vhu_frontend_vring(&rig->fe, id, idx, num, true);
}

static int get_base(unsigned int idx)
{
	return vhu_frontend_vring_base(&rig->fe, idx, &rig->fe.rings[idx].base);
}

static int send_skip_drain(unsigned int idx)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_VRING_BASE_SKIP_DRAIN);
	vhu_msg_put(&msg, &state, sizeof(state));
	return vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS);
}

static int send_num(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_NUM, idx, Q_RING_SIZE);
}

static int send_base(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_BASE, idx, 0);
}

static int send_disable(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_ENABLE, idx, 0);
}

/* Addresses that lie in no region. */
static int send_addr(unsigned int idx)
{
	struct vhu_vring_addr addr = {
		.index = idx, .desc = 0x1000, .used = 0x3000, .avail = 0x2000
	};
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	vhu_msg_put(&msg, &addr, sizeof(addr));
	return vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS);
}

static int send_same_addr(unsigned int idx)
{
	return vhu_frontend_vring_addr(&rig->fe, idx, 0, 0, true);
}

static int replace_fd(enum vhu_fe_id id, unsigned int idx, int *fd)
{
	old_fd = watched_fd = *fd;
	*fd = eventfd(0, EFD_CLOEXEC);
	return vhu_frontend_vring_fd(&rig->fe, id, idx, *fd, true);
}

static int send_kick(unsigned int idx)
{
	return replace_fd(VHU_FE_SET_VRING_KICK, idx, &rig->fe.rings[idx].kick_fd);
}

/* The one in force may be a full one. */
static int send_call(unsigned int idx)
{
	struct vhu_frontend_ring *r = &rig->fe.rings[idx];
	int err = replace_fd(VHU_FE_SET_VRING_CALL, idx, &r->call_fd);

	r->call_peer = r->call_fd;
	if (held_call >= 0)
		watched_fd = held_other >= 0 ? held_other : held_call;
	return err;
}

static int send_err(unsigned int idx)
{
	return replace_fd(VHU_FE_SET_VRING_ERR, idx, &rig->fe.rings[idx].err_fd);
}

static int send_status_0(unsigned int idx)
{
	(void)idx;
	return vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_STATUS, 0, true);
}

static int send_simple(enum vhu_fe_id id)
{
	return vhu_frontend_simple(&rig->fe, id, true);
}

static int send_reset_device(unsigned int idx)
{
	(void)idx;
	return send_simple(VHU_FE_RESET_DEVICE);
}

static int send_reset_owner(unsigned int idx)
{
	(void)idx;
	return send_simple(VHU_FE_RESET_OWNER);
}

static int send_table(unsigned int n_regions)
{
	int err;

	rig->fe.n_regions = n_regions;
	err = vhu_frontend_set_mem_table(&rig->fe, 0, true);
	rig->fe.n_regions = Q_N_REGIONS;
	return err;
}

static int send_same_table(unsigned int idx)
{
	(void)idx;
	return send_table(Q_N_REGIONS);
}

static int send_table_without_data(unsigned int idx)
{
	(void)idx;
	return send_table(1);
}

static unsigned int region_of_ring(unsigned int idx)
{
	return idx == Q_RX ? 1 : 2;
}

static int send_remove(unsigned int idx)
{
	return vhu_frontend_remove_region(&rig->fe, region_of_ring(idx), false, true);
}

static void resume_nothing(unsigned int idx)
{
	(void)idx;
}

/* VU-110: the base is that of the first chain that was not returned. */
static void check_base(unsigned int idx)
{
	const struct flow *f = idx == Q_TX ? &flow_tx : &flow_rx;

	q_ok(get_base(idx));
	if (idx == Q_TX || idx == Q_RX)
		q_check(rig->fe.rings[idx].base == (uint16_t)f->n_back);
}

static void restart_ring(unsigned int idx)
{
	check_base(idx);
	q_ok(q_start_ring(idx, !q_inband()));
}

/* SET_VRING_BASE has said something else meanwhile. */
static void restart_from_count(unsigned int idx)
{
	const struct flow *f = idx == Q_TX ? &flow_tx : &flow_rx;

	rig->fe.rings[idx].base = (uint16_t)f->n_back;
	q_ok(q_start_ring(idx, !q_inband()));
}

static void restart_all(unsigned int idx)
{
	(void)idx;
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		check_base(i);
	q_ok(q_start_rings());
}

/* A new driver: what the old one had offered and not got back is offered again, or not taken yet.
 */
static void restart_driver(unsigned int idx)
{
	(void)idx;
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		vhu_frontend_reset_ring(&rig->fe, i);
	flow_tx.n_offered = flow_tx.n_back = 0;
	flow_rx.n_offered = flow_rx.n_back = 0;
	flow_tx.n_in = flow_tx.n_out;
	q_ok(q_start_rings());
	q_greet();
}

static void resume_enable(unsigned int idx)
{
	q_ok(ring_message(VHU_FE_SET_VRING_ENABLE, idx, 1));
}

static void resume_addr(unsigned int idx)
{
	q_ok(send_same_addr(idx));
}

static void resume_region(unsigned int idx)
{
	q_ok(vhu_frontend_add_region(&rig->fe, region_of_ring(idx), true));
}

/* Guest memory in another file, with the same contents at the same places of ours. */
static void move_memory(void)
{
	struct vhu_frontend *fe = &rig->fe;
	int fd = memfd_create("guest", MFD_CLOEXEC);

	q_ok(fd);
	q_ok(ftruncate(fd, (off_t)fe->mem_len));
	q_check(pwrite(fd, fe->mem_map, fe->mem_len, 0) == (ssize_t)fe->mem_len);
	old_memory = mmap(NULL, fe->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, fe->mem_fd, 0);
	q_check(old_memory != MAP_FAILED);
	q_check(mmap(fe->mem_map, fe->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		     0) == fe->mem_map);
	old_file = fe->mem_fd;
	fe->mem_fd = fd;
}

/* VU-066: and rings go on by the indices they had. The file of before is not touched again. */
static void resume_elsewhere(unsigned int idx)
{
	(void)idx;
	move_memory();
	q_ok(send_table(Q_N_REGIONS));
	memset(old_memory, CANARY, rig->fe.mem_len);
}

static const struct quiet_case cases[] = {
	{ VHU_FE_RESET_OWNER, NULL, ENDS_NOTHING, .send = send_reset_owner,
	  .resume = resume_nothing },
	{ VHU_FE_SET_MEM_TABLE, "the same", ENDS_MAPPING, .unmaps = true, .send = send_same_table,
	  .resume = resume_nothing },
	{ VHU_FE_SET_MEM_TABLE, "without the data rings", ENDS_DATA_MEMORY, .unmaps = true,
	  .send = send_table_without_data, .resume = resume_elsewhere },
	{ VHU_FE_SET_VRING_NUM, NULL, ENDS_RING_MEMORY, .send = send_num, .resume = restart_ring },
	{ VHU_FE_SET_VRING_ADDR, "the same", ENDS_NOTHING, .send = send_same_addr,
	  .resume = resume_nothing },
	{ VHU_FE_SET_VRING_ADDR, "elsewhere", ENDS_RING_MEMORY, .send = send_addr,
	  .resume = resume_addr },
	{ VHU_FE_SET_VRING_BASE, NULL, ENDS_RING_MEMORY, .send = send_base,
	  .resume = restart_from_count },
	{ VHU_FE_GET_VRING_BASE, NULL, ENDS_RING_MEMORY, .stops = true, .send = get_base,
	  .resume = restart_ring },
	{ VHU_FE_SET_VRING_KICK, NULL, ENDS_DESCRIPTOR, .send = send_kick,
	  .resume = resume_nothing },
	{ VHU_FE_SET_VRING_CALL, NULL, ENDS_DESCRIPTOR, .send = send_call,
	  .resume = resume_nothing },
	{ VHU_FE_SET_VRING_ERR, NULL, ENDS_DESCRIPTOR, .send = send_err, .resume = resume_nothing },
	{ VHU_FE_SET_VRING_ENABLE, NULL, ENDS_RING_MEMORY, .send = send_disable,
	  .resume = resume_enable },
	{ VHU_FE_RESET_DEVICE, NULL, ENDS_ALL_MEMORY, .stops = true, .send = send_reset_device,
	  .resume = restart_driver },
	{ VHU_FE_REM_MEM_REG, NULL, ENDS_RING_MEMORY, .unmaps = true, .send = send_remove,
	  .resume = resume_region },
	{ VHU_FE_SET_STATUS, "0", ENDS_ALL_MEMORY, .stops = true, .send = send_status_0,
	  .resume = restart_all },
	{ VHU_FE_GET_VRING_BASE_SKIP_DRAIN, NULL, ENDS_RING_MEMORY, .stops = true,
	  .send = send_skip_drain, .resume = restart_ring },
};

/* Memory that was given back, and descriptors. */

static unsigned int given_back(const struct quiet_case *c, unsigned int idx)
{
	switch (c->ends) {
	case ENDS_RING_MEMORY:
		return 1u << region_of_ring(idx);
	case ENDS_DATA_MEMORY:
		return CANARY_ALL & ~1u;
	case ENDS_ALL_MEMORY:
		return CANARY_ALL;
	default:
		return 0;
	}
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

static bool is_stopped(const struct quiet_case *c, unsigned int idx, unsigned int ring)
{
	return c->stops && (ring == idx || c->ends == ENDS_ALL_MEMORY);
}

static void drain_calls(const struct quiet_case *c, unsigned int idx)
{
	drain_fd(held_other >= 0 ? held_other : held_call);
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		if (is_stopped(c, idx, i))
			drain_fd(rig->fe.rings[i].call_fd);
	if (watched_fd >= 0)
		drain_fd(watched_fd);
	if (c->id == VHU_FE_SET_VRING_KICK) /* which is for nobody */
		q_check(write(old_fd, &(uint64_t){ 1 }, 8) == 8);
}

/* VU-111, VU-118, VU-122, VU-134 */
static void check_calls(const struct quiet_case *c, unsigned int idx)
{
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		if (is_stopped(c, idx, i) && is_readable(rig->fe.rings[i].call_fd))
			q_fail("ring %u called its driver after the answer", i);
	if (c->stops && is_readable(held_other >= 0 ? held_other : held_call))
		q_fail("the call that was held was made after the answer");
	if (c->id == VHU_FE_SET_VRING_KICK) {
		uint64_t value = 0;

		q_check(is_readable(old_fd) && read(old_fd, &value, 8) == 8 && value == 1);
	} else if (is_readable(watched_fd)) {
		q_fail("the old descriptor was written to after the answer");
	}
	if (c->id == VHU_FE_SET_VRING_CALL && !is_readable(rig->fe.rings[idx].call_fd))
		q_fail("the new descriptor was not told what the old one may have missed");
}

static unsigned int heard_of(const struct quiet_case *c, unsigned int idx)
{
	const struct vhu_frontend_heard *h = &rig->fe.heard;

	if (c->ends == ENDS_ALL_MEMORY)
		return h->n_messages;
	return c->stops ? h->n_calls[idx] : 0;
}

/* One case. */

static void let_go_and_look(const struct quiet_case *c, unsigned int idx)
{
	unsigned int heard = heard_of(c, idx);

	canary_fill(given_back(c, idx));
	drain_calls(c, idx);
	let_go();
	if (c->ends == ENDS_ALL_MEMORY)
		port_resize(&q_host->port, 80, (uint16_t)(q_host->port.rows + 1));
	rig_settle(rig);
	canary_check();
	flow_collect(&flow_tx);
	flow_collect(&flow_rx);
	check_calls(c, idx);
	if (heard_of(c, idx) != heard)
		q_fail("the channel was used after the answer");
}

static void try_case(const struct quiet_case *c, const struct hold *h, uint64_t protocol)
{
	struct span before[SPANS_MAX];
	unsigned int idx = h->flow->idx, n_before;

	q_begin_host(h->pty);
	q_begin_session(protocol | h->protocol, q_features);
	q_finish(Q_SLOT_LEN);
	h->begin();
	n_before = q_find_mappings(before);
	q_check(n_before > 0);
	q_ok(c->send(idx));
	canary_fill_freed(before, n_before);
	q_check(!c->unmaps || canary_n_freed > 0);
	let_go_and_look(c, idx);
	c->resume(idx);
	q_finish(6000);
	rig_disconnect(rig);
	if (old_memory) {
		canary_check_bytes("the file of before", old_memory, rig->fe.mem_len);
		munmap(old_memory, rig->fe.mem_len);
		old_memory = NULL;
	}
	q_check(q_find_mappings(before) == 0);
	old_fd = fd_close(old_fd);
	old_file = fd_close(old_file);
	watched_fd = -1;
	forget_held();
	rig_forget_guest(rig);
	q_end_host();
}

/* What must be agreed on for the row; false: this back-end does not offer it. */
static bool find_gate(const struct vhu_desc *desc, uint64_t offered, uint64_t *ret_protocol)
{
	*ret_protocol = q_protocol;
	if (desc->gate.kind != VHU_GATE_PROTOCOL)
		return true;
	*ret_protocol |= BIT(desc->gate.bit);
	return offered & BIT(desc->gate.bit);
}

static uint64_t offered_protocol(void)
{
	uint64_t value;

	rig_connect(rig);
	q_ok(vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &value));
	q_ok(vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &value));
	rig_disconnect(rig);
	return value;
}

static unsigned int try_row(const struct vhu_desc *desc, uint64_t protocol)
{
	unsigned int n = 0, n_fds = fd_count_open();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct quiet_case *c = &cases[i];

		if (c->id != desc->id)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(holds); k++, n++) {
			snprintf(q_label, sizeof(q_label), "%s%s%s%s with %s", desc->name,
				 c->variant ? " (" : "", c->variant ? c->variant : "",
				 c->variant ? ")" : "", holds[k].name);
			if (getenv("UNIT_LOG"))
				print_message("%s\n", q_label);
			try_case(c, &holds[k], protocol);
			q_check(fd_count_open() == n_fds);
		}
	}
	if (n == 0)
		fail_msg("no case for row %s", desc->name);
	return n;
}

static void nothing_is_touched_after_the_answer_and_no_byte_is_lost(void **state)
{
	uint64_t offered = offered_protocol(), protocol;
	unsigned int n_rows = 0, n_tried = 0;

	(void)state;
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *desc = vhu_desc_at(i);
		unsigned int n;

		if (desc->dir != VHU_FE || desc->quiesce == VHU_QUIESCE_NONE)
			continue;
		if (!find_gate(desc, offered, &protocol)) {
			print_message("%s: not offered\n", desc->name);
			continue;
		}
		n = try_row(desc, protocol);
		print_message("%s: %u\n", desc->name, n);
		n_rows++;
		n_tried += n;
	}
	print_message("%u rows, %zu operations under way, %u tried\n", n_rows, ARRAY_SIZE(holds),
		      n_tried);
}

static const struct CMUnitTest tests[] = {
	Q_TEST(nothing_is_touched_after_the_answer_and_no_byte_is_lost),
};
UNIT_MAIN(tests)
