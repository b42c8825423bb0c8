/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Polling before sleeping, and what is watched meanwhile. */
#include "loop_rig.h"

#define NS_PER_MS UINT64_C(1000000)
#define ALWAYS_SHORT (UINT64_C(40) * 1000 * NS_PER_MS) /* no sleep here lasts that long */

enum {
	SHORT_SLEEPS = 4, /* that polling begins after */
	MISSES = 512,	  /* that a watch survives while others are found */
	MANY = 1024,	  /* watches at once, and no more */
};

/* Something that is looked at: found at the looks that its owner says. */
struct watched {
	struct loop_watch w;
	unsigned int n_looks, n_last;
	bool found, found_last;
	bool leaves; /* at its next look */
	struct task task;
};

static unsigned int n_tasks;

static void task_ran(struct task *task)
{
	(void)task;
	n_tasks++;
}

static bool look(struct loop_watch *w, bool last)
{
	struct watched *x = container_of(w, struct watched, w);

	x->n_looks++;
	x->n_last += last;
	if (x->leaves)
		loop_unwatch(rig.loop, w);
	if (last ? !x->found_last : !x->found)
		return false;
	loop_defer(rig.loop, &x->task);
	return true;
}

static void watched_init(struct watched *x)
{
	*x = (struct watched){ .found = false };
	loop_watch_init(&x->w, look);
	task_init(&x->task, task_ran);
}

static bool polling(void)
{
	struct watched x;
	bool yes;

	watched_init(&x);
	yes = loop_watch(rig.loop, &x.w);
	loop_unwatch(rig.loop, &x.w);
	return yes;
}

static void step(void)
{
	assert_int_equal(loop_step(rig.loop, true), 0);
}

/* A wait that something ends which was there already. */
static void sleep_shortly(void)
{
	struct probe p;
	uint64_t value = 1;
	int fds[2];

	make(EVENT, fds);
	assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
	probe_init(&p);
	op_read(&p.op, fds[0], &value, sizeof(value));
	run_until(&p.n_done, 1);
	unmake(fds);
}

/* A wait of ms at least. */
static void sleep_for(unsigned int ms)
{
	struct stuck s = { .n_timer = 0 };

	timer_init(&s.timer, &rig.scope, timer_done);
	timer_arm(&s.timer, ms * NS_PER_MS);
	run_until(&s.n_timer, 1);
}

/* Polls from now on; how long a sleep takes here is nobody's to say. */
static void begin_polling(uint64_t max_ns)
{
	begin();
	n_tasks = 0;
	loop_set_poll(rig.loop, max_ns);
	for (unsigned int i = 0; !polling(); i++) {
		assert_true(i < FOREVER);
		sleep_shortly();
	}
}

static void loop_that_may_not_poll_never_does(void **state)
{
	(void)state;
	begin();
	for (unsigned int i = 0; i < 2 * SHORT_SLEEPS; i++)
		sleep_shortly();
	assert_false(polling());
	assert_true(loop_counters(rig.loop).n_sleeps == 0);
	end();
}

static void polling_begins_after_four_short_sleeps(void **state)
{
	(void)state;
	begin();
	loop_set_poll(rig.loop, ALWAYS_SHORT);
	for (unsigned int i = 0; i < SHORT_SLEEPS; i++) {
		assert_false(polling());
		sleep_for(1);
		assert_true(loop_counters(rig.loop).n_sleeps == i + 1);
	}
	assert_true(polling());
	assert_true(loop_counters(rig.loop).n_polled == 0);
	end();
}

static void long_sleeps_never_begin_it(void **state)
{
	(void)state;
	begin();
	loop_set_poll(rig.loop, 1);
	for (unsigned int i = 0; i < 2 * SHORT_SLEEPS; i++)
		sleep_for(1);
	assert_true(loop_counters(rig.loop).n_sleeps == 2 * SHORT_SLEEPS);
	assert_false(polling());
	end();
}

static void long_sleep_makes_short_ones_count_anew(void **state)
{
	(void)state;
	begin();
	loop_set_poll(rig.loop, 20 * NS_PER_MS);
	for (unsigned int i = 0; i < 2 * SHORT_SLEEPS; i++) {
		if (i % SHORT_SLEEPS == SHORT_SLEEPS - 1)
			sleep_for(50);
		else
			sleep_shortly();
		assert_false(polling());
	}
	end();
}

static void what_is_written_at_once_is_no_short_sleep(void **state)
{
	char value = 1;
	struct probe p;
	int fds[2];

	(void)state;
	begin();
	make(SOCKETS, fds);
	loop_set_poll(rig.loop, ALWAYS_SHORT);
	for (unsigned int i = 1; i <= 2 * SHORT_SLEEPS; i++) {
		probe_init(&p);
		op_write(&p.op, fds[1], &value, sizeof(value));
		run_until(&p.n_done, 1);
	}
	assert_true(loop_counters(rig.loop).n_sleeps == 0);
	assert_false(polling());
	unmake(fds);
	end();
}

/* An io_uring tells of what was done at once at the next step, which does not sleep for it. */
static void what_was_done_at_once_is_no_short_sleep(void **state)
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[2];

	(void)state;
	begin();
	make(SOCKETS, fds);
	loop_set_poll(rig.loop, ALWAYS_SHORT);
	for (unsigned int i = 0; i < 2 * SHORT_SLEEPS; i++) {
		assert_int_equal(loop_sendmsg_now(rig.loop, fds[0], &msg), 1);
		assert_int_equal(loop_step(rig.loop, by_uring()), 0);
	}
	assert_true(loop_counters(rig.loop).n_sleeps == 0);
	assert_false(polling());
	unmake(fds);
	end();
}

static void polling_saves_the_sleep_that_it_replaces(void **state)
{
	struct loop_counters before, after;

	(void)state;
	begin_polling(ALWAYS_SHORT);
	before = loop_counters(rig.loop);
	sleep_for(1);
	after = loop_counters(rig.loop);
	assert_true(after.n_sleeps == before.n_sleeps);
	assert_true(after.n_polled == before.n_polled + 1);
	assert_true(polling());
	end();
}

static void polling_ends_with_the_first_time_in_vain(void **state)
{
	struct loop_counters before, after;

	(void)state;
	begin_polling(2 * NS_PER_MS);
	before = loop_counters(rig.loop);
	sleep_for(500);
	after = loop_counters(rig.loop);
	assert_true(after.n_sleeps == before.n_sleeps + 1);
	assert_true(after.n_polled == before.n_polled);
	assert_false(polling());
	end();
}

static void watch_is_refused_while_the_loop_does_not_poll(void **state)
{
	struct watched x;

	(void)state;
	begin();
	watched_init(&x);
	assert_false(loop_watch(rig.loop, &x.w));
	loop_unwatch(rig.loop, &x.w);
	sleep_shortly();
	assert_int_equal(x.n_looks, 0);
	end();
}

/* Nothing is armed: only the look can end the wait. */
static void watch_that_finds_something_ends_the_wait(void **state)
{
	struct watched x;
	uint64_t n_polled;

	(void)state;
	begin_polling(ALWAYS_SHORT);
	watched_init(&x);
	assert_true(loop_watch(rig.loop, &x.w));
	assert_true(loop_watch(rig.loop, &x.w)); /* as it is */
	x.found = true;
	n_polled = loop_counters(rig.loop).n_polled;
	step();
	assert_true(loop_counters(rig.loop).n_polled == n_polled + 1);
	assert_int_equal(x.n_last, 0);
	assert_int_equal(n_tasks, 1);
	loop_unwatch(rig.loop, &x.w);
	x.n_looks = 0;
	sleep_shortly();
	assert_int_equal(x.n_looks, 0);
	end();
}

/* All that come while one is found are served in the same turn. */
static void all_watches_are_looked_at_together(void **state)
{
	struct watched x[3];

	(void)state;
	begin_polling(ALWAYS_SHORT);
	for (unsigned int i = 0; i < 3; i++) {
		watched_init(&x[i]);
		assert_true(loop_watch(rig.loop, &x[i].w));
		x[i].found = true;
	}
	step();
	assert_int_equal(n_tasks, 3);
	for (unsigned int i = 0; i < 3; i++)
		loop_unwatch(rig.loop, &x[i].w);
	end();
}

static void watch_is_looked_at_though_completions_keep_coming(void **state)
{
	struct watched x;

	(void)state;
	begin_polling(ALWAYS_SHORT);
	watched_init(&x);
	assert_true(loop_watch(rig.loop, &x.w));
	for (unsigned int i = 1; i <= 20; i++) {
		uint64_t n = loop_counters(rig.loop).n_iterations;

		sleep_shortly();
		assert_true(loop_counters(rig.loop).n_iterations == n + 1);
		assert_true(x.n_looks >= i);
	}
	x.n_looks = 0;
	assert_int_equal(loop_step(rig.loop, false), 0);
	assert_true(x.n_looks > 0);
	loop_unwatch(rig.loop, &x.w);
	end();
}

static void watch_is_over_before_the_loop_sleeps(void **state)
{
	struct watched x;

	(void)state;
	begin_polling(2 * NS_PER_MS);
	watched_init(&x);
	assert_true(loop_watch(rig.loop, &x.w));
	sleep_for(500);
	assert_true(x.n_looks > 1);
	assert_int_equal(x.n_last, 1);
	x.n_looks = 0;
	sleep_shortly();
	assert_int_equal(x.n_looks, 0);
	assert_int_equal(n_tasks, 0);
	end();
}

/* It came between the last look while polling and the wish to be told. */
static void what_the_last_look_finds_keeps_the_loop_awake(void **state)
{
	struct watched x[2];
	uint64_t n_sleeps;

	(void)state;
	begin_polling(2 * NS_PER_MS);
	for (unsigned int i = 0; i < 2; i++) {
		watched_init(&x[i]);
		assert_true(loop_watch(rig.loop, &x[i].w));
	}
	x[0].found_last = true;
	n_sleeps = loop_counters(rig.loop).n_sleeps;
	step();
	assert_true(loop_counters(rig.loop).n_sleeps == n_sleeps);
	assert_int_equal(n_tasks, 1);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(x[i].n_last, 1);
	end();
}

/* Nobody may be left without looks and without notifications. */
static void watch_is_over_when_polling_is_forbidden(void **state)
{
	struct watched x;

	(void)state;
	begin_polling(ALWAYS_SHORT);
	watched_init(&x);
	assert_true(loop_watch(rig.loop, &x.w));
	loop_set_poll(rig.loop, 0);
	assert_false(polling());
	sleep_for(1);
	assert_int_equal(x.n_last, 1);
	end();
}

static void watch_without_finds_is_over_though_others_are_found(void **state)
{
	struct watched busy, idle, rare;

	(void)state;
	begin_polling(ALWAYS_SHORT);
	watched_init(&busy);
	watched_init(&idle);
	watched_init(&rare);
	busy.found = true;
	idle.found_last = true;
	assert_true(loop_watch(rig.loop, &idle.w) && loop_watch(rig.loop, &rare.w) &&
		    loop_watch(rig.loop, &busy.w));
	for (unsigned int i = 0; i < 3 * MISSES; i++) {
		rare.found = i % MISSES == 0;
		assert_int_equal(loop_step(rig.loop, false), 0);
		assert_int_equal(idle.n_last, i >= MISSES);
	}
	assert_int_equal(idle.n_looks, MISSES + 2);
	assert_int_equal(rare.n_last + busy.n_last, 0);
	assert_int_equal(n_tasks, 3 * MISSES + 3 + 1);
	loop_unwatch(rig.loop, &rare.w);
	loop_unwatch(rig.loop, &busy.w);
	end();
}

static void watch_can_leave_while_it_is_looked_at(void **state)
{
	struct watched x[3];

	(void)state;
	begin_polling(ALWAYS_SHORT);
	for (unsigned int i = 0; i < 3; i++) {
		watched_init(&x[i]);
		assert_true(loop_watch(rig.loop, &x[i].w));
	}
	x[1].leaves = true;
	assert_int_equal(loop_step(rig.loop, false), 0);
	assert_int_equal(loop_step(rig.loop, false), 0);
	assert_int_equal(x[0].n_looks, 2);
	assert_int_equal(x[1].n_looks, 1);
	assert_int_equal(x[2].n_looks, 2);
	x[0].leaves = x[2].leaves = true;
	sleep_for(1);
	sleep_for(1);
	assert_int_equal(x[0].n_looks, 3);
	assert_int_equal(x[2].n_looks, 3);
	assert_int_equal(x[0].n_last + x[1].n_last + x[2].n_last, 0);
	end();
}

static void watches_are_limited_in_number(void **state)
{
	static struct watched x[MANY + 1];

	(void)state;
	begin_polling(ALWAYS_SHORT);
	for (unsigned int i = 0; i < MANY; i++) {
		watched_init(&x[i]);
		assert_true(loop_watch(rig.loop, &x[i].w));
	}
	watched_init(&x[MANY]);
	assert_false(loop_watch(rig.loop, &x[MANY].w));
	loop_unwatch(rig.loop, &x[7].w);
	assert_true(loop_watch(rig.loop, &x[MANY].w));
	assert_false(loop_watch(rig.loop, &x[7].w));
	for (unsigned int i = 0; i <= MANY; i++)
		loop_unwatch(rig.loop, &x[i].w);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(loop_that_may_not_poll_never_does),
	UNIT_TEST(polling_begins_after_four_short_sleeps),
	UNIT_TEST(long_sleeps_never_begin_it),
	UNIT_TEST(long_sleep_makes_short_ones_count_anew),
	UNIT_TEST(what_is_written_at_once_is_no_short_sleep),
	UNIT_TEST(what_was_done_at_once_is_no_short_sleep),
	UNIT_TEST(polling_saves_the_sleep_that_it_replaces),
	UNIT_TEST(polling_ends_with_the_first_time_in_vain),
	UNIT_TEST(watch_is_refused_while_the_loop_does_not_poll),
	UNIT_TEST(watch_that_finds_something_ends_the_wait),
	UNIT_TEST(all_watches_are_looked_at_together),
	UNIT_TEST(watch_is_looked_at_though_completions_keep_coming),
	UNIT_TEST(watch_is_over_before_the_loop_sleeps),
	UNIT_TEST(what_the_last_look_finds_keeps_the_loop_awake),
	UNIT_TEST(watch_is_over_when_polling_is_forbidden),
	UNIT_TEST(watch_without_finds_is_over_though_others_are_found),
	UNIT_TEST(watch_can_leave_while_it_is_looked_at),
	UNIT_TEST(watches_are_limited_in_number),
};
UNIT_MAIN(tests)
