/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-row.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conform/cases/case-steps.h"

enum {
	LOG_LEN = 1 << 20, /* dirty bits for 32 GiB */
	REGION_LEN = 2 << 20,
	DRAIN_MS = 1000,
	DRAIN_MAX_MS = 5000,
	STATUS_BEGUN = 0x0b,
	EMERG_WRITE_AT = 8, /* of a console: what can be written at any time */
};

void stage_init(struct stage *s)
{
	*s = (struct stage){ .drain_fd = -1, .region_fd = -1, .inflight_fd = -1 };
}

/* A writer whose reader goes away early would be killed by it. */
static void drain(int fd)
{
	int64_t deadline = monotonic_ms() + DRAIN_MAX_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t bytes[4096];

	while (fd >= 0 && monotonic_ms() < deadline && poll(&p, 1, DRAIN_MS) > 0)
		if (read(fd, bytes, sizeof(bytes)) <= 0)
			break;
}

void stage_fini(struct stage *s)
{
	for (unsigned int i = 0; i < s->n_fds; i++)
		fd_close(s->fds[i]);
	drain(s->drain_fd);
	fd_close(s->drain_fd);
	fd_close(s->region_fd);
	fd_close(s->inflight_fd);
	stage_init(s);
}

static int stage_keep(struct stage *s, int fd)
{
	s->fds[s->n_fds++] = fd;
	return fd;
}

static void lend(struct vhu_msg *msg, int fd)
{
	msg->fds.fd[msg->fds.n_fds++] = fd;
}

/* Sessions. */

enum row_safety row_safety(enum vhu_fe_id id)
{
	switch (id) {
	/* May change the guest's device, or is for legacy drivers. */
	case VHU_FE_SET_CONFIG:
	case VHU_FE_SET_VRING_ENDIAN:
	/* Payloads that depend on what crypto devices of one project exchange. */
	case VHU_FE_CREATE_CRYPTO_SESSION:
	case VHU_FE_CLOSE_CRYPTO_SESSION:
	/* Ordered among themselves, and not with memory slots. */
	case VHU_FE_POSTCOPY_ADVISE:
	case VHU_FE_POSTCOPY_LISTEN:
	case VHU_FE_POSTCOPY_END:
	/* Known to back-ends of one device type only, without a feature that says so. */
	case VHU_FE_GPU_SET_SOCKET:
	/* Starts the ring. */
	case VHU_FE_VRING_KICK:
		return ROW_UNSAFE;
	case VHU_FE_RESET_OWNER:
	case VHU_FE_SET_LOG_FD:
	case VHU_FE_SEND_RARP:
	case VHU_FE_NET_SET_MTU:
		return ROW_ANY;
	default:
		return ROW_ACCEPTED;
	}
}

static uint64_t with_needs(uint64_t protocol)
{
	uint64_t before;

	do {
		before = protocol;
		for (unsigned int bit = 0; bit < 64; bit++)
			if (protocol & BIT(bit))
				protocol |= vhu_protocol_feature_needs(bit);
	} while (protocol != before);
	return protocol;
}

static uint64_t gate_bit(const struct vhu_desc *desc)
{
	return desc->gate.kind == VHU_GATE_PROTOCOL || desc->gate.kind == VHU_GATE_LAX
		       ? BIT(desc->gate.bit)
		       : 0;
}

uint64_t row_protocol(const struct vhu_desc *desc)
{
	return with_needs(gate_bit(desc));
}

/* Takes out what cannot be without those that are not wanted. */
static uint64_t without_dependants(uint64_t protocol, uint64_t without)
{
	for (unsigned int bit = 0; bit < 64; bit++)
		if (with_needs(BIT(bit)) & without)
			protocol &= ~BIT(bit);
	return protocol;
}

static uint64_t protocol_for(const struct trial *t, const struct vhu_desc *desc, uint64_t without)
{
	uint64_t protocol = trial_protocol(t) | row_protocol(desc);

	if (desc->id == VHU_FE_SET_LOG_BASE)
		protocol |= BIT(VHU_PF_LOG_SHMFD_BIT);
	/* Memory that comes late excludes memory that comes region by region. */
	if (protocol & BIT(VHU_PF_PAGEFAULT_BIT))
		protocol &= ~BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT);
	return without_dependants(protocol & t->target->info.protocol, without);
}

static uint64_t features_for(const struct trial *t, const struct vhu_desc *desc, uint64_t without)
{
	uint64_t features = trial_features(t);

	if (desc->gate.kind == VHU_GATE_VIRTIO && without == 0)
		features |= BIT(desc->gate.bit);
	if (desc->gate.kind == VHU_GATE_ACKED && without != 0)
		features &= ~BIT(VHU_F_PROTOCOL_FEATURES_BIT);
	return features;
}

/* As QEMU: the owner comes after the features, so that it can be acknowledged. */
static int begin_without_owner(struct trial *t, uint64_t protocol)
{
	uint64_t value;
	int err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_FEATURES, &value);

	if (err == 0 && (value & BIT(VHU_F_PROTOCOL_FEATURES_BIT))) {
		err = vhu_frontend_get_u64(&t->fe, VHU_FE_GET_PROTOCOL_FEATURES, &value);
		if (err == 0)
			err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_PROTOCOL_FEATURES,
						   value & protocol, false);
	}
	return trial_step(t, err, "a session without SET_OWNER");
}

static bool needs_memory(const struct vhu_desc *desc)
{
	switch (desc->id) {
	case VHU_FE_SET_MEM_TABLE:
	case VHU_FE_ADD_MEM_REG:
	case VHU_FE_REM_MEM_REG:
	case VHU_FE_SET_LOG_BASE:
	case VHU_FE_IOTLB_MSG:
	case VHU_FE_GET_INFLIGHT_FD:
	case VHU_FE_SET_INFLIGHT_FD:
		return true;
	default:
		return desc->index != VHU_INDEX_NONE;
	}
}

/* A region that the memory table does not have. */
static void put_region(struct trial *t, struct vhu_msg *msg)
{
	const struct vhu_single_region single = {
		.region = {
			.guest_addr = UINT64_C(1) << 40,
			.size = REGION_LEN,
			.user_addr = UINT64_C(0x7e0000000000),
		},
	};

	(void)t;
	vhu_msg_put(msg, &single, sizeof(single));
}

static int add_region(struct trial *t, struct stage *s)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_ADD_MEM_REG);
	put_region(t, &msg);
	lend(&msg, s->region_fd);
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	return trial_request(t, &msg, NULL);
}

static void put_inflight(struct trial *t, struct vhu_msg *msg)
{
	const struct vhu_inflight inflight = {
		.num_queues = (uint16_t)t->fe.n_rings,
		.queue_size = TRIAL_RING,
	};

	vhu_msg_put(msg, &inflight, sizeof(inflight));
}

static int get_inflight(struct trial *t, struct stage *s)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_INFLIGHT_FD);
	put_inflight(t, &msg);
	err = trial_request(t, &msg, &reply);
	if (err < 0)
		return err;
	vhu_msg_get(&reply, &s->inflight, sizeof(s->inflight));
	s->inflight_fd = fdset_take(&reply.fds, 0);
	fdset_close(&reply.fds);
	return 0;
}

static int prepare_more(struct trial *t, const struct vhu_desc *desc, struct stage *s)
{
	int err = 0;

	if (desc->id == VHU_FE_ADD_MEM_REG || desc->id == VHU_FE_REM_MEM_REG)
		err = step_memfd(t, REGION_LEN, &s->region_fd);
	if (err == 0 && desc->id == VHU_FE_REM_MEM_REG &&
	    vhu_frontend_has_protocol(&t->fe, VHU_PF_CONFIGURE_MEM_SLOTS_BIT))
		err = add_region(t, s);
	if (err == 0 && desc->id == VHU_FE_SET_INFLIGHT_FD &&
	    vhu_frontend_has_protocol(&t->fe, VHU_PF_INFLIGHT_SHMFD_BIT))
		err = get_inflight(t, s);
	return err;
}

int row_prepare(struct trial *t, const struct vhu_desc *desc, uint64_t without, struct stage *s)
{
	static const struct trial_plan still = { .no_kick = true, .no_enable = true };
	uint64_t protocol = protocol_for(t, desc, without);
	int err;

	if (desc->id == VHU_FE_SET_OWNER)
		return begin_without_owner(t, protocol);
	err = trial_handshake_with(t, features_for(t, desc, without), protocol);
	if (err < 0 || !needs_memory(desc))
		return err;
	err = trial_make_memory(t, &still);
	if (err == 0)
		err = trial_send_memory(t);
	if (err == 0 && desc->index != VHU_INDEX_NONE)
		err = trial_start_ring(t, trial_ring(t), &still);
	return err < 0 ? err : prepare_more(t, desc, s);
}

/* Requests. */

typedef int fill_fn(struct trial *t, struct stage *s, struct vhu_msg *msg);

static int fill_features(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	vhu_msg_put_u64(msg, t->fe.nego.features);
	return 0;
}

static int fill_protocol(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	vhu_msg_put_u64(msg, t->fe.nego.protocol);
	return 0;
}

static int fill_table(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	struct vhu_mem_table table = { .n_regions = t->fe.n_regions };

	(void)s;
	for (unsigned int i = 0; i < t->fe.n_regions; i++) {
		table.regions[i] = t->fe.regions[i].wire;
		lend(msg, t->fe.mem_fd);
	}
	vhu_msg_put(msg, &table,
		    offsetof(struct vhu_mem_table, regions) +
			    t->fe.n_regions * sizeof(table.regions[0]));
	return 0;
}

static int fill_log(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	const struct vhu_log log = { .mmap_size = LOG_LEN };
	int fd, err;

	/* Without LOG_SHMFD the text has one number. */
	vhu_msg_put(msg, &log, sizeof(uint64_t));
	if (!vhu_frontend_has_protocol(&t->fe, VHU_PF_LOG_SHMFD_BIT))
		return 0;
	vhu_msg_put(msg, &log, sizeof(log));
	err = step_memfd(t, LOG_LEN, &fd);
	if (err == 0)
		lend(msg, stage_keep(s, fd));
	return err;
}

static int fill_eventfd(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return trial_error(t, "an eventfd: %s", strerror(errno));
	lend(msg, stage_keep(s, fd));
	return 0;
}

static int fill_socket(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return trial_error(t, "a pair of sockets: %s", strerror(errno));
	stage_keep(s, fds[0]);
	lend(msg, stage_keep(s, fds[1]));
	return 0;
}

static void put_vring(struct trial *t, struct vhu_msg *msg, uint32_t num)
{
	const struct vhu_vring_state state = { .index = trial_ring(t), .num = num };

	vhu_msg_put(msg, &state, sizeof(state));
}

static int fill_num(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	put_vring(t, msg, t->fe.rings[trial_ring(t)].size);
	return 0;
}

static int fill_zero(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	put_vring(t, msg, 0);
	return 0;
}

static int fill_enable(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	put_vring(t, msg, 1);
	return 0;
}

static int fill_addr(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	const struct driverq *q = &t->fe.rings[trial_ring(t)].q;
	const struct vhu_vring_addr addr = {
		.index = trial_ring(t),
		.desc = vhu_frontend_user_addr(&t->fe, q->desc_addr),
		.used = vhu_frontend_user_addr(&t->fe, q->used_addr),
		.avail = vhu_frontend_user_addr(&t->fe, q->avail_addr),
	};

	(void)s;
	vhu_msg_put(msg, &addr, sizeof(addr));
	return 0;
}

static int fill_ring_fd(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[trial_ring(t)];

	(void)s;
	vhu_msg_put_u64(msg, trial_ring(t));
	lend(msg, msg->id == VHU_FE_SET_VRING_KICK   ? r->kick_fd
		  : msg->id == VHU_FE_SET_VRING_CALL ? r->call_peer
						     : r->err_fd);
	return 0;
}

static int fill_rarp(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

	(void)t;
	(void)s;
	vhu_msg_put(msg, mac, sizeof(mac));
	return 0;
}

static int fill_mtu(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)t;
	(void)s;
	vhu_msg_put_u64(msg, 1500);
	return 0;
}

static int fill_iotlb(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	const struct vhu_region *r = &t->fe.regions[0].wire;
	const struct vhu_iotlb iotlb = {
		.iova = r->guest_addr,
		.size = 0x1000,
		.uaddr = r->user_addr,
		.perm = 3,
		.type = 2,
	};

	(void)s;
	vhu_msg_put(msg, &iotlb, sizeof(iotlb));
	return 0;
}

static int fill_config(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	uint32_t known = t->target->info.config_len;
	struct vhu_config config = { .size = known > 0 && known < 4 ? known : 4 };

	(void)s;
	if (msg->id == VHU_FE_SET_CONFIG && t->device && strcmp(t->device->name, "console") == 0)
		config.offset = EMERG_WRITE_AT;
	vhu_msg_put(msg, &config, offsetof(struct vhu_config, bytes) + config.size);
	return 0;
}

static int fill_get_inflight(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)s;
	put_inflight(t, msg);
	return 0;
}

static int fill_set_inflight(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	int fd, err;

	if (s->inflight_fd >= 0) {
		vhu_msg_put(msg, &s->inflight, sizeof(s->inflight));
		lend(msg, s->inflight_fd);
		return 0;
	}
	/* As the sample has it. */
	err = step_memfd(t, 0x1000, &fd);
	if (err == 0)
		lend(msg, stage_keep(s, fd));
	return err;
}

static int fill_region(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	put_region(t, msg);
	if (msg->id == VHU_FE_ADD_MEM_REG)
		lend(msg, s->region_fd);
	return 0;
}

static int fill_status(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	(void)t;
	(void)s;
	vhu_msg_put_u64(msg, STATUS_BEGUN);
	return 0;
}

/* Direction and phase 0: the back-end writes. */
static int fill_state(struct trial *t, struct stage *s, struct vhu_msg *msg)
{
	int fds[2];

	if (pipe(fds) < 0)
		return trial_error(t, "a pipe: %s", strerror(errno));
	fd_set_cloexec(fds[0]);
	fd_set_cloexec(fds[1]);
	s->drain_fd = fds[0];
	lend(msg, stage_keep(s, fds[1]));
	return 0;
}

int row_make(struct trial *t, const struct vhu_desc *desc, struct stage *s, struct vhu_msg *ret_msg)
{
	/* Requests that are not listed are in order as their sample is. */
	static const struct {
		enum vhu_fe_id id;
		fill_fn *fill;
	} fills[] = {
		{ VHU_FE_SET_FEATURES, fill_features },
		{ VHU_FE_SET_MEM_TABLE, fill_table },
		{ VHU_FE_SET_LOG_BASE, fill_log },
		{ VHU_FE_SET_LOG_FD, fill_eventfd },
		{ VHU_FE_SET_VRING_NUM, fill_num },
		{ VHU_FE_SET_VRING_ADDR, fill_addr },
		{ VHU_FE_SET_VRING_BASE, fill_zero },
		{ VHU_FE_GET_VRING_BASE, fill_zero },
		{ VHU_FE_SET_VRING_KICK, fill_ring_fd },
		{ VHU_FE_SET_VRING_CALL, fill_ring_fd },
		{ VHU_FE_SET_VRING_ERR, fill_ring_fd },
		{ VHU_FE_SET_PROTOCOL_FEATURES, fill_protocol },
		{ VHU_FE_SET_VRING_ENABLE, fill_enable },
		{ VHU_FE_SEND_RARP, fill_rarp },
		{ VHU_FE_NET_SET_MTU, fill_mtu },
		{ VHU_FE_SET_BACKEND_REQ_FD, fill_socket },
		{ VHU_FE_IOTLB_MSG, fill_iotlb },
		{ VHU_FE_SET_VRING_ENDIAN, fill_zero },
		{ VHU_FE_GET_CONFIG, fill_config },
		{ VHU_FE_SET_CONFIG, fill_config },
		{ VHU_FE_GET_INFLIGHT_FD, fill_get_inflight },
		{ VHU_FE_SET_INFLIGHT_FD, fill_set_inflight },
		{ VHU_FE_GPU_SET_SOCKET, fill_socket },
		{ VHU_FE_VRING_KICK, fill_zero },
		{ VHU_FE_ADD_MEM_REG, fill_region },
		{ VHU_FE_REM_MEM_REG, fill_region },
		{ VHU_FE_SET_STATUS, fill_status },
		{ VHU_FE_SET_DEVICE_STATE_FD, fill_state },
		{ VHU_FE_GET_VRING_BASE_SKIP_DRAIN, fill_zero },
	};

	vhu_msg_init_sample(ret_msg, desc);
	for (size_t i = 0; i < ARRAY_SIZE(fills); i++)
		if ((uint32_t)fills[i].id == desc->id)
			return fills[i].fill(t, s, ret_msg);
	return 0;
}
