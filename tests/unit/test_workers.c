/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/workers.h"

enum { N_WORKERS = 3, POLL_NS = 100000, MANY = 1000, TURNS = 200 };

static struct {
	struct loop *loop;
	struct scope scope;
	struct workers *workers;
	pthread_t main_thread;
} rig;

static void begin(void)
{
	const char *why = NULL;

	rig.main_thread = pthread_self();
	loop_choose_engine(UNIT_ENGINE);
	if (loop_new(16, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	scope_init(&rig.scope, rig.loop);
	if (workers_new(N_WORKERS, 16, POLL_NS, rig.loop, &rig.scope, &rig.workers, &why) < 0)
		fail_msg("%s", why);
}

static void idle(struct scope *scope)
{
	loop_stop(scope->loop);
}

static void end(void)
{
	scope_cancel(&rig.scope, idle);
	assert_int_equal(loop_run(rig.loop), 0);
	workers_free(rig.workers);
	scope_fini(&rig.scope);
	loop_free(rig.loop);
}

static void stop_main(struct task *task)
{
	(void)task;
	assert_true(pthread_equal(pthread_self(), rig.main_thread));
	loop_stop(rig.loop);
}

/* Many timers on one worker's loop; the last of them tells the main thread. */
struct crowd {
	struct scope scope;
	struct timer timer[MANY];
	unsigned int n_done;
	bool other_thread;
	struct task all_done;
	unsigned int n_rounds;
};

static struct crowd crowd;

static void timer_done(struct op *op, int res)
{
	(void)op;
	(void)res;
	crowd.other_thread |= !pthread_equal(pthread_self(), rig.main_thread);
	if (++crowd.n_done == MANY)
		workers_run_in_main(&crowd.all_done);
}

static void arm_crowd(void)
{
	crowd.n_done = 0;
	for (unsigned int i = 0; i < MANY; i++)
		timer_arm(&crowd.timer[i], 0);
}

static void crowd_done(struct task *task)
{
	if (--crowd.n_rounds > 0)
		arm_crowd();
	else
		stop_main(task);
}

/* More than the submission queue has room for, prepared by who must not submit. */
static void operations_when_armed_by_the_main_thread_complete_in_the_worker(void **state)
{
	(void)state;
	begin();
	crowd.n_rounds = 5;
	crowd.other_thread = false;
	scope_init(&crowd.scope, workers_loop(rig.workers, 1));
	task_init(&crowd.all_done, crowd_done);
	for (unsigned int i = 0; i < MANY; i++)
		timer_init(&crowd.timer[i], &crowd.scope, timer_done);
	arm_crowd();
	assert_int_equal(crowd.n_done, 0);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_int_equal(crowd.n_done, MANY);
	assert_true(crowd.other_thread);
	scope_fini(&crowd.scope);
	end();
}

/* Work without an end on each worker. */
struct busy {
	struct loop *loop;
	struct task task;
	unsigned long a, b; /* equal when it is not the worker's turn */
};

static struct busy busy[N_WORKERS];

static void work_on(struct task *task)
{
	struct busy *w = container_of(task, struct busy, task);

	w->a++;
	loop_defer(w->loop, task);
	w->b++;
}

static void keep_busy(void)
{
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		busy[i] = (struct busy){ .loop = workers_loop(rig.workers, i) };
		task_init(&busy[i].task, work_on);
		loop_defer(busy[i].loop, &busy[i].task);
	}
}

static void let_rest(void)
{
	for (unsigned int i = 0; i < N_WORKERS; i++)
		task_cancel(&busy[i].task);
}

static void expire(struct op *op, int res)
{
	(void)op;
	(void)res;
	let_rest();
	loop_stop(rig.loop);
}

static void worker_when_always_busy_gives_the_main_thread_its_turn(void **state)
{
	struct timer timer;

	(void)state;
	begin();
	keep_busy();
	timer_init(&timer, &rig.scope, expire);
	timer_arm(&timer, 1000000);
	assert_int_equal(loop_run(rig.loop), 0);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		assert_int_equal(busy[i].a, busy[i].b);
	end();
}

static struct {
	struct task task;
	unsigned long n, n_unequal;
} boss;

/* Until every worker has had many turns. */
static void watch_over(struct task *task)
{
	bool all = true;

	for (unsigned int i = 0; i < N_WORKERS; i++) {
		boss.n_unequal += busy[i].a != busy[i].b;
		all &= busy[i].a >= TURNS;
	}
	boss.n++;
	if (!all) {
		loop_defer(rig.loop, task);
		return;
	}
	let_rest();
	loop_stop(rig.loop);
}

static void main_thread_when_always_busy_gives_workers_their_turns(void **state)
{
	(void)state;
	begin();
	keep_busy();
	boss.n = boss.n_unequal = 0;
	task_init(&boss.task, watch_over);
	loop_defer(rig.loop, &boss.task);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_true(boss.n > 1);
	assert_int_equal(boss.n_unequal, 0);
	end();
}

static bool ran;

static void run_here(struct task *task)
{
	(void)task;
	ran = true;
}

static void task_for_the_main_thread_when_sent_by_itself_runs_at_once(void **state)
{
	struct task task;

	(void)state;
	ran = false;
	task_init(&task, run_here);
	workers_run_in_main(&task);
	assert_true(ran);
}

static void send_twice(struct task *task)
{
	(void)task;
	workers_run_in_main(&crowd.all_done);
	workers_run_in_main(&crowd.all_done);
}

static void count_and_stop(struct task *task)
{
	crowd.n_done++;
	stop_main(task);
}

static void task_for_the_main_thread_when_sent_twice_runs_once(void **state)
{
	struct task task;

	(void)state;
	begin();
	crowd.n_done = 0;
	task_init(&crowd.all_done, count_and_stop);
	task_init(&task, send_twice);
	loop_defer(workers_loop(rig.workers, N_WORKERS - 1), &task);
	assert_int_equal(loop_run(rig.loop), 0);
	end();
	assert_int_equal(crowd.n_done, 1);
}

static void see_running(struct task *task)
{
	ran = loop_running(workers_loop(rig.workers, 0));
	stop_main(task);
}

/* Before, as at the start of the daemon, it may still wait for names and the like. */
static void loop_of_a_worker_when_let_go_is_running(void **state)
{
	struct task task;

	(void)state;
	begin();
	assert_false(loop_running(workers_loop(rig.workers, 0)));
	task_init(&crowd.all_done, see_running);
	task_init(&task, send_twice);
	loop_defer(workers_loop(rig.workers, 0), &task);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_true(ran);
	end();
}

static void new_workers_when_descriptors_run_out_leave_nothing(void **state)
{
	struct rlimit before, limit;
	const char *why = NULL;
	unsigned int n_each;

	(void)state;
	loop_choose_engine(UNIT_ENGINE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(loop_new(16, &rig.loop, &why), 0);
	scope_init(&rig.scope, rig.loop);
	limit = before;
	n_each = strcmp(loop_engine_name(rig.loop), "uring") == 0 ? 2 : 1;
	/* One for waking the main loop, and for each worker the same and a ring's. */
	for (unsigned int room = 0; room < 1 + n_each * N_WORKERS; room++) {
		int fd = dup(STDERR_FILENO); /* the lowest that is free */

		assert_true(fd >= 0);
		close(fd);
		why = NULL;
		limit.rlim_cur = (rlim_t)fd + room;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_true(workers_new(N_WORKERS, 16, POLL_NS, rig.loop, &rig.scope, &rig.workers,
					&why) < 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_non_null(why);
	}
	scope_fini(&rig.scope);
	loop_free(rig.loop);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(operations_when_armed_by_the_main_thread_complete_in_the_worker),
	UNIT_TEST(worker_when_always_busy_gives_the_main_thread_its_turn),
	UNIT_TEST(main_thread_when_always_busy_gives_workers_their_turns),
	UNIT_TEST(task_for_the_main_thread_when_sent_by_itself_runs_at_once),
	UNIT_TEST(task_for_the_main_thread_when_sent_twice_runs_once),
	UNIT_TEST(loop_of_a_worker_when_let_go_is_running),
	UNIT_TEST(new_workers_when_descriptors_run_out_leave_nothing),
};

UNIT_MAIN(tests)
