/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Operations apart on pipes that somebody holds: nobody else waits for them. */
#include "loop_rig.h"

#include "../tools/held-pipe.h"

enum { N_HELD = 6, N_TICKS = 30 };

static struct held_pipe held[N_HELD];
static struct probe probes[N_HELD];
static char bytes[N_HELD][4096];
static struct timer timer;
static unsigned int n_ticks, n_threads;

static void tick(struct op *op, int res)
{
	n_ticks++;
	if (res == -ETIME && !scope_cancelling(op->scope))
		timer_arm(&timer, 1000 * 1000);
}

static void pass_ticks(unsigned int n)
{
	unsigned int until = n_ticks + n;

	while (n_ticks < until)
		assert_int_equal(loop_step(rig.loop, true), 0);
}

/* Half of them read, half of them written to; all of them stuck, and the loop not. */
static void arm_held(void)
{
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < N_HELD; i++) {
		held_pipe_make(&held[i]);
		probe_init(&probes[i]);
		probes[i].op.apart = true;
		if (i % 2 == 0)
			op_read(&probes[i].op, held[i].fds[0], bytes[i], sizeof(bytes[i]));
		else
			op_write(&probes[i].op, held[i].fds[1], bytes[i], 1);
	}
	n_ticks = 0;
	timer_init(&timer, &rig.scope, tick);
	timer_arm(&timer, 1000 * 1000);
	pass_ticks(1);
	while (!held_pipe_is_met(getpid())) /* the alarm watches */
		pass_ticks(1);
}

static int set_up(void **state)
{
	unit_setup(state);
	begin();
	arm_held();
	return 0;
}

static void let_go(void)
{
	for (size_t i = 0; i < N_HELD; i++)
		held_pipe_let_go(&held[i]);
}

static int tear_down(void **state)
{
	end();
	for (size_t i = 0; i < N_HELD; i++)
		held_pipe_unmake(&held[i]);
	return unit_teardown(state);
}

static void await_idle(void)
{
	while (rig.n_idle == 0)
		assert_int_equal(loop_step(rig.loop, true), 0);
}

static void await_all(void)
{
	for (size_t i = 0; i < N_HELD; i++)
		while (probes[i].n_done == 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
}

static void others_when_pipes_are_held_go_on(void **state)
{
	struct probe out, in;
	char byte = 0;
	int fds[2];

	(void)state;
	make(PIPE, fds);
	for (unsigned int i = 0; i < N_TICKS; i++) {
		probe_init(&out);
		probe_init(&in);
		out.op.apart = in.op.apart = i % 2;
		op_write(&out.op, fds[1], "x", 1);
		op_read(&in.op, fds[0], &byte, 1);
		while (out.n_done == 0 || in.n_done == 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
		assert_int_equal(in.res, 1);
		assert_int_equal(out.res, 1);
		pass_ticks(1);
	}
	unmake(fds);
	for (size_t i = 0; i < N_HELD; i++)
		assert_int_equal(probes[i].n_done, 0);
	let_go();
	await_all();
	for (size_t i = 0; i < N_HELD; i++)
		assert_int_equal(probes[i].res, i % 2 ? 1 : 4096);
	scope_cancel(&rig.scope, on_idle);
	await_idle();
}

static void cancel_of_what_is_held_ends_it_when_it_is_let_go(void **state)
{
	(void)state;
	scope_cancel(&rig.scope, on_idle);
	for (unsigned int i = 0; i < N_TICKS; i++) {
		assert_int_equal(loop_step(rig.loop, false), 0);
		poll(NULL, 0, 1);
	}
	assert_int_equal(rig.n_idle, 0);
	let_go();
	await_idle();
	for (size_t i = 0; i < N_HELD; i++) {
		assert_int_equal(probes[i].n_done, 1);
		assert_true(probes[i].res == (i % 2 ? 1 : 4096) || probes[i].res == -ECANCELED ||
			    probes[i].res == -EINTR);
	}
}

static void loop_when_pipes_are_held_is_not_parked(void **state)
{
	(void)state;
	assert_int_equal(loop_park(rig.loop, 50 * 1000 * 1000), -ETIMEDOUT);
	assert_false(loop_is_parked(rig.loop));
	pass_ticks(N_TICKS);
	let_go();
	assert_int_equal(loop_park(rig.loop, UINT64_C(30000000000)), 0);
	loop_unpark(rig.loop);
	await_all();
	for (size_t i = 0; i < N_HELD; i++)
		assert_int_equal(probes[i].res, i % 2 ? 1 : 4096);
	scope_cancel(&rig.scope, on_idle);
	await_idle();
}

/* As when a process ends: the kernel's threads keep a ring, and ours what they need. */
static void loop_when_freed_waits_for_nobody(void **state)
{
	(void)state;
	if (by_uring()) {
		let_go();
		await_all();
		scope_cancel(&rig.scope, on_idle);
		await_idle();
		return;
	}
	loop_free(rig.loop);
	let_go();
	while (count_threads() > n_threads)
		poll(NULL, 0, 1);
	for (size_t i = 0; i < N_HELD; i += 2) /* what was under way has been done */
		assert_int_equal(bytes[i][4095], 0);
	begin();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(others_when_pipes_are_held_go_on, set_up, tear_down),
	UNIT_TEST_WITH(cancel_of_what_is_held_ends_it_when_it_is_let_go, set_up, tear_down),
	UNIT_TEST_WITH(loop_when_pipes_are_held_is_not_parked, set_up, tear_down),
	UNIT_TEST_WITH(loop_when_freed_waits_for_nobody, set_up, tear_down),
};

int main(void)
{
	struct held_pipe h;
	bool holds;

	start_first_thread();
	n_threads = count_threads();
	held_pipe_make(&h);
	holds = h.uffd >= 0;
	held_pipe_unmake(&h);
	if (!holds) {
		puts("1..0 # SKIP userfaultfd is not to be had here");
		return 0;
	}
	unit_start_alarm();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
