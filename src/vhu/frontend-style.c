/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-style.h"

#include <errno.h>
#include <string.h>

#include "virtio/features.h"

/* Flags of a step. */
enum {
	ACK = 1,	 /* asks for an acknowledgement once that is agreed on */
	OFF = 2,	 /* SET_VRING_ENABLE 0 */
	ALL = 4,	 /* for every ring there is, not only for those set up */
	BACK = 8,	 /* from the last ring to the first */
	ALWAYS = 16,	 /* even if the protocol feature behind it was not agreed on */
	KICKED = 32,	 /* SET_VRING_KICK, then a kick */
	SLOTS = 64,	 /* only if memory comes region by region */
	NO_SLOTS = 128,	 /* only if it does not */
	NO_INBAND = 256, /* not with in-band notifications */
};

/*
 * One message, or one per ring: neighbours of the same group other than 0 are
 * sent ring by ring together. A step whose protocol feature was not agreed on
 * is left out.
 */
struct step {
	enum vhu_fe_id id;
	unsigned int group;
	unsigned int flags;
	uint64_t value; /* of SET_STATUS */
};

#define ONCE(NAME, flags)                                                                          \
	{                                                                                          \
		VHU_FE_##NAME, 0, flags, 0                                                         \
	}
#define RING(NAME, group, flags)                                                                   \
	{                                                                                          \
		VHU_FE_##NAME, group, flags, 0                                                     \
	}
#define STATUS(value, flags)                                                                       \
	{                                                                                          \
		VHU_FE_SET_STATUS, 0, flags, value                                                 \
	}

/* Where SET_VRING_BASE of a ring comes from. */
enum base_kind {
	BASE_ZERO,
	BASE_KEPT,  /* what GET_VRING_BASE returned */
	BASE_AVAIL, /* the driver's index as it stands in memory */
};

/* How GET_CONFIG asks for bytes off to off + len of a config space of 12. */
enum config_kind {
	CONFIG_NONE,
	CONFIG_EXACT,
	CONFIG_FROM_ZERO,
	CONFIG_WHOLE,
	CONFIG_256,
};

struct style {
	const char *name;
	uint64_t features; /* that its guests take; bit 30 is added where it is */
	uint64_t protocol;
	unsigned int queue_size;
	enum vhu_call_kind call;
	size_t mem_table_len; /* payload is padded to this */
	uint64_t log;	      /* the log address of a ring that is not logged */
	enum base_kind base;
	enum config_kind config;
	uint32_t config_flags;
	bool flat; /* user addresses are guest addresses */
	bool ack_all;
	bool empty_control;
	const struct step *negotiate, *start, *stop;
	size_t n_negotiate, n_start, n_stop;
};

#define F(NAME) BIT(VIRTIO_F_##NAME##_BIT)
#define P(NAME) BIT(VHU_PF_##NAME##_BIT)
/* What a plan must name: it changes what rings look like, or what their addresses mean. */

#define WHEN_NAMED                                                                                 \
	(F(RING_PACKED) | F(IN_ORDER) | F(ACCESS_PLATFORM) | F(RING_RESET) | F(ORDER_PLATFORM))
/* Bits of device types, which a guest's driver picks from. */
#define DEVICE_BITS (BIT(24) - 1)
#define LINUX_GUEST (DEVICE_BITS | F(INDIRECT_DESC) | F(EVENT_IDX) | F(VERSION_1))

/* clang-format off: rows */
static const struct step uml_negotiate[] = {
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, ACK),
	ONCE(SET_BACKEND_REQ_FD, ACK),
};
static const struct step uml_start[] = {
	ONCE(SET_FEATURES, ACK),	ONCE(GET_CONFIG, 0),
	ONCE(SET_MEM_TABLE, ACK),	RING(SET_VRING_CALL, 1, ACK | NO_INBAND),
	RING(SET_VRING_NUM, 1, ACK),	RING(SET_VRING_BASE, 1, ACK),
	RING(SET_VRING_ADDR, 1, ACK),	RING(SET_VRING_KICK, 2, ACK | NO_INBAND),
	RING(SET_VRING_ENABLE, 2, ACK),
};
static const struct step uml_stop[] = {
	RING(SET_VRING_ENABLE, 1, ACK | OFF | BACK),
	ONCE(GET_FEATURES, 0),
};

static const struct step qemu_negotiate[] = {
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
	ONCE(GET_QUEUE_NUM, 0),
	ONCE(GET_MAX_MEM_SLOTS, 0),
	ONCE(SET_BACKEND_REQ_FD, ACK),
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	RING(SET_VRING_CALL, 1, ACK | ALL),
	RING(SET_VRING_ERR, 1, ACK | ALL),
	ONCE(GET_CONFIG, 0),
};
static const struct step qemu_start[] = {
	ONCE(SET_FEATURES, 0),
	ONCE(GET_STATUS, 0),
	STATUS(0x08, 0),
	ONCE(ADD_MEM_REG, ACK | SLOTS),
	ONCE(SET_MEM_TABLE, ACK | NO_SLOTS),
	RING(SET_VRING_NUM, 1, 0),
	RING(SET_VRING_BASE, 1, 0),
	RING(SET_VRING_ADDR, 1, 0),
	RING(SET_VRING_KICK, 1, ACK | KICKED),
	RING(SET_VRING_CALL, 1, ACK),
	RING(SET_VRING_ENABLE, 2, ACK | ALL),
	ONCE(GET_STATUS, 0),
	STATUS(0x0f, 0),
	RING(SET_VRING_CALL, 3, ACK),
};
static const struct step qemu_stop[] = {
	RING(SET_VRING_ENABLE, 1, ACK | OFF | ALL),
	RING(GET_VRING_BASE, 2, 0),
	STATUS(0, 0),
};

static const struct step crosvm_negotiate[] = {
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
	ONCE(SET_BACKEND_REQ_FD, 0),
	ONCE(GET_QUEUE_NUM, 0),
	ONCE(GET_CONFIG, 0),
};
static const struct step crosvm_start[] = {
	ONCE(SET_FEATURES, 0),	    ONCE(SET_MEM_TABLE, 0),	  RING(SET_VRING_NUM, 1, 0),
	RING(SET_VRING_ADDR, 1, 0), RING(SET_VRING_BASE, 1, 0),	  RING(SET_VRING_CALL, 1, 0),
	RING(SET_VRING_KICK, 1, 0), RING(SET_VRING_ENABLE, 1, 0),
};
static const struct step crosvm_stop[] = {
	RING(SET_VRING_ENABLE, 1, OFF),
	RING(GET_VRING_BASE, 1, 0),
};

static const struct step cloud_hypervisor_negotiate[] = {
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
	ONCE(GET_QUEUE_NUM, 0),
	ONCE(GET_CONFIG, 0),
};
static const struct step cloud_hypervisor_start[] = {
	ONCE(SET_FEATURES, 0),	    ONCE(SET_MEM_TABLE, 0),	  RING(SET_VRING_NUM, 1, 0),
	RING(SET_VRING_ADDR, 2, 0), RING(SET_VRING_BASE, 2, 0),	  RING(SET_VRING_CALL, 2, 0),
	RING(SET_VRING_KICK, 2, 0), RING(SET_VRING_ENABLE, 3, 0), ONCE(SET_BACKEND_REQ_FD, 0),
};
static const struct step cloud_hypervisor_stop[] = {
	RING(SET_VRING_ENABLE, 1, OFF),
	RING(GET_VRING_BASE, 1, 0),
};

static const struct step libkrun_negotiate[] = {
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
	ONCE(GET_QUEUE_NUM, 0),
	ONCE(GET_CONFIG, 0),
};
static const struct step libkrun_start[] = {
	ONCE(SET_OWNER, 0),	    ONCE(SET_MEM_TABLE, 0),	ONCE(SET_FEATURES, 0),
	RING(SET_VRING_NUM, 1, 0),  RING(SET_VRING_BASE, 1, 0), RING(SET_VRING_ADDR, 1, 0),
	RING(SET_VRING_KICK, 1, 0), RING(SET_VRING_CALL, 1, 0), RING(SET_VRING_ENABLE, 1, 0),
};
static const struct step libkrun_stop[] = {
	RING(SET_VRING_ENABLE, 1, OFF),
};

static const struct step dpdk_negotiate[] = {
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
};
static const struct step dpdk_start[] = {
	RING(SET_VRING_CALL, 1, 0), ONCE(SET_FEATURES, 0),	STATUS(0x0b, ACK),
	ONCE(SET_MEM_TABLE, ACK),   RING(SET_VRING_NUM, 2, 0),	RING(SET_VRING_BASE, 2, 0),
	RING(SET_VRING_ADDR, 2, 0), RING(SET_VRING_KICK, 2, 0), RING(SET_VRING_ENABLE, 3, 0),
	STATUS(0x0f, ACK),
};
static const struct step dpdk_stop[] = {
	RING(SET_VRING_ENABLE, 1, OFF),
	RING(GET_VRING_BASE, 2, 0),
};

static const struct step spdk_negotiate[] = {
	ONCE(GET_FEATURES, 0),		ONCE(SET_FEATURES, 0), ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0), ONCE(GET_CONFIG, 0),
};
static const struct step spdk_start[] = {
	RING(SET_VRING_ENABLE, 1, 0), ONCE(GET_QUEUE_NUM, ALWAYS), RING(SET_VRING_CALL, 2, 0),
	ONCE(SET_MEM_TABLE, 0),	      ONCE(GET_FEATURES, 0),	   RING(SET_VRING_NUM, 3, 0),
	RING(SET_VRING_BASE, 3, 0),   RING(SET_VRING_ADDR, 3, 0),  RING(SET_VRING_KICK, 3, 0),
};
static const struct step spdk_stop[] = {
	RING(GET_VRING_BASE, 1, 0),
	ONCE(SET_MEM_TABLE, 0),
	ONCE(GET_FEATURES, 0),
};

static const struct step libblkio_negotiate[] = {
	ONCE(SET_OWNER, 0),
	ONCE(GET_FEATURES, 0),
	ONCE(SET_FEATURES, 0),
	ONCE(GET_PROTOCOL_FEATURES, 0),
	ONCE(SET_PROTOCOL_FEATURES, 0),
	ONCE(GET_QUEUE_NUM, 0),
	ONCE(GET_MAX_MEM_SLOTS, 0),
	ONCE(GET_CONFIG, 0),
};
static const struct step libblkio_start[] = {
	ONCE(ADD_MEM_REG, 0),	      RING(SET_VRING_NUM, 1, 0),  RING(SET_VRING_BASE, 1, 0),
	RING(SET_VRING_ADDR, 1, 0),   RING(SET_VRING_KICK, 1, 0), RING(SET_VRING_CALL, 1, 0),
	RING(SET_VRING_ENABLE, 1, 0),
};

#define STEPS(style)                                                                               \
	.negotiate = style##_negotiate, .n_negotiate = ARRAY_SIZE(style##_negotiate),              \
	.start = style##_start, .n_start = ARRAY_SIZE(style##_start)
#define STOP(style) .stop = style##_stop, .n_stop = ARRAY_SIZE(style##_stop)

static const struct style styles[VHU_N_STYLES] = {
	[VHU_STYLE_UML] = {
		.name = "uml",
		.features = LINUX_GUEST,
		.protocol = P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) | P(INBAND_NOTIFICATIONS),
		.queue_size = 256, .call = VHU_CALL_SOCKET, .flat = true, .empty_control = true,
		.mem_table_len = 72, .log = UINT64_MAX, .config = CONFIG_FROM_ZERO,
		STEPS(uml), STOP(uml),
	},
	[VHU_STYLE_QEMU] = {
		.name = "qemu",
		.features = LINUX_GUEST,
		.protocol = P(MQ) | P(LOG_SHMFD) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) |
			    P(RESET_DEVICE) | P(CONFIGURE_MEM_SLOTS) | P(STATUS),
		.queue_size = 64, .base = BASE_KEPT, .config = CONFIG_WHOLE,
		STEPS(qemu), STOP(qemu),
	},
	[VHU_STYLE_CROSVM] = {
		.name = "crosvm",
		.features = LINUX_GUEST,
		.protocol = P(MQ) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) | P(DEVICE_STATE),
		.queue_size = 256, .base = BASE_KEPT, .config = CONFIG_EXACT, .config_flags = 1,
		STEPS(crosvm), STOP(crosvm),
	},
	[VHU_STYLE_CLOUD_HYPERVISOR] = {
		.name = "cloud-hypervisor",
		.features = BIT(VHOST_F_LOG_ALL_BIT) | F(INDIRECT_DESC) | F(EVENT_IDX) |
			    F(VERSION_1) | F(IN_ORDER) | F(ORDER_PLATFORM) | F(NOTIFICATION_DATA),
		.protocol = P(MQ) | P(LOG_SHMFD) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) |
			    P(INFLIGHT_SHMFD) | P(CONFIGURE_MEM_SLOTS) | P(DEVICE_STATE),
		.queue_size = 256, .ack_all = true, .base = BASE_AVAIL, .config = CONFIG_EXACT,
		STEPS(cloud_hypervisor), STOP(cloud_hypervisor),
	},
	[VHU_STYLE_LIBKRUN] = {
		.name = "libkrun",
		.features = LINUX_GUEST,
		.protocol = P(CONFIG) | P(MQ),
		.queue_size = 256, .config = CONFIG_EXACT,
		STEPS(libkrun), STOP(libkrun),
	},
	[VHU_STYLE_DPDK] = {
		.name = "dpdk",
		.features = LINUX_GUEST,
		.protocol = P(MQ) | P(REPLY_ACK) | P(STATUS),
		.queue_size = 256, .flat = true, .empty_control = true, .base = BASE_KEPT,
		STEPS(dpdk), STOP(dpdk),
	},
	[VHU_STYLE_SPDK] = {
		.name = "spdk",
		.features = LINUX_GUEST,
		.protocol = P(MQ) | P(CONFIG),
		.queue_size = 256, .flat = true, .config = CONFIG_256,
		STEPS(spdk), STOP(spdk),
	},
	[VHU_STYLE_LIBBLKIO] = {
		.name = "libblkio",
		.features = LINUX_GUEST,
		.protocol = P(MQ) | P(REPLY_ACK) | P(CONFIG) | P(CONFIGURE_MEM_SLOTS),
		.queue_size = 256, .flat = true, .ack_all = true, .config = CONFIG_WHOLE,
		STEPS(libblkio),
	},
};

/* clang-format on */

const char *vhu_style_name(enum vhu_frontend_style style)
{
	return styles[style].name;
}

bool vhu_style_find(const char *name, enum vhu_frontend_style *ret_style)
{
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		if (strcmp(styles[i].name, name) == 0) {
			*ret_style = (enum vhu_frontend_style)i;
			return true;
		}
	}
	return false;
}

unsigned int vhu_style_queue_size(enum vhu_frontend_style style)
{
	return styles[style].queue_size;
}

enum vhu_call_kind vhu_style_call_kind(enum vhu_frontend_style style)
{
	return styles[style].call;
}

bool vhu_style_flat(enum vhu_frontend_style style)
{
	return styles[style].flat;
}

uint64_t vhu_style_features(const struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	uint64_t want = styles[plan->style].features;

	if (plan->features)
		want = (want | WHEN_NAMED) & plan->features;
	want |= BIT(VHU_F_PROTOCOL_FEATURES_BIT);
	return want & fe->nego.offered_features;
}

static uint64_t protocol_wanted(const struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	uint64_t want = styles[plan->style].protocol;

	if (plan->protocol)
		want &= plan->protocol;
	return (want | plan->extra_protocol) & fe->nego.offered_protocol;
}

/* One step. The messages of a ring go for ring idx. */

static int get_number(struct vhu_frontend *fe, enum vhu_fe_id id)
{
	uint64_t value;

	return vhu_frontend_get_u64(fe, id, &value);
}

static int send_config(struct vhu_frontend *fe, const struct style *style)
{
	enum { MAX_NR_PORTS = 4, WIDTH = 4, SPACE = 12 };
	uint8_t bytes[256];

	switch (style->config) {
	case CONFIG_NONE:
		return 0;
	case CONFIG_EXACT:
		return vhu_frontend_get_config(fe, MAX_NR_PORTS, WIDTH, style->config_flags, bytes);
	case CONFIG_FROM_ZERO:
		return vhu_frontend_get_config(fe, 0, MAX_NR_PORTS + WIDTH, style->config_flags,
					       bytes);
	case CONFIG_WHOLE:
		return vhu_frontend_get_config(fe, 0, SPACE, style->config_flags, bytes);
	case CONFIG_256:
		return vhu_frontend_get_config(fe, 0, 256, style->config_flags, bytes);
	}
	return 0;
}

static int send_memory(struct vhu_frontend *fe, const struct style *style, enum vhu_fe_id id,
		       bool ack)
{
	int err = 0;

	if (id == VHU_FE_SET_MEM_TABLE)
		return vhu_frontend_set_mem_table(fe, style->mem_table_len, ack);
	/* Kept across resets of the guest: told once per connection. */
	for (unsigned int i = 0; i < fe->n_regions && err == 0; i++)
		if (!fe->regions[i].added)
			err = vhu_frontend_add_region(fe, i, ack);
	return err;
}

static uint32_t base_of(const struct style *style, const struct vhu_frontend_ring *r)
{
	if (style->base == BASE_KEPT || (style->base == BASE_AVAIL && r->q.packed))
		return r->base;
	return style->base == BASE_AVAIL ? vring_avail_idx(&r->q.ring) : driverq_first_base(&r->q);
}

static int send_kick(struct vhu_frontend *fe, const struct step *step, unsigned int idx, bool ack)
{
	int err = vhu_frontend_vring_fd(fe, step->id, idx, fe->rings[idx].kick_fd, ack);

	if (err == 0 && (step->flags & KICKED))
		err = vhu_frontend_kick(fe, idx);
	return err;
}

static int send_ring(struct vhu_frontend *fe, const struct style *style, const struct step *step,
		     unsigned int idx)
{
	struct vhu_frontend_ring *r = &fe->rings[idx];
	bool ack = step->flags & ACK;

	switch (step->id) {
	case VHU_FE_SET_VRING_NUM:
		return vhu_frontend_vring(fe, step->id, idx, r->size, ack);
	case VHU_FE_SET_VRING_BASE:
		return vhu_frontend_vring(fe, step->id, idx, base_of(style, r), ack);
	case VHU_FE_SET_VRING_ADDR:
		return vhu_frontend_vring_addr(fe, idx, 0, style->log, ack);
	case VHU_FE_SET_VRING_ENABLE:
		return vhu_frontend_vring(fe, step->id, idx, !(step->flags & OFF), ack);
	case VHU_FE_SET_VRING_KICK:
		return send_kick(fe, step, idx, ack);
	case VHU_FE_SET_VRING_CALL:
		return vhu_frontend_vring_fd(fe, step->id, idx, r->call_peer, ack);
	case VHU_FE_SET_VRING_ERR:
		return vhu_frontend_vring_fd(fe, step->id, idx, r->err_fd, ack);
	case VHU_FE_GET_VRING_BASE:
		return vhu_frontend_vring_base(fe, idx, &r->base);
	default:
		return vhu_frontend_fail(fe, -EINVAL, "a message about a ring");
	}
}

static int send_once(struct vhu_frontend *fe, const struct style *style, const struct step *step,
		     const struct vhu_frontend_plan *plan)
{
	bool ack = step->flags & ACK;

	switch (step->id) {
	case VHU_FE_SET_FEATURES:
		return vhu_frontend_set_u64(fe, step->id, vhu_style_features(fe, plan), ack);
	case VHU_FE_SET_PROTOCOL_FEATURES:
		return vhu_frontend_set_u64(fe, step->id, protocol_wanted(fe, plan), ack);
	case VHU_FE_SET_STATUS:
		return vhu_frontend_set_u64(fe, step->id, step->value, ack);
	case VHU_FE_SET_BACKEND_REQ_FD:
		return vhu_frontend_open_channel(fe, ack);
	case VHU_FE_SET_OWNER:
		return vhu_frontend_simple(fe, step->id, ack);
	case VHU_FE_GET_CONFIG:
		return send_config(fe, style);
	case VHU_FE_ADD_MEM_REG:
	case VHU_FE_SET_MEM_TABLE:
		return send_memory(fe, style, step->id, ack);
	default:
		return get_number(fe, step->id);
	}
}

/* Whether the step is left out. */
static bool left_out(const struct vhu_frontend *fe, const struct step *step)
{
	const struct vhu_desc *desc = vhu_desc_find(VHU_FE, step->id);
	bool slots = vhu_frontend_has_protocol(fe, VHU_PF_CONFIGURE_MEM_SLOTS_BIT);
	bool inband = vhu_frontend_has_protocol(fe, VHU_PF_INBAND_NOTIFICATIONS_BIT);

	if (desc->gate.kind == VHU_GATE_PROTOCOL || desc->gate.kind == VHU_GATE_LAX)
		if (!vhu_frontend_has_protocol(fe, desc->gate.bit) && !(step->flags & ALWAYS))
			return true;
	if (desc->gate.kind == VHU_GATE_ACKED &&
	    !vhu_nego_has_feature(&fe->nego, VHU_F_PROTOCOL_FEATURES_BIT))
		return true;
	return ((step->flags & SLOTS) && !slots) || ((step->flags & NO_SLOTS) && slots) ||
	       ((step->flags & NO_INBAND) && inband);
}

/* The steps of one group, ring by ring. */
static int run_group(struct vhu_frontend *fe, const struct style *style, const struct step *steps,
		     size_t n_steps, unsigned int n_set_up)
{
	int err = 0;

	for (unsigned int i = 0; i < fe->n_rings && err == 0; i++) {
		for (size_t s = 0; s < n_steps && err == 0; s++) {
			unsigned int n = steps[s].flags & ALL ? fe->n_rings : n_set_up;
			unsigned int idx = steps[s].flags & BACK ? n - 1 - i : i;

			if (i < n && !left_out(fe, &steps[s]))
				err = send_ring(fe, style, &steps[s], idx);
		}
	}
	return err;
}

static int run(struct vhu_frontend *fe, const struct style *style, const struct step *steps,
	       size_t n_steps, const struct vhu_frontend_plan *plan)
{
	size_t n = 1;
	int err = 0;

	for (size_t s = 0; s < n_steps && err == 0; s += n) {
		n = 1;
		if (steps[s].group == 0) {
			if (!left_out(fe, &steps[s]))
				err = send_once(fe, style, &steps[s], plan);
			continue;
		}
		while (s + n < n_steps && steps[s + n].group == steps[s].group)
			n++;
		err = run_group(fe, style, &steps[s], n, plan->n_set_up);
	}
	return err;
}

int vhu_style_negotiate(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	const struct style *style = &styles[plan->style];

	fe->ack_all = style->ack_all;
	fe->empty_control = style->empty_control;
	return run(fe, style, style->negotiate, style->n_negotiate, plan);
}

int vhu_style_start(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	const struct style *style = &styles[plan->style];

	return run(fe, style, style->start, style->n_start, plan);
}

int vhu_style_stop(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	const struct style *style = &styles[plan->style];

	return run(fe, style, style->stop, style->n_stop, plan);
}

int vhu_style_begin(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan)
{
	unsigned int n_rings = plan->n_rings > plan->n_set_up ? plan->n_rings : plan->n_set_up;
	int err = 0;

	/* Descriptors are handed over before features are known, rings and memory after that. */
	if (fe->n_rings == 0)
		err = vhu_frontend_make_rings(fe, n_rings, styles[plan->style].call);
	return err == 0 ? vhu_style_negotiate(fe, plan) : err;
}

int vhu_style_boot(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan, unsigned int size)
{
	enum { DATA_BYTES = 0x200000, RING_DATA_BYTES = 0x10000 };
	const struct style *style = &styles[plan->style];
	uint64_t per_ring;
	int err = 0;

	if (size == 0)
		size = style->queue_size;
	/* Room for what a driver posts, of which most is never touched. */
	per_ring = driverq_bytes(size) + RING_DATA_BYTES;
	if (fe->n_regions == 0)
		err = vhu_frontend_make_plain_memory(fe, DATA_BYTES + plan->n_set_up * per_ring,
						     style->flat);
	for (unsigned int i = 0; i < plan->n_set_up && err == 0; i++)
		err = vhu_frontend_make_ring(fe, i, size, vhu_style_features(fe, plan));
	return err == 0 ? vhu_style_start(fe, plan) : err;
}

int vhu_style_setup(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan,
		    unsigned int size)
{
	int err = vhu_style_begin(fe, plan);

	return err == 0 ? vhu_style_boot(fe, plan, size) : err;
}

bool vhu_style_inband(enum vhu_frontend_style style)
{
	return styles[style].protocol & P(INBAND_NOTIFICATIONS);
}
