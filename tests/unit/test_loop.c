/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Operations, timers and tasks, as they should go. */
#include "loop_rig.h"

static void read_of_what_is_there_or_comes_completes_once(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
		for (unsigned int late = 0; late < 2; late++) {
			uint64_t value = 7, got = 0;
			struct probe p;
			int fds[2];

			begin();
			make(kind, fds);
			probe_init(&p);
			if (!late)
				assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
			op_read(&p.op, fds[0], &got, sizeof(got));
			assert_true(op_armed(&p.op));
			if (late) {
				run_what_is_there();
				assert_int_equal(p.n_done, 0);
				assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
			}
			run_until(&p.n_done, 1);
			assert_int_equal(p.res, 8);
			assert_true(got == 7);
			run_what_is_there();
			assert_int_equal(p.n_done, 1);
			unmake(fds);
			end();
		}
	}
}

static void write_completes_with_what_was_taken(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
		uint64_t value = 9, got = 0;
		struct probe p;
		int fds[2];

		begin();
		make(kind, fds);
		probe_init(&p);
		op_write(&p.op, fds[1], &value, sizeof(value));
		run_until(&p.n_done, 1);
		assert_int_equal(p.res, 8);
		assert_int_equal(read(fds[0], &got, sizeof(got)), 8);
		assert_true(got == 9);
		unmake(fds);
		end();
	}
}

/* More than fits: the operation waits or reports progress, and all bytes arrive in order. */
static void large_write_makes_progress_as_the_reader_does(void **state)
{
	static uint8_t bytes[1 << 20], got[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 3 + i / 256);
	for (enum kind kind = PIPE; kind <= SOCKETS; kind++) {
		size_t n_sent = 0, n_got = 0;
		struct probe p;
		int fds[2];

		begin();
		make(kind, fds);
		fcntl(fds[0], F_SETFL, O_NONBLOCK);
		probe_init(&p);
		while (n_sent < sizeof(bytes) || n_got < sizeof(bytes)) {
			ssize_t n;

			if (!op_armed(&p.op) && n_sent < sizeof(bytes))
				op_write(&p.op, fds[1], bytes + n_sent, sizeof(bytes) - n_sent);
			p.res = 0;
			assert_int_equal(loop_step(rig.loop, false), 0);
			assert_true(p.res >= 0);
			n_sent += (size_t)p.res;
			n = read(fds[0], got + n_got, min_size(50000, sizeof(got) - n_got));
			n_got += n > 0 ? (size_t)n : 0;
		}
		assert_memory_equal(got, bytes, sizeof(bytes));
		unmake(fds);
		end();
	}
}

static void write_to_nobody_is_an_error_and_no_signal(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind <= SOCKETS; kind++) {
		struct probe p;
		int fds[2];

		begin();
		make(kind, fds);
		probe_init(&p);
		close(fds[0]);
		op_write(&p.op, fds[1], "x", 1);
		run_until(&p.n_done, 1);
		assert_int_equal(p.res, -EPIPE);
		close(fds[1]);
		end();
	}
}

static void read_at_the_end_is_zero(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind <= SOCKETS; kind++) {
		struct probe p;
		char buf[8];
		int fds[2];

		begin();
		make(kind, fds);
		probe_init(&p);
		op_read(&p.op, fds[0], buf, sizeof(buf));
		run_what_is_there();
		close(fds[1]);
		run_until(&p.n_done, 1);
		assert_int_equal(p.res, 0);
		close(fds[0]);
		end();
	}
}

static void timer_expires_once(void **state)
{
	struct stuck s;

	(void)state;
	begin();
	memset(&s, 0, sizeof(s));
	timer_init(&s.timer, &rig.scope, timer_done);
	for (unsigned int i = 1; i <= 3; i++) {
		timer_arm(&s.timer, 1000 * 1000);
		run_until(&s.n_timer, i);
		assert_int_equal(s.timer_res, -ETIME);
	}
	end();
}

static void accept_returns_a_descriptor_that_is_closed_on_exec(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	struct stuck s;
	int fd;

	(void)state;
	begin();
	make_stuck(&s);
	probe_init(&s.accept);
	op_accept(&s.accept.op, s.listener);
	run_what_is_there();
	assert_int_equal(getsockname(s.listener, (struct sockaddr *)&addr, &len), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	run_until(&s.accept.n_done, 1);
	assert_true(s.accept.res >= 0);
	assert_true(fcntl(s.accept.res, F_GETFD) & FD_CLOEXEC);
	close(s.accept.res);
	close(fd);
	unmake_stuck(&s);
	end();
}

static void poll_completes_with_what_is_ready(void **state)
{
	struct probe p;
	int fds[2];

	(void)state;
	begin();
	make(PIPE, fds);
	probe_init(&p);
	op_poll(&p.op, fds[0], POLLIN);
	run_what_is_there();
	assert_int_equal(p.n_done, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run_until(&p.n_done, 1);
	assert_true(p.res & POLLIN);
	unmake(fds);
	end();
}

/* Whoever waits for room hears of it, too. */
static void poll_of_a_half_closed_socket_tells_so(void **state)
{
	static const char bytes[4096];
	struct probe p;
	int fds[2];

	(void)state;
	begin();
	make(SOCKETS, fds);
	while (send(fds[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	probe_init(&p);
	op_poll(&p.op, fds[0], POLLOUT);
	run_what_is_there();
	assert_int_equal(p.n_done, 0);
	shutdown(fds[1], SHUT_WR);
	run_until(&p.n_done, 1);
	assert_int_equal(p.res, POLLRDHUP);
	unmake(fds);
	end();
}

/* Tasks. */

static char order[16];
static struct task task_a, task_b;

static void note(const char *what)
{
	strncat(order, what, sizeof(order) - strlen(order) - 1);
}

static void run_a(struct task *task)
{
	note("a");
	if (strlen(order) < 3)
		loop_defer(rig.loop, task);
}

static void run_b(struct task *task)
{
	(void)task;
	note("b");
}

static void run_cancels_b(struct task *task)
{
	(void)task;
	note("x");
	task_cancel(&task_b);
}

static void tasks_run_in_order_and_once_per_iteration(void **state)
{
	(void)state;
	begin();
	order[0] = 0;
	task_init(&task_a, run_a);
	task_init(&task_b, run_b);
	loop_defer(rig.loop, &task_a);
	loop_defer(rig.loop, &task_b);
	loop_defer(rig.loop, &task_a); /* queued already */
	assert_string_equal(order, "");
	assert_int_equal(loop_step(rig.loop, true), 0); /* does not wait: there is work */
	assert_string_equal(order, "ab");
	assert_int_equal(loop_step(rig.loop, true), 0);
	assert_string_equal(order, "aba");
	end();
}

static void task_taken_back_does_not_run(void **state)
{
	(void)state;
	begin();
	order[0] = 0;
	task_init(&task_a, run_cancels_b);
	task_init(&task_b, run_b);
	loop_defer(rig.loop, &task_b);
	task_cancel(&task_b);
	task_cancel(&task_b);
	run_what_is_there();
	assert_string_equal(order, "");
	/* Even by one that runs before it in the same iteration. */
	loop_defer(rig.loop, &task_a);
	loop_defer(rig.loop, &task_b);
	run_what_is_there();
	assert_string_equal(order, "x");
	end();
}

static void run_stop(struct task *task)
{
	(void)task;
	loop_stop(rig.loop);
}

static void stop_from_a_task_ends_the_run(void **state)
{
	(void)state;
	begin();
	task_init(&task_a, run_stop);
	loop_defer(rig.loop, &task_a);
	assert_int_equal(loop_run(rig.loop), 0);
	end();
}

/* What waits costs nothing: one turn for one event. */
static void loop_turns_only_for_events(void **state)
{
	struct probe waiting;
	struct stuck s;
	uint64_t before;
	char byte;
	int fds[2];

	(void)state;
	begin();
	make(PIPE, fds);
	probe_init(&waiting);
	op_read(&waiting.op, fds[0], &byte, 1);
	memset(&s, 0, sizeof(s));
	timer_init(&s.timer, &rig.scope, timer_done);
	timer_arm(&s.timer, 50 * 1000 * 1000);
	before = loop_counters(rig.loop).n_iterations;
	run_until(&s.n_timer, 1);
	assert_int_equal(loop_counters(rig.loop).n_iterations - before, 1);
	assert_int_equal(loop_counters(rig.loop).n_submitted, 2);
	assert_int_equal(loop_counters(rig.loop).n_completions, 1);
	scope_cancel(&rig.scope, on_idle);
	run_until(&rig.n_idle, 1);
	unmake(fds);
	end();
}

static void loop_without_descriptors_says_why(void **state)
{
	struct rlimit old, none;
	const char *why = NULL;
	struct loop *loop;

	(void)state;
	loop_choose_engine(UNIT_ENGINE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(loop_new(16, &loop, &why), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_non_null(strstr(why, "RLIMIT_NOFILE"));
	loop_free(NULL);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(read_of_what_is_there_or_comes_completes_once),
	UNIT_TEST(write_completes_with_what_was_taken),
	UNIT_TEST(large_write_makes_progress_as_the_reader_does),
	UNIT_TEST(write_to_nobody_is_an_error_and_no_signal),
	UNIT_TEST(read_at_the_end_is_zero),
	UNIT_TEST(timer_expires_once),
	UNIT_TEST(accept_returns_a_descriptor_that_is_closed_on_exec),
	UNIT_TEST(poll_completes_with_what_is_ready),
	UNIT_TEST(poll_of_a_half_closed_socket_tells_so),
	UNIT_TEST(tasks_run_in_order_and_once_per_iteration),
	UNIT_TEST(task_taken_back_does_not_run),
	UNIT_TEST(stop_from_a_task_ends_the_run),
	UNIT_TEST(loop_turns_only_for_events),
	UNIT_TEST(loop_without_descriptors_says_why),
};
UNIT_MAIN(tests)
