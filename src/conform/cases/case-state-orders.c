/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring's six messages in all 720 orders, each on a session of its own where
 * the back-end serves one after the other.
 */
#include <errno.h>

#include "clock.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

enum {
	STEPS = 6,
	ORDERS = 720,
	STRIDE = 397,	 /* no divisor of ORDERS: the first few are spread over all */
	FEW_ORDERS = 48, /* at least so many are tried, however slow it is */
	BUDGET_MS = 3000,
	FEW_IDLE = 3,
	GLANCE_MS = 5,
};

enum step { STEP_NUM, STEP_BASE, STEP_ADDR, STEP_CALL, STEP_KICK, STEP_ENABLE };

static const char step_letters[] = "NBACKE";

struct order {
	enum step steps[STEPS];
	unsigned int place[STEPS]; /* of each step */
	char text[STEPS + 1];
};

/* The order of number n, of ORDERS. */
static void make_order(unsigned int n, struct order *ret_order)
{
	enum step left[STEPS] = {
		STEP_NUM, STEP_BASE, STEP_ADDR, STEP_CALL, STEP_KICK, STEP_ENABLE
	};

	for (unsigned int i = 0; i < STEPS; i++) {
		unsigned int n_left = STEPS - i, pick = n % n_left;

		n /= n_left;
		ret_order->steps[i] = left[pick];
		ret_order->place[left[pick]] = i;
		ret_order->text[i] = step_letters[left[pick]];
		left[pick] = left[n_left - 1];
	}
	ret_order->text[STEPS] = '\0';
}

/* Whether the ring has all that it needs when the kick descriptor comes. */
static bool is_proper(const struct order *o)
{
	return o->place[STEP_KICK] > o->place[STEP_NUM] &&
	       o->place[STEP_KICK] > o->place[STEP_ADDR] &&
	       o->place[STEP_KICK] > o->place[STEP_BASE];
}

/*
 * Whether the kick descriptor comes early and the base does not come last: the
 * ring runs as soon as it has everything, unless the descriptor was refused. A
 * base for a ring that runs may begin a new set-up.
 */
static bool is_early(const struct order *o)
{
	unsigned int base = o->place[STEP_BASE];

	return !is_proper(o) && (base < o->place[STEP_NUM] || base < o->place[STEP_ADDR] ||
				 base < o->place[STEP_KICK]);
}

static void step_msg(const struct trial *t, enum step step, struct vhu_msg *msg)
{
	static const enum vhu_fe_id ids[] = {
		[STEP_NUM] = VHU_FE_SET_VRING_NUM,   [STEP_BASE] = VHU_FE_SET_VRING_BASE,
		[STEP_ADDR] = VHU_FE_SET_VRING_ADDR, [STEP_CALL] = VHU_FE_SET_VRING_CALL,
		[STEP_KICK] = VHU_FE_SET_VRING_KICK, [STEP_ENABLE] = VHU_FE_SET_VRING_ENABLE,
	};
	unsigned int ring = trial_ring(t);
	const struct vhu_frontend_ring *r = &t->fe.rings[ring];
	struct vhu_vring_addr addr = { .index = ring };

	if (step == STEP_CALL || step == STEP_KICK) {
		trial_msg_u64(t, msg, ids[step], ring);
		msg->fds.fd[msg->fds.n_fds++] = step == STEP_CALL ? r->call_peer : r->kick_fd;
	} else if (step == STEP_ADDR) {
		trial_msg(t, msg, ids[step]);
		addr.desc = vhu_frontend_user_addr(&t->fe, r->q.desc_addr);
		addr.avail = vhu_frontend_user_addr(&t->fe, r->q.avail_addr);
		addr.used = vhu_frontend_user_addr(&t->fe, r->q.used_addr);
		vhu_msg_put(msg, &addr, sizeof(addr));
	} else {
		trial_msg_vring(t, msg, ids[step], ring,
				step == STEP_NUM      ? r->size
				: step == STEP_ENABLE ? 1
						      : 0);
	}
	if (vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT))
		msg->flags |= VHU_FLAG_NEED_REPLY;
}

/* Sends the six. *ret_refused: one of an improper order was not taken. */
static int send_order(struct trial *t, const struct order *o, bool *ret_refused)
{
	*ret_refused = false;
	for (unsigned int i = 0; i < STEPS; i++) {
		struct vhu_msg msg;
		bool accepted;
		int err;

		step_msg(t, o->steps[i], &msg);
		if (is_proper(o)) {
			err = trial_request(t, &msg, NULL);
		} else {
			err = trial_survives(t, &msg, &accepted, "order %s: %s", o->text,
					     vhu_msg_name(VHU_FE, msg.id));
			if (t->closed || ((msg.flags & VHU_FLAG_NEED_REPLY) && !accepted))
				*ret_refused = true;
		}
		if (err < 0 || t->closed)
			return err;
	}
	return 0;
}

/* Requests after the six: the ring runs, or it was in an improper order and all else is well. */
static int judge_order(struct trial *t, const struct order *o, bool refused, unsigned int *n_idle)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	uint16_t used = t->fe.rings[ring].q.last_used;
	int err;

	if (t->closed)
		return 0;
	err = trial_offer(t, NULL, &request);
	setup_publish_unkicked(t);
	if (err == 0)
		err = trial_kick(t, ring);
	if (err < 0)
		return err;
	if (is_proper(o)) {
		if (setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
			return trial_answered(t, &request);
		return trial_fail(t,
				  "the order %s (num, base, addr, call, kick, enable by their "
				  "letters): expected the ring to run, but it does not",
				  o->text);
	}
	/* Once it is clear that there are such orders the others are only glanced at. */
	if (is_early(o) && !refused &&
	    !setup_used_moves(t, ring, used,
			      trial_ms(t, *n_idle < FEW_IDLE ? TRIAL_QUIET_MS : GLANCE_MS)))
		(*n_idle)++;
	return trial_goes_on(t, "a kick descriptor that came early");
}

/* A session in which everything but the request ring is ready. */
static int begin_session(struct trial *t, bool first)
{
	static const struct trial_plan plan = { .no_prepare = true };
	int err;

	if (first)
		return setup_all_but_ring(t, &plan);
	err = trial_reconnect(t);
	if (err == 0)
		err = trial_handshake(t);
	if (err == 0)
		err = trial_send_memory(t);
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++) {
		vhu_frontend_take_calls(&t->fe, i);
		vhu_frontend_reset_ring(&t->fe, i);
		if (i != trial_ring(t))
			err = trial_start_ring(t, i, NULL);
	}
	return err < 0 ? err : trial_driver_ready(t, &plan);
}

/* The same session, its ring stopped and disabled: for back-ends that serve one session only. */
static int go_back(struct trial *t)
{
	unsigned int ring = trial_ring(t);
	uint16_t base;
	int err = setup_enable(t, ring, false);

	if (err == 0)
		err = trial_stop_ring(t, ring, &base);
	vhu_frontend_take_calls(&t->fe, ring);
	vhu_frontend_reset_ring(&t->fe, ring);
	return err;
}

int case_state_orders(struct trial *t)
{
	bool sessions = t->target->info.persistent;
	int64_t end = monotonic_ms() + trial_ms(t, BUDGET_MS);
	unsigned int n = 0, n_idle = 0;
	int err = begin_session(t, true);

	for (; n < ORDERS && err == 0 && (n < FEW_ORDERS || monotonic_ms() < end); n++) {
		struct order order;
		bool refused;

		make_order(n * STRIDE % ORDERS, &order);
		if (!sessions && !is_proper(&order))
			continue;
		if (n > 0)
			err = sessions ? begin_session(t, false) : go_back(t);
		if (err == 0)
			err = send_order(t, &order, &refused);
		if (err == 0)
			err = judge_order(t, &order, refused, &n_idle);
	}
	if (err == 0 && n < ORDERS)
		trial_remark(t, "there was time for %u of 720 orders", n);
	if (err == 0 && n_idle > 0)
		err = trial_warn(
			t,
			"%u orders in which the kick descriptor comes before size, base or "
			"addresses: expected it to be refused, or the ring to run once it "
			"has them, but it does not run",
			n_idle);
	return err;
}
