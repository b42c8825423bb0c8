/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every message before which rings are silenced: how it is sent, and how a session goes on. */
#ifndef VHU_TESTS_QUIESCE_MESSAGES_H
#define VHU_TESTS_QUIESCE_MESSAGES_H

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

static inline int ring_message(enum vhu_fe_id id, unsigned int idx, uint32_t num)
{
	return vhu_frontend_vring(&rig->fe, id, idx, num, true);
}

static inline int get_base(unsigned int idx)
{
	return vhu_frontend_vring_base(&rig->fe, idx, &rig->fe.rings[idx].base);
}

static inline int send_skip_drain(unsigned int idx)
{
	struct vhu_vring_state state = { .index = idx };
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_VRING_BASE_SKIP_DRAIN);
	vhu_msg_put(&msg, &state, sizeof(state));
	return vhu_frontend_request(&rig->fe, &msg, NULL, RIG_TIMEOUT_MS);
}

static inline int send_num(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_NUM, idx, Q_RING_SIZE);
}

static inline int send_base(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_BASE, idx, 0);
}

static inline int send_disable(unsigned int idx)
{
	return ring_message(VHU_FE_SET_VRING_ENABLE, idx, 0);
}

/* Addresses that lie in no region. */
static inline int send_addr(unsigned int idx)
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

static inline int send_same_addr(unsigned int idx)
{
	return vhu_frontend_vring_addr(&rig->fe, idx, 0, 0, true);
}

static inline int replace_fd(enum vhu_fe_id id, unsigned int idx, int *fd)
{
	old_fd = watched_fd = *fd;
	*fd = eventfd(0, EFD_CLOEXEC);
	return vhu_frontend_vring_fd(&rig->fe, id, idx, *fd, true);
}

static inline int send_kick(unsigned int idx)
{
	return replace_fd(VHU_FE_SET_VRING_KICK, idx, &rig->fe.rings[idx].kick_fd);
}

/* The one in force may be a full one. */
static inline int send_call(unsigned int idx)
{
	struct vhu_frontend_ring *r = &rig->fe.rings[idx];
	int err = replace_fd(VHU_FE_SET_VRING_CALL, idx, &r->call_fd);

	r->call_peer = r->call_fd;
	if (held_call >= 0)
		watched_fd = held_other >= 0 ? held_other : held_call;
	return err;
}

static inline int send_err(unsigned int idx)
{
	return replace_fd(VHU_FE_SET_VRING_ERR, idx, &rig->fe.rings[idx].err_fd);
}

static inline int send_status_0(unsigned int idx)
{
	(void)idx;
	return vhu_frontend_set_u64(&rig->fe, VHU_FE_SET_STATUS, 0, true);
}

static inline int send_simple(enum vhu_fe_id id)
{
	return vhu_frontend_simple(&rig->fe, id, true);
}

static inline int send_reset_device(unsigned int idx)
{
	(void)idx;
	return send_simple(VHU_FE_RESET_DEVICE);
}

static inline int send_reset_owner(unsigned int idx)
{
	(void)idx;
	return send_simple(VHU_FE_RESET_OWNER);
}

static inline int send_table(unsigned int n_regions)
{
	int err;

	rig->fe.n_regions = n_regions;
	err = vhu_frontend_set_mem_table(&rig->fe, 0, true);
	rig->fe.n_regions = Q_N_REGIONS;
	return err;
}

static inline int send_same_table(unsigned int idx)
{
	(void)idx;
	return send_table(Q_N_REGIONS);
}

static inline int send_table_without_data(unsigned int idx)
{
	(void)idx;
	return send_table(1);
}

static inline unsigned int region_of_ring(unsigned int idx)
{
	return idx == Q_RX ? 1 : 2;
}

static inline int send_remove(unsigned int idx)
{
	return vhu_frontend_remove_region(&rig->fe, region_of_ring(idx), false, true);
}

static inline void resume_nothing(unsigned int idx)
{
	(void)idx;
}

/* VU-110: the base is that of the first chain that was not returned. */
static inline void check_base(unsigned int idx)
{
	q_ok(get_base(idx));
	q_check(rig->fe.rings[idx].base == driverq_base(&rig->fe.rings[idx].q));
}

static inline void restart_ring(unsigned int idx)
{
	check_base(idx);
	q_ok(q_start_ring(idx, !q_inband()));
}

/* SET_VRING_BASE has said something else meanwhile. */
static inline void restart_from_ring(unsigned int idx)
{
	rig->fe.rings[idx].base = driverq_base(&rig->fe.rings[idx].q);
	q_ok(q_start_ring(idx, !q_inband()));
}

static inline void restart_all(unsigned int idx)
{
	(void)idx;
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		check_base(i);
	q_ok(q_start_rings());
}

/* A new driver: what the old one had offered and not got back is offered again, or not taken yet.
 */
static inline void restart_driver(unsigned int idx)
{
	(void)idx;
	q_drain();
	for (unsigned int i = 0; i < Q_N_RINGS; i++)
		vhu_frontend_reset_ring(&rig->fe, i);
	flow_tx.n_offered = flow_tx.n_back = 0;
	flow_rx.n_offered = flow_rx.n_back = 0;
	flow_tx.n_in = flow_tx.n_out;
	q_ok(q_start_rings());
	q_greet();
}

static inline void resume_enable(unsigned int idx)
{
	q_ok(ring_message(VHU_FE_SET_VRING_ENABLE, idx, 1));
}

static inline void resume_addr(unsigned int idx)
{
	q_ok(send_same_addr(idx));
}

static inline void resume_region(unsigned int idx)
{
	q_ok(vhu_frontend_add_region(&rig->fe, region_of_ring(idx), true));
}

/* Guest memory in another file, with the same contents at the same places of ours. */
static inline void move_memory(void)
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
static inline void resume_elsewhere(unsigned int idx)
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
	  .resume = restart_from_ring },
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

/* What the messages have left behind, once the session is over. */
static inline void forget_old(void)
{
	if (old_memory)
		munmap(old_memory, rig->fe.mem_len);
	old_memory = NULL;
	old_fd = fd_close(old_fd);
	old_file = fd_close(old_file);
	watched_fd = -1;
	forget_held();
}

static inline void label_case(const struct quiet_case *c, const char *what)
{
	snprintf(q_label, sizeof(q_label), "%s%s%s%s with %s", vhu_msg_name(VHU_FE, c->id),
		 c->variant ? " (" : "", c->variant ? c->variant : "", c->variant ? ")" : "", what);
}

/* The protocol feature behind the row, if there is one, with those that it needs. */
static inline uint64_t gate_features(const struct vhu_desc *desc)
{
	uint64_t gate = desc->gate.kind == VHU_GATE_PROTOCOL ? BIT(desc->gate.bit) : 0;

	if (gate & BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT))
		gate |= BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT);
	return gate;
}

/* What must be agreed on for the row; false: this back-end does not offer it. */
static inline bool find_gate(const struct vhu_desc *desc, uint64_t offered, uint64_t *ret_protocol)
{
	uint64_t gate = gate_features(desc);

	*ret_protocol = q_protocol | gate;
	return (offered & gate) == gate;
}

static inline uint64_t offered_protocol(void)
{
	uint64_t value;

	rig_connect(rig);
	q_ok(vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_FEATURES, &value));
	q_ok(vhu_frontend_get_u64(&rig->fe, VHU_FE_GET_PROTOCOL_FEATURES, &value));
	rig_disconnect(rig);
	return value;
}

#endif
