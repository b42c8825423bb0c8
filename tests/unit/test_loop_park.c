/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A loop that holds still: nothing is in the kernel's hands, and nothing is lost. */
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"

#define PATIENCE UINT64_C(5000000000)

struct rig {
	struct loop *loop;
	struct scope scope;
	struct op op;
	struct timer timer;
	struct task task;
	int ends[2];
	char buf[16];
	int res;
	unsigned int n_done, n_ran;
	bool idle;
};

static void done(struct op *op, int res)
{
	struct rig *r = container_of(op, struct rig, op);

	r->res = res;
	r->n_done++;
}

static void timer_done(struct op *op, int res)
{
	struct rig *r = container_of(op, struct rig, timer.op);

	r->res = res;
	r->n_done++;
}

static void ran(struct task *task)
{
	container_of(task, struct rig, task)->n_ran++;
}

static void idle(struct scope *scope)
{
	container_of(scope, struct rig, scope)->idle = true;
}

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	const char *why;

	unit_setup(state);
	assert_non_null(r);
	loop_choose_engine(UNIT_ENGINE);
	assert_int_equal(loop_new(16, &r->loop, &why), 0);
	scope_init(&r->scope, r->loop);
	op_init(&r->op, &r->scope, done);
	timer_init(&r->timer, &r->scope, timer_done);
	task_init(&r->task, ran);
	assert_int_equal(pipe(r->ends), 0);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	loop_free(r->loop);
	fd_close(r->ends[0]);
	fd_close(r->ends[1]);
	free(r);
	return unit_teardown(state);
}

static void arm_read(struct rig *r)
{
	op_read(&r->op, r->ends[0], r->buf, sizeof(r->buf));
}

static void steps_until_done(struct rig *r, unsigned int n)
{
	while (r->n_done < n)
		assert_int_equal(loop_step(r->loop, true), 0);
}

static void read_when_parked_stays_armed_and_takes_nothing(void **state)
{
	struct rig *r = *state;
	char byte;

	arm_read(r);
	loop_step(r->loop, false);
	assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	assert_true(loop_is_at_rest(r->loop));
	assert_true(op_armed(&r->op));
	assert_int_equal(r->n_done, 0);
	/* What comes now is for whoever reads it first. */
	assert_int_equal(write(r->ends[1], "ab", 2), 2);
	assert_int_equal(read(r->ends[0], &byte, 1), 1);
	assert_int_equal(r->n_done, 0);
	loop_unpark(r->loop);
	steps_until_done(r, 1);
	assert_int_equal(r->res, 1);
	assert_int_equal(r->buf[0], 'b');
}

static void read_when_it_has_come_before_is_done_while_parking(void **state)
{
	struct rig *r = *state;

	arm_read(r);
	loop_step(r->loop, false);
	assert_int_equal(write(r->ends[1], "x", 1), 1);
	assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	if (r->n_done == 0) { /* taken back before it was done */
		loop_unpark(r->loop);
		steps_until_done(r, 1);
		assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	}
	assert_int_equal(r->res, 1);
	assert_false(op_armed(&r->op));
	loop_unpark(r->loop);
}

static void operation_when_armed_on_a_parked_loop_begins_with_its_end(void **state)
{
	struct rig *r = *state;

	loop_begin_parked(r->loop);
	arm_read(r);
	timer_arm(&r->timer, 1000);
	assert_int_equal(write(r->ends[1], "x", 1), 1);
	loop_step(r->loop, false);
	assert_int_equal(r->n_done, 0);
	loop_unpark(r->loop);
	steps_until_done(r, 2);
}

static void scope_when_cancelled_on_a_parked_loop_is_idle_in_the_end(void **state)
{
	struct rig *r = *state;

	arm_read(r);
	assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	scope_cancel(&r->scope, idle);
	assert_false(loop_is_at_rest(r->loop) && r->idle);
	loop_unpark(r->loop);
	while (!r->idle)
		assert_int_equal(loop_step(r->loop, true), 0);
	assert_int_equal(r->res, -ECANCELED);
	assert_int_equal(r->n_done, 1);
}

static void scope_when_cancelled_before_is_idle_once_parked(void **state)
{
	struct rig *r = *state;

	arm_read(r);
	loop_step(r->loop, false);
	scope_cancel(&r->scope, idle);
	assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	assert_true(r->idle);
	assert_int_equal(r->n_done, 1);
	loop_unpark(r->loop);
}

static void task_when_deferred_runs_while_parking_and_a_postponed_one_later(void **state)
{
	struct rig *r = *state;

	loop_defer(r->loop, &r->task);
	assert_int_equal(loop_park(r->loop, PATIENCE), 0);
	assert_int_equal(r->n_ran, 1);
	loop_defer_parked(r->loop, &r->task);
	assert_true(loop_is_at_rest(r->loop));
	assert_int_equal(r->n_ran, 1);
	loop_unpark(r->loop);
	loop_step(r->loop, false);
	assert_int_equal(r->n_ran, 2);
}

static void socket_when_parked_takes_nothing_at_once(void **state)
{
	struct rig *r = *state;
	struct iovec iov = { .iov_base = r->buf, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	loop_begin_parked(r->loop);
	assert_int_equal(loop_sendmsg_now(r->loop, r->ends[1], &msg), -EAGAIN);
	loop_unpark(r->loop);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(read_when_parked_stays_armed_and_takes_nothing, set_up, tear_down),
	UNIT_TEST_WITH(read_when_it_has_come_before_is_done_while_parking, set_up, tear_down),
	UNIT_TEST_WITH(operation_when_armed_on_a_parked_loop_begins_with_its_end, set_up,
		       tear_down),
	UNIT_TEST_WITH(scope_when_cancelled_on_a_parked_loop_is_idle_in_the_end, set_up, tear_down),
	UNIT_TEST_WITH(scope_when_cancelled_before_is_idle_once_parked, set_up, tear_down),
	UNIT_TEST_WITH(task_when_deferred_runs_while_parking_and_a_postponed_one_later, set_up,
		       tear_down),
	UNIT_TEST_WITH(socket_when_parked_takes_nothing_at_once, set_up, tear_down),
};
UNIT_MAIN(tests)
