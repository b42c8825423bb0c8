/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Operations that another thread than the loop's does. */
#include "loop_rig.h"

enum { MANY = 24, N_PATIENT = 4 };

static unsigned int n_ticks, n_threads;

static void apart_init(struct probe *p)
{
	probe_init(p);
	p->op.apart = true;
}

static void tick(struct op *op, int res)
{
	struct timer *t = container_of(op, struct timer, op);

	(void)res;
	n_ticks++;
	if (!scope_cancelling(op->scope))
		timer_arm(t, 1000 * 1000);
}

static void operation_apart_when_possible_is_done(void **state)
{
	struct probe in, out;
	uint64_t value = 7, got;
	int fds[2];

	(void)state;
	for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
		begin();
		make(kind, fds);
		apart_init(&in);
		apart_init(&out);
		got = 0;
		op_write(&out.op, fds[1], &value, sizeof(value));
		run_until(&out.n_done, 1);
		assert_int_equal(out.res, 8);
		op_read(&in.op, fds[0], &got, sizeof(got));
		run_until(&in.n_done, 1);
		assert_int_equal(in.res, 8);
		assert_true(got == 7);
		unmake(fds);
		end();
	}
}

static void operation_apart_when_nothing_is_there_waits_for_it(void **state)
{
	uint64_t value = 7, got;
	struct probe in;
	int fds[2];

	(void)state;
	for (enum kind kind = PIPE; kind < N_KINDS; kind++) {
		begin();
		make(kind, fds);
		apart_init(&in);
		for (unsigned int i = 1; i <= 20; i++) {
			got = 0;
			op_read(&in.op, fds[0], &got, sizeof(got));
			run_what_is_there();
			assert_int_equal(in.n_done, i - 1);
			assert_int_equal(write(fds[1], &value, sizeof(value)), 8);
			run_until(&in.n_done, i);
			assert_int_equal(in.res, 8);
			assert_true(got == 7);
		}
		unmake(fds);
		end();
	}
}

static void message_apart_brings_what_was_sent_apart(void **state)
{
	char sent[] = "apart", got[16] = "";
	struct iovec out_iov = { sent, sizeof(sent) }, in_iov = { got, sizeof(got) };
	struct msghdr out = { .msg_iov = &out_iov, .msg_iovlen = 1 };
	struct msghdr in = { .msg_iov = &in_iov, .msg_iovlen = 1 };
	struct probe sender, receiver;
	int fds[2];

	(void)state;
	begin();
	make(SOCKETS, fds);
	apart_init(&sender);
	apart_init(&receiver);
	op_recvmsg(&receiver.op, fds[0], &in, 0);
	run_what_is_there();
	op_sendmsg(&sender.op, fds[1], &out, 0);
	run_until(&receiver.n_done, 1);
	assert_int_equal(receiver.res, sizeof(sent));
	assert_string_equal(got, sent);
	while (sender.n_done == 0)
		assert_int_equal(loop_step(rig.loop, true), 0);
	assert_int_equal(sender.res, sizeof(sent));
	unmake(fds);
	end();
}

/* poll(2) would never tell of any of these. */
static void operation_apart_when_impossible_says_why(void **state)
{
	struct probe p;
	char byte = 0;
	int fds[2];

	(void)state;
	begin();
	make(PIPE, fds);
	apart_init(&p);
	op_read(&p.op, fds[1], &byte, 1);
	run_until(&p.n_done, 1);
	assert_int_equal(p.res, -EBADF);
	op_write(&p.op, fds[0], &byte, 1);
	run_until(&p.n_done, 2);
	assert_int_equal(p.res, -EBADF);
	op_recvmsg(&p.op, fds[0], &(struct msghdr){ 0 }, 0);
	run_until(&p.n_done, 3);
	assert_int_equal(p.res, -ENOTSOCK);
	op_read(&p.op, -1, &byte, 1);
	run_until(&p.n_done, 4);
	assert_int_equal(p.res, -EBADF);
	fds[1] = fd_close(fds[1]);
	op_read(&p.op, fds[0], &byte, 1);
	run_until(&p.n_done, 5);
	assert_int_equal(p.res, 0);
	close(fds[0]);
	end();
}

static void make_apart(struct stuck *s)
{
	arm_stuck(s);
	s->read.op.apart = s->recv.op.apart = s->send.op.apart = true;
	s->accept.op.apart = s->poll.op.apart = s->write.op.apart = true;
}

/* Before anybody has seen them, while they are attempted, and while they wait. */
static void operations_apart_when_cancelled_end_once(void **state)
{
	(void)state;
	for (unsigned int n_steps = 0; n_steps < 6; n_steps++) {
		struct stuck s;
		struct probe *const all[] = { &s.read,	 &s.recv, &s.send,
					      &s.accept, &s.poll, &s.write };

		begin();
		make_stuck(&s);
		make_apart(&s);
		for (unsigned int i = 0; i < n_steps; i++)
			assert_int_equal(loop_step(rig.loop, false), 0);
		scope_cancel(&rig.scope, on_idle);
		run_until(&rig.n_idle, 1);
		for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
			assert_int_equal(all[i]->n_done, 1);
			assert_true(all[i]->res == -ECANCELED || all[i]->res == -EINTR);
		}
		unmake_stuck(&s);
		end();
	}
}

/* A terminal that is to be read when five bytes have come, or no more for very long. */
static void make_patient(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	t.c_cc[VMIN] = 5;
	t.c_cc[VTIME] = 255;
	assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
}

/* Whoever reads such a terminal waits although poll(2) says that it is ready. */
static void operation_apart_that_waits_is_interrupted_by_a_cancel(void **state)
{
	struct timer timer;
	struct probe p;
	char got[8];
	int fds[2];

	(void)state;
	begin();
	make(TERMINAL, fds);
	make_patient(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), 1);
	n_ticks = 0;
	timer_init(&timer, &rig.scope, tick);
	timer_arm(&timer, 1000 * 1000);
	apart_init(&p);
	op_read(&p.op, fds[0], got, sizeof(got));
	while (n_ticks < 20)
		assert_int_equal(loop_step(rig.loop, true), 0);
	assert_int_equal(p.n_done, 0);
	scope_cancel(&rig.scope, on_idle);
	while (rig.n_idle == 0)
		assert_int_equal(loop_step(rig.loop, true), 0);
	assert_int_equal(p.n_done, 1);
	assert_true(p.res == 1 || p.res == -ECANCELED || p.res == -EINTR);
	unmake(fds);
	end();
}

/* Whoever has nothing to do leaves; the alarm watches. */
static void await_threads(unsigned int n)
{
	while (count_threads() > n)
		poll(NULL, 0, 1);
}

/* Each cancel finds the thread that it is for, also when others have left. */
static void operation_apart_when_others_have_ended_is_interrupted(void **state)
{
	struct probe probes[N_PATIENT];
	char got[N_PATIENT][8];
	int fds[N_PATIENT][2];

	(void)state;
	await_threads(n_threads);
	begin();
	for (unsigned int i = 0; i < N_PATIENT; i++) {
		make(TERMINAL, fds[i]);
		make_patient(fds[i][0]);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		apart_init(&probes[i]);
		op_read(&probes[i].op, fds[i][0], got[i], sizeof(got[i]));
	}
	run_what_is_there();
	for (unsigned int i = 0; i < N_PATIENT; i++) {
		assert_int_equal(probes[i].n_done, 0);
		op_cancel(&probes[i].op);
		while (probes[i].n_done == 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
		await_threads(n_threads + N_PATIENT - i); /* one is idle by now */
	}
	for (unsigned int i = 0; i < N_PATIENT; i++)
		unmake(fds[i]);
	end();
}

static struct probe first, second;

static void cancel_second(struct op *op, int res)
{
	(void)op;
	(void)res;
	op_cancel(&second.op);
}

/* The first cancel makes the loop repeat those that have no effect, just when the second comes. */
static void cancel_when_cancels_are_repeated_is_one(void **state)
{
	struct timer timer;
	char bytes[2];
	int fds[2];

	(void)state;
	begin();
	make(PIPE, fds);
	apart_init(&first);
	apart_init(&second);
	op_read(&first.op, fds[0], &bytes[0], 1);
	op_read(&second.op, fds[0], &bytes[1], 1);
	run_what_is_there();
	timer_init(&timer, &rig.scope, cancel_second);
	timer_arm(&timer, 1000 * 1000);
	op_cancel(&first.op);
	run_until(&first.n_done, 1);
	poll(NULL, 0, 50); /* it is time for both */
	run_until(&second.n_done, 1);
	assert_true(second.res == -ECANCELED || second.res == -EINTR);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(loop_step(rig.loop, false), 0);
	assert_int_equal(second.n_done, 1);
	unmake(fds);
	end();
}

/* It is armed, to its owner, and goes on afterwards. */
static void operation_apart_when_parked_goes_on_later(void **state)
{
	struct probe p;
	char byte = 0;
	int fds[2];

	(void)state;
	for (unsigned int n_steps = 0; n_steps < 3; n_steps++) {
		begin();
		make(PIPE, fds);
		apart_init(&p);
		op_read(&p.op, fds[0], &byte, 1);
		for (unsigned int i = 0; i < n_steps; i++)
			assert_int_equal(loop_step(rig.loop, false), 0);
		assert_int_equal(loop_park(rig.loop, UINT64_C(30000000000)), 0);
		assert_true(loop_is_at_rest(rig.loop));
		assert_int_equal(p.n_done, 0);
		assert_int_equal(write(fds[1], "x", 1), 1);
		loop_unpark(rig.loop);
		run_until(&p.n_done, 1);
		assert_int_equal(p.res, 1);
		assert_int_equal(byte, 'x');
		unmake(fds);
		end();
	}
}

/* Of ours; the kernel's own are its affair. */
static void threads_are_there_for_operations_apart_alone(void **state)
{
	static struct probe probes[MANY];
	unsigned int n_done = 0;
	struct probe plain;
	char byte;
	int fds[2];

	(void)state;
	await_threads(n_threads); /* of loops before this one */
	begin();
	make(PIPE, fds);
	probe_init(&plain);
	op_write(&plain.op, fds[1], "x", 1);
	run_until(&plain.n_done, 1);
	op_read(&plain.op, fds[0], &byte, 1);
	run_until(&plain.n_done, 2);
	assert_int_equal(count_threads(), n_threads);
	for (size_t i = 0; i < MANY; i++) {
		apart_init(&probes[i]);
		op_write(&probes[i].op, fds[1], "x", 1);
	}
	for (size_t i = 0; i < MANY; i++, n_done++)
		while (probes[i].n_done == 0)
			assert_int_equal(loop_step(rig.loop, true), 0);
	assert_int_equal(n_done, MANY);
	await_threads(n_threads + 1); /* one stays for the next operation */
	end();
	await_threads(n_threads);
	unmake(fds);
}

/* Signals of the process find the thread that is there for them. */
static void signal_of_the_process_is_not_for_those_threads(void **state)
{
	sigset_t set, before;
	struct probe p;
	int fds[2], number;

	(void)state;
	begin();
	make(PIPE, fds);
	apart_init(&p);
	op_write(&p.op, fds[1], "x", 1);
	run_until(&p.n_done, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	kill(getpid(), SIGUSR1);
	assert_int_equal(sigwait(&set, &number), 0);
	assert_int_equal(number, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	unmake(fds);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(operation_apart_when_possible_is_done),
	UNIT_TEST(operation_apart_when_nothing_is_there_waits_for_it),
	UNIT_TEST(message_apart_brings_what_was_sent_apart),
	UNIT_TEST(operation_apart_when_impossible_says_why),
	UNIT_TEST(operations_apart_when_cancelled_end_once),
	UNIT_TEST(operation_apart_that_waits_is_interrupted_by_a_cancel),
	UNIT_TEST(operation_apart_when_others_have_ended_is_interrupted),
	UNIT_TEST(cancel_when_cancels_are_repeated_is_one),
	UNIT_TEST(operation_apart_when_parked_goes_on_later),
	UNIT_TEST(threads_are_there_for_operations_apart_alone),
	UNIT_TEST(signal_of_the_process_is_not_for_those_threads),
};

int main(void)
{
	start_first_thread();
	n_threads = count_threads();
	unit_start_alarm();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
