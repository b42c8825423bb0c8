/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Steps of the front-end. */
#include <sys/eventfd.h>

#include "fd.h"
#include "model.h"

enum { STATUS_OK = 0x0f };

static unsigned int pick_ring(const struct model *m, struct rng *r)
{
	return rng_below(r, m->n_set_up);
}

bool step_ring_stop(struct model *m, struct rng *r)
{
	unsigned int ring;

	if (!m->b || !m->booted)
		return false;
	ring = pick_ring(m, r);
	if (!m->rings[ring].started)
		return false;
	session_stop_ring(m, ring);
	return true;
}

static void resume_ring(struct model *m, unsigned int ring, struct rng *r)
{
	if (model_is_ctrl(ring))
		model_settle(m); /* nothing moves on while it is asked where rings stand */
	if (model_is_ctrl(ring) && session_is_ambiguous(m))
		session_reboot(m, r);
	else
		session_start_ring(m, ring, r);
}

/* The first from a random one on that is stopped, or disabled. */
bool step_ring_start(struct model *m, struct rng *r)
{
	unsigned int first;

	if (!m->b || !m->booted)
		return false;
	first = pick_ring(m, r);
	for (unsigned int i = 0; i < m->n_set_up; i++) {
		unsigned int ring = (first + i) % m->n_set_up;

		if (!m->rings[ring].started)
			resume_ring(m, ring, r);
		else if (!m->rings[ring].enabled)
			session_enable_ring(m, ring, true);
		else
			continue;
		return true;
	}
	return false;
}

bool step_enable(struct model *m, struct rng *r)
{
	unsigned int ring;

	if (!m->b || !m->booted)
		return false;
	ring = pick_ring(m, r);
	model_say(m, "ring %u: %s", ring, m->rings[ring].enabled ? "disabled" : "enabled");
	session_enable_ring(m, ring, !m->rings[ring].enabled);
	return true;
}

/* A ring that runs with descriptors; false: there is none. */
static bool pick_fd_ring(const struct model *m, struct rng *r, unsigned int *ret_ring)
{
	if (!m->b || !m->booted || session_has(m, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return false;
	*ret_ring = pick_ring(m, r);
	return m->rings[*ret_ring].started;
}

bool step_new_kick(struct model *m, struct rng *r)
{
	unsigned int ring;
	int fd;

	if (!pick_fd_ring(m, r, &ring))
		return false;
	model_say(m, "ring %u: another kick descriptor", ring);
	fd = eventfd(0, EFD_CLOEXEC);
	session_must(m, vhu_frontend_vring_fd(&m->fe, VHU_FE_SET_VRING_KICK, ring, fd,
					      rng_one_in(r, 2)));
	fd_close(m->fe.rings[ring].kick_fd);
	m->fe.rings[ring].kick_fd = fd;
	return true;
}

bool step_new_call(struct model *m, struct rng *r)
{
	struct vhu_frontend_ring *fr;
	unsigned int ring;
	int fd;

	if (!pick_fd_ring(m, r, &ring))
		return false;
	model_say(m, "ring %u: another call descriptor", ring);
	fr = &m->fe.rings[ring];
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session_must(m, vhu_frontend_vring_fd(&m->fe, VHU_FE_SET_VRING_CALL, ring, fd,
					      rng_one_in(r, 2)));
	fd_close(fr->call_fd);
	fr->call_fd = fr->call_peer = fd;
	return true;
}

bool step_new_channel(struct model *m, struct rng *r)
{
	if (!m->b || !session_has(m, VHU_PF_BACKEND_REQ_BIT))
		return false;
	session_must(m, vhu_frontend_open_channel(&m->fe, rng_one_in(r, 2)));
	return true;
}

bool step_memory_move(struct model *m, struct rng *r)
{
	return memory_move(m, r);
}

bool step_memory_replug(struct model *m, struct rng *r)
{
	return memory_replug(m, r);
}

static void start_all(struct model *m, struct rng *r)
{
	unsigned int first = pick_ring(m, r);

	if (session_is_ambiguous(m)) {
		session_reboot(m, r);
		return;
	}
	for (unsigned int i = 0; i < m->n_set_up; i++)
		if (!m->rings[(first + i) % m->n_set_up].started)
			session_start_ring(m, (first + i) % m->n_set_up, r);
}

static void stop_all(struct model *m)
{
	for (unsigned int i = 0; i < m->n_set_up; i++)
		if (m->rings[i].started)
			session_stop_ring(m, i);
}

/* A move that fails when all is saved: the device goes on with what it has. */
bool step_save(struct model *m, struct rng *r)
{
	struct vhu_frontend_state state = { .bytes = NULL };

	if (!m->b || !m->booted || !session_has(m, VHU_PF_DEVICE_STATE_BIT))
		return false;
	stop_all(m);
	/* A session that ends with its state saved has moved elsewhere. */
	if (session_is_ambiguous(m)) {
		session_reboot(m, r);
		return false;
	}
	session_must(m,
		     vhu_frontend_save_state(
			     &m->fe, rng_one_in(r, 2) ? VHU_STATE_PIPE : VHU_STATE_SOCKET, &state));
	model_say(m, "state of %zu bytes is saved", state.len);
	vhu_frontend_state_fini(&state);
	start_all(m, r);
	/* Clients are left out until a ring has started. */
	session_must(m, vhu_frontend_ping(&m->fe));
	return true;
}

bool step_features(struct model *m, struct rng *r)
{
	(void)r;
	if (!m->b || !m->booted)
		return false;
	m->features ^= BIT(CONSOLE_F_SIZE_BIT);
	model_say(m, "sizes are %s", m->features & BIT(CONSOLE_F_SIZE_BIT) ? "told" : "not told");
	session_set_features(m);
	return true;
}

bool step_pause(struct model *m, struct rng *r)
{
	if (!m->b || !m->booted)
		return false;
	if (rng_one_in(r, 2) || !session_stop_by_status(m))
		stop_all(m);
	session_pump(m, rng_below(r, 4));
	start_all(m, r);
	if (session_has(m, VHU_PF_STATUS_BIT) && rng_one_in(r, 2))
		session_must(m, vhu_frontend_set_u64(&m->fe, VHU_FE_SET_STATUS, STATUS_OK, false));
	return true;
}

/* The driver notices nothing of it. */
bool step_reconnect(struct model *m, struct rng *r)
{
	if (!m->booted)
		return false;
	if (m->b && rng_one_in(r, 3))
		stop_all(m);
	if (m->b)
		session_disconnect(m);
	if (rng_one_in(r, 3))
		return true; /* and comes back later */
	session_connect(m, r);
	start_all(m, r);
	return true;
}

bool step_reboot(struct model *m, struct rng *r)
{
	if (m->b && rng_one_in(r, 3))
		session_disconnect(m);
	session_reboot(m, r);
	return true;
}
