/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ends of operations before their time. */
#include "loop_rig.h"

static void expect_cancelled(const struct probe *p)
{
	assert_int_equal(p->n_done, 1);
	assert_true(p->res == -ECANCELED || p->res == -EINTR);
}

/* Cancelled before the kernel has seen them, and after. */
static void scope_when_cancelled_ends_every_operation_once(void **state)
{
	(void)state;
	for (unsigned int n_steps = 0; n_steps < 3; n_steps++) {
		struct stuck s;

		begin();
		make_stuck(&s);
		arm_stuck(&s);
		for (unsigned int i = 0; i < n_steps; i++)
			assert_int_equal(loop_step(rig.loop, false), 0);
		scope_cancel(&rig.scope, on_idle);
		assert_true(scope_cancelling(&rig.scope));
		assert_int_equal(rig.n_idle, 0);
		run_until(&rig.n_idle, 1);
		expect_cancelled(&s.read);
		expect_cancelled(&s.recv);
		expect_cancelled(&s.send);
		expect_cancelled(&s.accept);
		expect_cancelled(&s.poll);
		expect_cancelled(&s.write);
		assert_int_equal(s.n_timer, 1);
		assert_int_equal(s.timer_res, -ECANCELED);
		run_what_is_there();
		assert_int_equal(rig.n_idle, 1);
		unmake_stuck(&s);
		end();
	}
}

/* Each comes at the moment when it could complete as well: once, with either outcome. */
static void cancel_that_meets_a_completion_is_one_completion(void **state)
{
	(void)state;
	for (unsigned int n_steps = 0; n_steps < 2; n_steps++) {
		struct probe p;
		uint64_t value = 5, got = 0;
		int fds[2];

		begin();
		make(EVENT, fds);
		probe_init(&p);
		op_read(&p.op, fds[0], &got, sizeof(got));
		for (unsigned int i = 0; i < n_steps; i++)
			assert_int_equal(loop_step(rig.loop, false), 0);
		assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
		scope_cancel(&rig.scope, on_idle);
		run_until(&rig.n_idle, 1);
		assert_int_equal(p.n_done, 1);
		assert_true((p.res == 8 && got == 5) || p.res == -ECANCELED);
		/* Nothing was lost: what was not read is still there. */
		if (p.res < 0) {
			assert_int_equal(read(fds[0], &got, sizeof(got)), 8);
			assert_true(got == 5);
		}
		unmake(fds);
		end();
	}
}

/* An operation that was cancelled and is armed again is not ended by the old cancel. */
static void operation_armed_again_is_not_hit_by_an_old_cancel(void **state)
{
	(void)state;
	begin();
	for (unsigned int i = 0; i < 50; i++) {
		struct probe p;
		uint64_t value = 1, got = 0;
		int fds[2];

		make(EVENT, fds);
		probe_init(&p);
		op_read(&p.op, fds[0], &got, sizeof(got));
		if (i % 2)
			run_what_is_there();
		assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
		op_cancel(&p.op);
		op_cancel(&p.op); /* twice is once */
		run_until(&p.n_done, 1);
		op_read(&p.op, fds[0], &got, sizeof(got));
		run_what_is_there();
		if (p.n_done == 1) {
			assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
			run_until(&p.n_done, 2);
		}
		assert_int_equal(p.res, 8);
		unmake(fds);
	}
	end();
}

static void scope_without_operations_is_idle_later(void **state)
{
	(void)state;
	begin();
	scope_cancel(&rig.scope, on_idle);
	assert_int_equal(rig.n_idle, 0);
	run_until(&rig.n_idle, 1);
	end();
}

static unsigned int n_other;

static void other_idle(struct scope *scope)
{
	(void)scope;
	n_other++;
}

static void second_cancel_replaces_the_callback(void **state)
{
	struct stuck s;

	(void)state;
	begin();
	n_other = 0;
	make_stuck(&s);
	arm_stuck(&s);
	scope_cancel(&rig.scope, on_idle);
	scope_cancel(&rig.scope, other_idle);
	run_until(&n_other, 1);
	assert_int_equal(rig.n_idle, 0);
	unmake_stuck(&s);
	end();
}

static void cancel_of_one_scope_leaves_another_alone(void **state)
{
	struct scope other;
	struct probe mine, theirs;
	char a = 0, b = 0;
	int fds[2];

	(void)state;
	begin();
	make(PIPE, fds);
	scope_init(&other, rig.loop);
	probe_init(&mine);
	op_init(&theirs.op, &other, done);
	theirs.n_done = 0;
	op_read(&mine.op, fds[0], &a, 1);
	op_read(&theirs.op, fds[0], &b, 1);
	run_what_is_there();
	scope_cancel(&rig.scope, on_idle);
	run_until(&rig.n_idle, 1);
	assert_int_equal(theirs.n_done, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run_until(&theirs.n_done, 1);
	assert_int_equal(b, 'x');
	scope_fini(&other);
	unmake(fds);
	end();
}

/* More operations than the submission queue has entries. */
static void operations_beyond_one_submission_all_complete(void **state)
{
	enum { N = 1200 };
	static struct probe probes[N];
	const char *why;
	char byte;
	int fds[2];

	(void)state;
	loop_choose_engine(UNIT_ENGINE);
	assert_int_equal(loop_new(N, &rig.loop, &why), 0);
	scope_init(&rig.scope, rig.loop);
	rig.n_idle = 0;
	make(PIPE, fds);
	for (unsigned int i = 0; i < N; i++) {
		probe_init(&probes[i]);
		op_read(&probes[i].op, fds[0], &byte, 1);
	}
	scope_cancel(&rig.scope, on_idle);
	run_until(&rig.n_idle, 1);
	for (unsigned int i = 0; i < N; i++)
		expect_cancelled(&probes[i]);
	unmake(fds);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(scope_when_cancelled_ends_every_operation_once),
	UNIT_TEST(cancel_that_meets_a_completion_is_one_completion),
	UNIT_TEST(operation_armed_again_is_not_hit_by_an_old_cancel),
	UNIT_TEST(scope_without_operations_is_idle_later),
	UNIT_TEST(second_cancel_replaces_the_callback),
	UNIT_TEST(cancel_of_one_scope_leaves_another_alone),
	UNIT_TEST(operations_beyond_one_submission_all_complete),
};
UNIT_MAIN(tests)
