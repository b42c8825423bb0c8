/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An operation that cannot be ended: the message that waits for it is never
 * answered, and what the operation may still touch stays where it is until it is
 * over. Such an operation is made here by naming one to the ring's scope that the
 * kernel knows nothing of, so that no cancel request finds it.
 */
#include "quiesce_canary.h"
#include "quiesce_holds.h"

#include "vhu/codec.h"

static struct op stuck;
static unsigned int n_stuck_done;

static void stuck_done(struct op *op, int res)
{
	(void)op;
	(void)res;
	n_stuck_done++;
}

static void begin_stuck(unsigned int idx)
{
	struct scope *scope = &rig->b->vqs[idx].scope;

	op_init(&stuck, scope, stuck_done);
	stuck.state = OP_ARMED;
	list_append(&scope->armed, &stuck.link);
	n_stuck_done = 0;
}

/* As the loop does when a completion comes. */
static void end_stuck(void)
{
	struct scope *scope = stuck.scope;

	stuck.state = OP_IDLE;
	list_remove(&stuck.link);
	if (scope->on_idle && scope_idle(scope))
		loop_defer(rig->loop, &scope->idle_task);
	stuck.done(&stuck, -ECANCELED);
}

static void send_unanswered(enum vhu_fe_id id)
{
	struct vhu_vring_state state = { .index = Q_TX };
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, id);
	if (id == VHU_FE_GET_VRING_BASE)
		vhu_msg_put(&msg, &state, sizeof(state));
	else
		msg.flags |= VHU_FLAG_NEED_REPLY;
	q_ok(vhu_frontend_send(&rig->fe, &msg));
}

static void begin(void)
{
	q_begin_host(false);
	q_begin_session(q_protocol, q_features);
	q_finish(Q_SLOT_LEN);
	flow_show(&flow_tx, 3);
	flow_show(&flow_rx, 3);
	begin_stuck(Q_TX);
}

/* The rings are silent, the memory is there, and stays as it is; then all goes. */
static void expect_waits_for_operation(void)
{
	struct span before[SPANS_MAX];
	unsigned int n_before = q_find_mappings(before);

	q_check(rig->b != NULL);
	q_check(n_before == Q_N_REGIONS);
	canary_fill(CANARY_ALL);
	let_go();
	rig_settle(rig);
	q_check(rig->b != NULL && rig->n_ended == 0);
	q_check(q_find_mappings(before) == n_before);
	end_stuck();
	rig_await_end(rig);
	canary_fill_freed(before, n_before);
	q_check(canary_n_gone == n_before);
	let_go();
	canary_check();
	q_check(n_stuck_done == 1 && rig->n_ended == 1);
}

static void expect_next_session(void)
{
	rig_disconnect(rig);
	q_end_guest();
	q_begin_session(q_protocol, q_features);
	q_finish(Q_SLOT_LEN);
	rig_disconnect(rig);
	q_end_guest();
	q_end_host();
}

static void operation_that_does_not_end_costs_the_session_without_an_answer(void **state)
{
	(void)state;
	begin();
	send_unanswered(VHU_FE_GET_VRING_BASE);
	q_ok(vhu_frontend_await_close(&rig->fe, RIG_TIMEOUT_MS));
	expect_waits_for_operation();
	expect_next_session();
}

static void session_that_ends_in_the_silence_waits_for_the_operation(void **state)
{
	(void)state;
	begin();
	send_unanswered(VHU_FE_RESET_DEVICE);
	q_until(rig->b->n_busy > 0);
	vhu_backend_close(rig->b, LOG_LEVEL_INFO, NULL);
	expect_waits_for_operation();
	expect_next_session();
}

static void expect_answer(void)
{
	struct vhu_vring_state answer = { 0 };
	struct vhu_msg reply;

	q_ok(vhu_frontend_receive(&rig->fe, &reply, RIG_TIMEOUT_MS));
	q_check(reply.id == VHU_FE_GET_VRING_BASE && reply.size == sizeof(answer));
	vhu_msg_get(&reply, &answer, sizeof(answer));
	flow_collect(&flow_tx);
	q_check(answer.num == driverq_base(&rig->fe.rings[Q_TX].q));
	expect_next_session();
}

/* The deadline is for what does not end: one that ends late is waited for. */
static void operation_that_ends_late_is_waited_for_and_the_message_answered(void **state)
{
	(void)state;
	begin();
	send_unanswered(VHU_FE_GET_VRING_BASE);
	q_until(rig->b->n_busy > 0);
	canary_fill(1u << 2); /* of Q_TX */
	let_go();
	canary_check();
	q_check(rig->b->n_busy == 1);
	end_stuck();
	expect_answer();
}

/* A process that had no time finds the end and the deadline together: it ended in time. */
static void operation_whose_end_is_found_with_the_deadline_is_waited_for(void **state)
{
	(void)state;
	begin();
	send_unanswered(VHU_FE_GET_VRING_BASE);
	q_until(rig->b->n_busy > 0 && rig->b->overdue);
	end_stuck();
	expect_answer();
}
static const struct CMUnitTest tests[] = {
	Q_TEST(operation_that_does_not_end_costs_the_session_without_an_answer),
	Q_TEST(session_that_ends_in_the_silence_waits_for_the_operation),
	Q_TEST(operation_that_ends_late_is_waited_for_and_the_message_answered),
	Q_TEST(operation_whose_end_is_found_with_the_deadline_is_waited_for),
};
UNIT_MAIN(tests)
