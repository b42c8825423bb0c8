/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A lossless port's journal: what the next process finds, whenever the one
 * before it was killed. To be killed is to leave the file as it is at that
 * moment, so each step is followed by a look at a copy of it.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backends/port-journal.h"

enum { HISTORY = 4096, GUEST = 77, RX = 0, TX = 1 };

static struct {
	char dir[64], path[128], copy[128];
	struct port port, next;
	struct port_journal *j, *found;
	struct port_client client;
	int fds[2];
} rig;

static const struct ring_mark some = { .n = 1, .used = 1 };
static const struct port_client_ops no_ops;
static const struct port_client_options writer = { .writes = true, .holds = true };

static struct port_journal *open_at(const char *path)
{
	struct port_journal *j;
	char why[256];

	if (port_journal_new(path, HISTORY, &j, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return j;
}

static void begin(void)
{
	struct ring_mark mark;

	snprintf(rig.dir, sizeof(rig.dir), "/tmp/vhu-journal-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.path, sizeof(rig.path), "%s/j", rig.dir);
	snprintf(rig.copy, sizeof(rig.copy), "%s/copy", rig.dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig.fds), 0);
	assert_int_equal(port_init(&rig.port, HISTORY), 0);
	rig.port.overflow = PORT_HOLD;
	rig.j = open_at(rig.path);
	port_journal_begin(rig.j, &rig.port);
	port_join(&rig.port, &rig.client, &no_ops, &writer);
	assert_true(port_journal_join(rig.j, rig.client.pos));
	rig.client.keeps = true;
	rig.client.sent = rig.client.pos;
	assert_false(port_journal_resume(rig.j, GUEST, RX, &mark));
	assert_false(port_journal_resume(rig.j, GUEST, TX, &mark));
}

static void end(void)
{
	port_journal_leave(rig.j);
	port_leave(&rig.client);
	port_fini(&rig.port);
	port_journal_free(rig.j);
	unlink(rig.path);
	assert_int_equal(rmdir(rig.dir), 0);
	fd_close(rig.fds[0]);
	fd_close(rig.fds[1]);
}

/* The process is killed now: rig.next is the port of the one that comes after it. */
static void crash(void)
{
	static uint8_t buf[1 << 20];
	struct stat st;
	int in = open(rig.path, O_RDONLY | O_CLOEXEC), out;

	out = open(rig.copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0 && st.st_size <= (off_t)sizeof(buf));
	assert_int_equal(read(in, buf, sizeof(buf)), st.st_size);
	assert_int_equal(write(out, buf, (size_t)st.st_size), st.st_size);
	fd_close(in);
	fd_close(out);
	rig.found = open_at(rig.copy);
	assert_int_equal(port_init(&rig.next, HISTORY), 0);
	rig.next.overflow = PORT_HOLD;
	port_journal_begin(rig.found, &rig.next);
}

static void crash_over(void)
{
	port_fini(&rig.next);
	port_journal_free(rig.found);
	unlink(rig.copy);
}

static void expect(const struct bytering *r, const char *text)
{
	char buf[256];
	size_t n = bytering_copy_at(r, r->tail, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

/* What a killed process leaves: output undelivered, input that the guest has not taken. */
static void expect_after_crash(const char *output, const char *input)
{
	crash();
	expect(&rig.next.out, output);
	expect(&rig.next.in, input);
	crash_over();
}

static void receive(const char *text)
{
	assert_int_equal(write(rig.fds[1], text, strlen(text)), strlen(text));
	assert_int_equal(port_journal_receive(rig.j, rig.fds[0]), strlen(text));
}

/* As client.c does. */
static void give_input(size_t from, size_t len)
{
	assert_int_equal(port_input(&rig.port, rig.j->received + from, len), len);
}

static void input_at_every_step_is_there_once(void **state)
{
	char buf[16];

	(void)state;
	begin();
	expect_after_crash("", "");
	receive("hello");
	expect_after_crash("", "hello");
	give_input(0, 2);
	expect_after_crash("", "hello");
	port_journal_input(rig.j, &rig.port, 2);
	expect_after_crash("", "hello");
	give_input(2, 3);
	port_journal_input(rig.j, &rig.port, 3);
	expect_after_crash("", "hello");
	receive(" you");
	expect_after_crash("", "hello you");
	/* The guest's buffers have it, and are not returned until the commit. */
	assert_int_equal(port_take_input(&rig.port, buf, 5), 5);
	expect_after_crash("", "hello you");
	port_input_taken(&rig.port, &some);
	expect_after_crash("", " you");
	give_input(0, 4);
	port_journal_input(rig.j, &rig.port, 4);
	expect_after_crash("", " you");
	end();
}

static void receive_of_nothing_brings_nothing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(fcntl(rig.fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(port_journal_receive(rig.j, rig.fds[0]), -EAGAIN);
	expect_after_crash("", "");
	receive("x");
	give_input(0, 1);
	port_journal_input(rig.j, &rig.port, 1);
	assert_int_equal(port_journal_receive(rig.j, rig.fds[0]), -EAGAIN);
	expect_after_crash("", "x");
	assert_int_equal(shutdown(rig.fds[1], SHUT_WR), 0);
	assert_int_equal(port_journal_receive(rig.j, rig.fds[0]), 0);
	expect_after_crash("", "x");
	end();
}

static void send_some(uint64_t pos, const char *text)
{
	assert_int_equal(port_journal_send(rig.j, rig.fds[0], pos, text, strlen(text)),
			 strlen(text));
	rig.client.pos = rig.client.sent = pos + strlen(text);
}

static void output_at_every_step_is_there_once(void **state)
{
	(void)state;
	begin();
	assert_int_equal(port_output(&rig.port, "abcdef", 6), 6);
	/* Its chain is in flight still, and will be served again. */
	expect_after_crash("", "");
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 0);
	expect_after_crash("abcdef", "");
	send_some(0, "abc");
	expect_after_crash("def", "");
	send_some(3, "def");
	expect_after_crash("", "");
	end();
}

/* The kernel has taken nothing: the peer is gone, or full. */
static void send_that_fails_sends_nothing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(port_output(&rig.port, "abc", 3), 3);
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 0);
	rig.fds[1] = fd_close(rig.fds[1]);
	assert_int_equal(port_journal_send(rig.j, rig.fds[0], 0, "abc", 3), -EPIPE);
	expect_after_crash("abc", "");
	end();
}

/* VU-171: what is committed is returned, what is not is served again. */
static void ring_that_was_not_published_is_by_the_next_process(void **state)
{
	const struct ring_mark gave = { 2, 5, 0, 0, 0 }, took = { 3, 0x8004, 2, 7, 9 };
	struct ring_mark mark;

	(void)state;
	begin();
	port_journal_guest_gave(rig.j, &rig.port, &gave, 9, 700);
	port_input_taken(&rig.port, &took);
	crash();
	assert_true(port_journal_resume(rig.found, GUEST, TX, &mark));
	assert_memory_equal(&mark, &gave, sizeof(mark));
	assert_true(port_journal_resume(rig.found, GUEST, RX, &mark));
	assert_memory_equal(&mark, &took, sizeof(mark));
	assert_int_equal(port_journal_out_done(rig.found, GUEST, 9), 700);
	/* Once: what comes then is this process's own. */
	assert_false(port_journal_resume(rig.found, GUEST, TX, &mark));
	assert_int_equal(port_journal_out_done(rig.found, GUEST, 9), 0);
	crash_over();
	crash();
	assert_int_equal(port_journal_out_done(rig.found, GUEST, 8), 0);
	crash_over();
	end();
}

static void ring_of_another_guest_is_left_alone(void **state)
{
	struct ring_mark mark;

	(void)state;
	begin();
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 700);
	port_input_taken(&rig.port, &some);
	crash();
	assert_false(port_journal_resume(rig.found, GUEST + 1, TX, &mark));
	assert_false(port_journal_resume(rig.found, GUEST + 1, RX, &mark));
	assert_int_equal(port_journal_out_done(rig.found, GUEST + 1, 0), 0);
	crash_over();
	crash();
	assert_false(port_journal_resume(rig.found, 0, TX, &mark));
	crash_over();
	end();
}

/* Killed when one ring of the new guest has started: the other's mark was the old one's. */
static void ring_of_another_guest_is_left_alone_by_the_process_after(void **state)
{
	struct ring_mark mark;

	(void)state;
	begin();
	port_journal_guest_gave(rig.j, &rig.port, &some, 4, 700);
	port_input_taken(&rig.port, &some);
	assert_false(port_journal_resume(rig.j, GUEST + 1, RX, &mark));
	crash();
	assert_true(port_journal_resume(rig.found, GUEST + 1, TX, &mark));
	assert_int_equal(mark.n, 0);
	assert_int_equal(port_journal_out_done(rig.found, GUEST + 1, 4), 0);
	crash_over();
	end();
}

/* As a port that is added, or gets another name, while the guest runs. */
static void port_that_meets_a_running_guest_is_there_after_a_crash(void **state)
{
	struct ring_mark mark;

	(void)state;
	begin();
	port_journal_guest_gave(rig.j, &rig.port, &some, 4, 700);
	port_journal_meet(rig.j, GUEST + 2);
	crash();
	assert_true(port_journal_resume(rig.found, GUEST + 2, TX, &mark));
	assert_int_equal(mark.n, 0);
	crash_over();
	port_journal_guest_gave(rig.j, &rig.port, &some, 4, 700);
	crash();
	assert_true(port_journal_resume(rig.found, GUEST + 2, TX, &mark));
	assert_memory_equal(&mark, &some, sizeof(mark));
	crash_over();
	end();
}

/* VC-062: what a client was promised waits for the next one, however long that takes. */
static void output_that_was_promised_waits_for_the_next_client(void **state)
{
	struct port_client client, late;
	char buf[PORT_READ_MIN];

	(void)state;
	begin();
	assert_int_equal(port_output(&rig.port, "abcdef", 6), 6);
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 0);
	send_some(0, "ab");
	crash();
	assert_int_equal(port_output_room(&rig.next), HISTORY - 4);
	port_join(&rig.next, &client, &no_ops, &writer);
	assert_int_equal(port_read(&client, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "cdef", 4);
	port_join(&rig.next, &late, &no_ops, &writer);
	assert_int_equal(port_read(&late, buf, sizeof(buf)), 0);
	port_leave(&late);
	port_leave(&client);
	assert_true(port_output_room(&rig.next) == UINT64_MAX);
	crash_over();
	end();
}

/* One that left by itself is not waited for. */
static void output_after_the_client_has_left_waits_for_nobody(void **state)
{
	(void)state;
	begin();
	assert_int_equal(port_output(&rig.port, "abcdef", 6), 6);
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 0);
	port_journal_leave(rig.j);
	crash();
	assert_true(port_output_room(&rig.next) == UINT64_MAX);
	crash_over();
	end();
}

/* Every byte of the file is changed: nothing worse than other contents comes of it. */
static void journal_that_is_damaged_does_no_harm(void **state)
{
	(void)state;
	begin();
	receive("hello");
	assert_int_equal(port_output(&rig.port, "abcdef", 6), 6);
	port_journal_guest_gave(rig.j, &rig.port, &some, 0, 0);
	for (size_t at = 0; at < 8192; at++) {
		uint8_t *byte = (uint8_t *)rig.j->file.header + at, was = *byte;

		*byte = (uint8_t)~was;
		crash();
		assert_true(bytering_used(&rig.next.in) <= PORT_JOURNAL_INPUT);
		assert_true(bytering_used(&rig.next.out) <= HISTORY);
		crash_over();
		*byte = was;
	}
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(input_at_every_step_is_there_once),
	UNIT_TEST(receive_of_nothing_brings_nothing),
	UNIT_TEST(output_at_every_step_is_there_once),
	UNIT_TEST(send_that_fails_sends_nothing),
	UNIT_TEST(ring_that_was_not_published_is_by_the_next_process),
	UNIT_TEST(ring_of_another_guest_is_left_alone),
	UNIT_TEST(ring_of_another_guest_is_left_alone_by_the_process_after),
	UNIT_TEST(port_that_meets_a_running_guest_is_there_after_a_crash),
	UNIT_TEST(output_that_was_promised_waits_for_the_next_client),
	UNIT_TEST(output_after_the_client_has_left_waits_for_nobody),
	UNIT_TEST(journal_that_is_damaged_does_no_harm),
};

UNIT_MAIN(tests)
