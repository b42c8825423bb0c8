/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "front.h"
#include "vhu/frontend-migrate.h"
#include "virtio/features.h"

enum ending { RESET, RECONNECT, ABORT, N_ENDINGS };

/* What the daemon is given, by the messages that go out. */

static bool *flag_of(enum vhu_fe_id id, unsigned int ring)
{
	if (ring >= FRONT_RINGS)
		return NULL;
	switch (id) {
	case VHU_FE_SET_VRING_KICK:
		return &front.given.kick[ring];
	case VHU_FE_SET_VRING_CALL:
		return &front.given.call[ring];
	case VHU_FE_SET_VRING_ERR:
		return &front.given.err[ring];
	default:
		return NULL;
	}
}

static void hear_ring(enum vhu_fe_id id, const uint8_t *payload, bool fd)
{
	uint64_t value;
	bool *flag;

	memcpy(&value, payload, sizeof(value));
	flag = flag_of(id, (unsigned int)(value & 0xff));
	if (flag)
		*flag = fd;
}

static void hear(void *arg, bool channel, const void *bytes, size_t len, const int *fds,
		 size_t n_fds)
{
	const uint8_t *at = bytes;
	uint32_t id;

	(void)arg;
	(void)fds;
	if (channel || len < VHU_HDR_LEN)
		return;
	memcpy(&id, at, sizeof(id));
	if (id == VHU_FE_SET_BACKEND_REQ_FD)
		front.given.n_channels = 1;
	else if (id == VHU_FE_SET_MEM_TABLE)
		front.given.n_regions = (unsigned int)n_fds;
	else if (id == VHU_FE_ADD_MEM_REG)
		front.given.n_regions++;
	else if (id == VHU_FE_REM_MEM_REG)
		front.given.n_regions--;
	else if (len >= VHU_HDR_LEN + sizeof(uint64_t))
		hear_ring((enum vhu_fe_id)id, at + VHU_HDR_LEN, n_fds > 0);
}

static void tell_what_is_given(void)
{
	const struct front_given *given = &front.given;
	unsigned int n_events = 0, n_calls = 0;

	for (unsigned int i = 0; i < FRONT_RINGS; i++) {
		n_events += given->kick[i] + given->err[i];
		n_calls += given->call[i];
	}
	front.g->n_eventfds = n_events + (given->call_is_socket ? 0 : n_calls);
	front.g->n_sockets = 1 + given->n_channels + (given->call_is_socket ? n_calls : 0);
	front.g->n_mappings = given->n_regions;
}

/* How the next one is. */

static bool chance(unsigned int percent)
{
	return run_random() % 100 < percent;
}

static uint64_t choose_features(void)
{
	return BIT(VIRTIO_F_VERSION_1_BIT) | BIT(0) | BIT(1) |
	       (chance(70) ? BIT(VIRTIO_F_EVENT_IDX_BIT) : 0) |
	       (chance(50) ? BIT(VIRTIO_F_INDIRECT_DESC_BIT) : 0) |
	       (chance(40) ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0) |
	       (chance(30) ? BIT(VIRTIO_F_IN_ORDER_BIT) : 0);
}

/* All that let a guest have more than one port. */
static void choose_plan(void)
{
	static const enum vhu_frontend_style styles[] = {
		VHU_STYLE_UML,	VHU_STYLE_QEMU, VHU_STYLE_CROSVM,   VHU_STYLE_LIBKRUN,
		VHU_STYLE_DPDK, VHU_STYLE_SPDK, VHU_STYLE_LIBBLKIO,
	};

	front.plan = (struct vhu_frontend_plan){
		.style = styles[run_random() % ARRAY_SIZE(styles)],
		.features = choose_features(),
		.n_set_up = FRONT_RINGS,
	};
}

static struct vhu_frontend *other_fe(void)
{
	return &front.fes[1 - front.now];
}

static void make_fe(struct vhu_frontend *fe)
{
	vhu_frontend_init(fe, -1);
	fe->timeout_ms = FRONT_WAIT_MS;
	fe->ear = &front.ear;
}

static void connect_fe(struct vhu_frontend *fe)
{
	char path[128];

	ports_path(front.g->id, "vm", path);
	front.given = (struct front_given){
		.call_is_socket = vhu_style_call_kind(front.plan.style) == VHU_CALL_SOCKET,
	};
	must(fe, vhu_frontend_connect(fe, path), "connecting");
	must(fe, vhu_style_begin(fe, &front.plan), "negotiating");
}

/* The driver starts, on memory and rings of its own. */
static void boot(void)
{
	struct vhu_frontend *fe = front_fe();
	unsigned int size = 64u << run_random() % 3;

	must(fe, vhu_style_boot(fe, &front.plan, size), "setting up");
	must(fe, vhu_frontend_ping(fe), "a barrier");
	tell_what_is_given();
	must(fe, guest_init(&front.guest, fe, front.plan.features), "the driver");
	front.guest.caller_posts = true;
	must(fe, guest_start(&front.guest, FRONT_WAIT_MS), "the driver's start");
	front_ports_begin();
	front.g->n_boots++;
	front.g->n_packed += front_fe()->rings[0].q.packed != NULL;
}

void front_boot_first(void)
{
	front.ear = (struct vhu_frontend_ear){ .sent = hear };
	choose_plan();
	make_fe(front_fe());
	connect_fe(front_fe());
	boot();
}

/* The machine stays, and its back-end is told so: memory and rings are others. */
static void reset(void)
{
	struct vhu_frontend *was = front_fe(), *is = other_fe();

	must(was, vhu_style_stop(was, &front.plan), "stopping");
	if (vhu_frontend_has_protocol(was, VHU_PF_RESET_DEVICE_BIT) && chance(50))
		must(was, vhu_frontend_simple(was, VHU_FE_RESET_DEVICE, true), "resetting");
	if (vhu_frontend_has_protocol(was, VHU_PF_CONFIGURE_MEM_SLOTS_BIT))
		must(was, vhu_frontend_remove_region(was, 0, false, true), "taking memory away");
	must(was, vhu_frontend_ping(was), "a barrier");
	front_ports_drain();
	vhu_frontend_swap_connection(is, was);
	front.plan.features = choose_features();
	must(is, vhu_frontend_make_rings(is, FRONT_RINGS, vhu_style_call_kind(front.plan.style)),
	     "rings");
	must(is,
	     vhu_frontend_set_u64(is, VHU_FE_SET_FEATURES, vhu_style_features(is, &front.plan),
				  false),
	     "features");
}

/* A part of a message, with a descriptor or without. */
static void send_half(struct vhu_frontend *fe)
{
	const uint32_t bytes[] = { VHU_FE_SET_VRING_KICK, 1, 8, 0, 0 };
	size_t len = 1 + run_random() % (sizeof(bytes) - 1);

	must(fe,
	     vhu_frontend_send_raw(fe, bytes, len, &fe->rings[0].kick_fd,
				   fe->rings[0].kick_fd >= 0 && chance(50)),
	     "half a message");
}

/* What the last one had is final once the next one is served. */
static void reconnect(bool amid)
{
	struct vhu_frontend *was = front_fe(), *is = other_fe();

	if (amid)
		send_half(was);
	vhu_frontend_disconnect(was);
	choose_plan();
	connect_fe(is);
	front_ports_drain();
}

void front_reboot(void)
{
	enum ending ending = run_random() % 2 ? RESET : RECONNECT + run_random() % 2;

	make_fe(other_fe());
	if (ending == RESET)
		reset();
	else
		reconnect(ending == ABORT);
	front.g->n_resets += ending == RESET;
	front.g->n_reconnects += ending == RECONNECT;
	front.g->n_aborts += ending == ABORT;
	guest_fini(&front.guest);
	vhu_frontend_fini(front_fe());
	front.now = 1 - front.now;
	boot();
}
