/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Output and input of a port. Who is there and who leads is test_port_clients.c's. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "port_rig.h"

static void history_is_rounded_up_to_a_power_of_two(void **state)
{
	static const size_t rows[][2] = {
		{ 1, 1 }, { 4096, 4096 }, { 4097, 8192 }, { 5000, 8192 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct port port;

		assert_int_equal(port_init(&port, rows[i][0]), 0);
		assert_int_equal(port.out.size, rows[i][1]);
		port_fini(&port);
	}
}

/* VC-093 */
static void output_before_a_client_is_read_in_order(void **state)
{
	(void)state;
	output("first ");
	output("second");
	join(&rig.a, &person);
	assert_true(port_readable(&rig.a.client));
	expect(&rig.a, "first second");
	output(" third");
	assert_int_equal(rig.a.n_output, 1);
	expect(&rig.a, " third");
	leave(&rig.a);
}

static void clients_read_at_cursors_of_their_own(void **state)
{
	(void)state;
	output("one ");
	join(&rig.a, &person);
	expect(&rig.a, "one ");
	output("two ");
	join(&rig.b, &person);
	expect(&rig.b, "one two ");
	expect(&rig.a, "two ");
	leave(&rig.a);
	output("three");
	expect(&rig.b, "three");
	leave(&rig.b);
}

static void as_much_old_output_is_given_as_was_asked_for(void **state)
{
	struct port_client_options some = person, none = person, more = person;

	(void)state;
	some.replay = 4;
	none.replay = 0;
	more.replay = 5000;
	output("0123456789");
	join(&rig.a, &none);
	assert_false(port_readable(&rig.a.client));
	join(&rig.b, &some);
	expect(&rig.b, "6789");
	join(&rig.c, &more);
	expect(&rig.c, "0123456789");
	leave(&rig.a);
	leave(&rig.b);
	leave(&rig.c);
}

static void reads_in_small_pieces_lose_nothing(void **state)
{
	char text[HISTORY], got[2 * HISTORY];
	size_t n, done = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	port_output(&rig.port, text, 1500); /* the ring wraps */
	port_output(&rig.port, text, sizeof(text));
	join(&rig.a, &file);
	rig.a.client.pos = rig.port.out.tail;
	while ((n = port_read(&rig.a.client, got + done, PORT_READ_MIN)) > 0)
		done += n;
	assert_int_equal(done, sizeof(text));
	assert_memory_equal(got, text, done);
	leave(&rig.a);
}

static void old_questions_are_not_for_people_who_come_later(void **state)
{
	(void)state;
	output("a\x1b[6nb");
	join(&rig.a, &person);
	join(&rig.b, &file);
	expect(&rig.a, "ab");
	expect(&rig.b, "a\x1b[6nb");
	/* One that is asked now is answered. */
	output("\x1b[6n");
	expect(&rig.a, "\x1b[6n");
	leave(&rig.a);
	leave(&rig.b);
}

/* Old output of every length, around the ring's end, in reads of every size. */
static void old_output_is_whole_however_it_is_read(void **state)
{
	static const char unit[] = "text \x1b[1m\x1b[6n\x1b]0;t\a";
	static char raw[3 * HISTORY], want[3 * HISTORY];
	size_t n_raw = 0, n_want = 0;

	(void)state;
	for (unsigned int i = 0; n_raw < HISTORY - 100; i++) {
		n_raw += (size_t)sprintf(raw + n_raw, "%u%s", i, unit);
		n_want += (size_t)sprintf(want + n_want, "%utext \x1b[1m\x1b]0;t\a", i);
	}
	port_output(&rig.port, raw, 3000); /* the ring wraps amid what follows */
	for (size_t cap = PORT_READ_MIN; cap < PORT_READ_MIN + 40; cap++) {
		struct port_client_options newest = person;
		char got[3 * HISTORY];
		size_t n, done = 0;

		newest.replay = n_raw;
		port_output(&rig.port, raw, n_raw);
		join(&rig.a, &newest);
		while ((n = port_read(&rig.a.client, got + done, cap)) > 0)
			done += n;
		assert_int_equal(done, n_want);
		assert_memory_equal(got, want, done);
		leave(&rig.a);
	}
}

static void old_output_of_nothing_but_questions_reads_as_nothing(void **state)
{
	char buf[PORT_READ_MIN];

	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		output("\x1b[6n");
	join(&rig.a, &person);
	assert_int_equal(port_read(&rig.a.client, buf, sizeof(buf)), 0);
	assert_false(port_readable(&rig.a.client));
	leave(&rig.a);
}

/* What is held of it has lost its other half; what is left of the old is read on. */
static void old_output_overwritten_amid_a_sequence_is_told_as_lost(void **state)
{
	static char old[1200], rest[HISTORY + 1];
	char buf[PORT_READ_MIN];

	(void)state;
	memset(old, 'o', sizeof(old));
	memcpy(old + 90, "\x1b]0;a title", 12);
	port_output(&rig.port, old, sizeof(old));
	join(&rig.a, &person);
	assert_int_equal(port_read(&rig.a.client, buf, sizeof(buf)), 90);
	memset(rest, 'm', HISTORY);
	port_output(&rig.port, rest, HISTORY - 600);
	memset(rest, 'o', 600);
	expect_loss(&rig.a, 600 - 90, rest);
	assert_int_equal(rig.a.client.n_lost, 600 - 90);
	leave(&rig.a);
}

/* VC-061 */
static void slow_client_sees_how_much_it_lost_once(void **state)
{
	static char kept[HISTORY + 1];
	char bulk[1000];

	(void)state;
	join(&rig.a, &person);
	output("seen");
	expect(&rig.a, "seen");
	memset(bulk, 'x', sizeof(bulk));
	for (unsigned int i = 0; i < 10; i++)
		port_output(&rig.port, bulk, sizeof(bulk));
	memset(kept, 'x', HISTORY);
	expect_loss(&rig.a, 10000 - HISTORY, kept);
	assert_int_equal(rig.port.counters.output_lost, 10000 - HISTORY);
	output("on");
	expect(&rig.a, "on");
	/* A client that comes now is told as well: it is late by what is gone. */
	join(&rig.b, &person);
	kept[HISTORY - 2] = 'o';
	kept[HISTORY - 1] = 'n';
	expect_loss(&rig.b, 10006 - HISTORY, kept);
	leave(&rig.a);
	leave(&rig.b);
}

/* As one that connects again is given what it missed, and asks for more than is left. */
static void old_output_that_is_gone_is_lost_to_who_asked_for_it(void **state)
{
	struct port_client_options again = worker;
	char buf[2 * HISTORY];

	(void)state;
	output_bytes(3 * HISTORY);
	again.replay = 2 * HISTORY;
	join(&rig.a, &again);
	assert_int_equal(port_read(&rig.a.client, buf, sizeof(buf)), HISTORY);
	assert_int_equal(rig.a.client.n_lost, HISTORY);
	assert_int_equal(rig.port.counters.output_lost, HISTORY);
	leave(&rig.a);
}

static void files_get_no_words_of_ours(void **state)
{
	static char kept[HISTORY + 1];

	(void)state;
	join(&rig.a, &file);
	memset(kept, 'x', HISTORY);
	output("lost");
	output(kept);
	expect(&rig.a, kept);
	assert_int_equal(rig.a.client.n_lost, 4);
	leave(&rig.a);
}

/* The worst: a number of twenty digits and a notice fit the least that may be read. */
static void loss_of_any_number_fits(void **state)
{
	char buf[PORT_READ_MIN];
	size_t n;

	(void)state;
	rig.port.out.head = UINT64_MAX - 5;
	rig.port.out.tail = UINT64_MAX - 5;
	join(&rig.a, &person);
	rig.a.client.notice = "the keyboard was taken over by another client";
	n = port_read(&rig.a.client, buf, sizeof(buf));
	assert_memory_equal(buf + n - 2, "\r\n", 2);
	assert_non_null(memmem(buf, n, "[18446744073709551610 bytes", 27));
	assert_non_null(memmem(buf, n, "another client]", 15));
	leave(&rig.a);
}

/* A driver may offer one buffer a million times over: only what can be kept is copied. */
static void output_larger_than_the_ring_counts_whole_and_keeps_its_end(void **state)
{
	static char big[3000], end[2000], text[2 * HISTORY];
	struct iovec iov[] = { { big, sizeof(big) }, { big, sizeof(big) }, { end, sizeof(end) } };
	size_t n;

	(void)state;
	memset(big, 'b', sizeof(big));
	memset(end, 'e', sizeof(end));
	join(&rig.a, &person);
	port_output_v(&rig.port, iov, 3, 8000);
	n = port_read(&rig.a.client, text, sizeof(text));
	assert_non_null(memmem(text, n, "[3904 bytes of output lost here]", 32));
	assert_int_equal(rig.port.counters.output, 8000);
	assert_memory_equal(text + n - sizeof(end), end, sizeof(end));
	assert_memory_equal(text + n - 4096, big, 2096);
	leave(&rig.a);
}

static void port_that_drops_has_room_for_anything(void **state)
{
	(void)state;
	join(&rig.a, &worker);
	output_bytes(HISTORY);
	assert_int_equal(port_output_room(&rig.port), UINT64_MAX);
	leave(&rig.a);
}

/* VC-062: the slowest of those that hold counts, the others do not. */
static void port_that_holds_has_room_as_the_slowest_holder_reads(void **state)
{
	char buf[2 * HISTORY];

	(void)state;
	port_set_overflow(&rig.port, PORT_HOLD);
	assert_int_equal(port_output_room(&rig.port), UINT64_MAX); /* VC-063 */
	join(&rig.a, &worker);
	join(&rig.b, &worker);
	join(&rig.c, &file);
	assert_int_equal(port_output_room(&rig.port), HISTORY);
	output_bytes(3000);
	port_read(&rig.a.client, buf, sizeof(buf));
	assert_int_equal(port_output_room(&rig.port), HISTORY - 3000);
	output_bytes(HISTORY - 3000);
	assert_int_equal(port_output_room(&rig.port), 0);
	port_read(&rig.b.client, buf, 1000);
	assert_int_equal(port_output_room(&rig.port), 1000);
	leave(&rig.b);
	assert_int_equal(port_output_room(&rig.port), 3000);
	assert_int_equal(rig.port.counters.output_lost, 0);
	leave(&rig.a);
	assert_int_equal(port_output_room(&rig.port), UINT64_MAX);
	leave(&rig.c);
}

static void holder_given_old_output_holds_for_it_and_not_for_what_is_gone(void **state)
{
	struct port_client_options late = worker;
	char buf[2 * HISTORY];

	(void)state;
	port_set_overflow(&rig.port, PORT_HOLD);
	output_bytes(HISTORY + 500);
	late.replay = PORT_REPLAY_ALL;
	join(&rig.a, &late);
	assert_int_equal(port_output_room(&rig.port), 0);
	assert_int_equal(port_read(&rig.a.client, buf, 1000), 1000);
	assert_int_equal(port_output_room(&rig.port), 1000);
	leave(&rig.a);
	late.replay = 100;
	join(&rig.a, &late);
	assert_int_equal(port_output_room(&rig.port), HISTORY - 100);
	leave(&rig.a);
}

/* It was too late for some of it when the port dropped. */
static void holder_left_behind_before_the_port_held_has_room_again_when_it_reads(void **state)
{
	char buf[2 * HISTORY];

	(void)state;
	join(&rig.a, &worker);
	output_bytes(3 * HISTORY);
	port_set_overflow(&rig.port, PORT_HOLD);
	assert_int_equal(port_output_room(&rig.port), 0);
	port_output_stalled(&rig.port);
	port_read(&rig.a.client, buf, 1000);
	assert_int_equal(rig.device.n_room, 1);
	assert_int_equal(port_output_room(&rig.port), 1000);
	leave(&rig.a);
}

static void stall(void)
{
	port_set_overflow(&rig.port, PORT_HOLD);
	join(&rig.a, &worker);
	output_bytes(HISTORY);
	assert_int_equal(port_output_room(&rig.port), 0);
	port_output_stalled(&rig.port);
	port_output_stalled(&rig.port);
	assert_int_equal(rig.port.counters.n_stalls, 1);
	assert_int_equal(rig.device.n_room, 0);
}

static void expect_woken(void)
{
	assert_int_equal(rig.device.n_room, 1);
	assert_false(rig.port.stalled);
	assert_int_equal(rig.port.counters.stalled_ns, port_stalled_ns(&rig.port));
	assert_true(port_output_room(&rig.port) > 0);
}

static void stalled_device_is_woken_by_a_read(void **state)
{
	char buf[PORT_READ_MIN];

	(void)state;
	stall();
	port_read(&rig.a.client, buf, sizeof(buf));
	expect_woken();
	port_read(&rig.a.client, buf, sizeof(buf));
	assert_int_equal(rig.device.n_room, 1);
	leave(&rig.a);
}

/* VC-064 */
static void stalled_device_is_woken_when_the_holder_leaves(void **state)
{
	(void)state;
	stall();
	leave(&rig.a);
	expect_woken();
}

static void stalled_device_is_woken_by_another_policy(void **state)
{
	(void)state;
	stall();
	port_set_overflow(&rig.port, PORT_DROP);
	expect_woken();
	leave(&rig.a);
}

static void stalled_device_is_woken_when_output_is_disabled(void **state)
{
	(void)state;
	stall();
	port_enable_output(&rig.port, false);
	expect_woken();
	leave(&rig.a);
}

static void stalled_device_waits_for_the_slowest(void **state)
{
	char buf[2 * HISTORY];

	(void)state;
	join(&rig.b, &worker);
	stall();
	port_read(&rig.a.client, buf, sizeof(buf));
	leave(&rig.a);
	assert_int_equal(rig.device.n_room, 0);
	assert_true(rig.port.stalled);
	port_read(&rig.b.client, buf, sizeof(buf));
	expect_woken();
	leave(&rig.b);
}

static void stall_ends_with_the_guest(void **state)
{
	uint64_t waited;

	(void)state;
	port_set_present(&rig.port, true);
	stall();
	waited = port_stalled_ns(&rig.port);
	while (port_stalled_ns(&rig.port) == waited)
		; /* it grows while it goes on, by the clock's smallest step */
	port_set_present(&rig.port, false);
	assert_false(rig.port.stalled);
	assert_true(rig.port.counters.stalled_ns > waited);
	leave(&rig.a);
	assert_int_equal(rig.device.n_room, 0);
}

static void disabled_output_is_discarded_and_counted(void **state)
{
	(void)state;
	join(&rig.a, &worker);
	port_set_overflow(&rig.port, PORT_HOLD);
	port_enable_output(&rig.port, false);
	output_bytes(2 * HISTORY);
	assert_int_equal(port_output_room(&rig.port), UINT64_MAX);
	assert_false(port_readable(&rig.a.client));
	assert_int_equal(rig.port.counters.output_discarded, 2 * HISTORY);
	port_enable_output(&rig.port, true);
	output("on");
	expect(&rig.a, "on");
	assert_int_equal(rig.port.counters.output, 2 * HISTORY + 2);
	assert_int_equal(rig.port.counters.output_discarded, 2 * HISTORY);
	leave(&rig.a);
}

static void input_is_bounded_and_room_is_told_to_the_writer(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + 1], got[PORT_INPUT_SIZE];

	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31);
	assert_int_equal(port_input(&rig.port, bytes, sizeof(bytes)), PORT_INPUT_SIZE);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_input(&rig.port, bytes, 1), 0);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_input_pending(&rig.port), PORT_INPUT_SIZE);
	assert_int_equal(rig.a.n_room, 0);
	assert_int_equal(port_take_input(&rig.port, got, 1000), 1000);
	assert_int_equal(rig.a.n_room, 1);
	assert_int_equal(rig.b.n_room, 0);
	assert_int_equal(port_take_input(&rig.port, got + 1000, sizeof(got)),
			 PORT_INPUT_SIZE - 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	assert_int_equal(port_take_input(&rig.port, got, 1), 0);
	assert_int_equal(rig.port.counters.input, PORT_INPUT_SIZE);
	assert_int_equal(rig.a.client.n_written, PORT_INPUT_SIZE);
	leave(&rig.a);
	leave(&rig.b);
}

/* VC-097: typed ahead by one, delivered although it is gone. */
static void input_outlives_the_client_that_typed_it(void **state)
{
	(void)state;
	join(&rig.a, &person);
	assert_int_equal(port_input(&rig.port, "ahead", 5), 5);
	leave(&rig.a);
	expect_input("ahead");
}

static void disabled_input_is_withheld_and_comes_later(void **state)
{
	char got[8];

	(void)state;
	join(&rig.a, &person);
	port_enable_input(&rig.port, false);
	assert_int_equal(port_input(&rig.port, "typed", 5), 5);
	assert_int_equal(rig.device.n_input, 0);
	assert_int_equal(port_input_pending(&rig.port), 0);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 0);
	port_enable_input(&rig.port, true);
	assert_int_equal(rig.device.n_input, 1);
	expect_input("typed");
	leave(&rig.a);
}

static void input_is_seen_by_those_who_look(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + 1];

	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &file);
	port_input(&rig.port, "ab", 2);
	assert_int_equal(rig.b.n_seen, 2);
	/* Only what the port has taken. */
	port_input(&rig.port, bytes, sizeof(bytes));
	assert_int_equal(rig.b.n_seen, PORT_INPUT_SIZE);
	leave(&rig.a);
	leave(&rig.b);
}

static void port_without_a_device_or_callbacks_works(void **state)
{
	static const struct port_client_ops deaf = { .output_ready = NULL };
	struct port_client client;

	(void)state;
	rig.port.dev_ops = NULL;
	port_join(&rig.port, &client, &deaf, &worker);
	port_set_overflow(&rig.port, PORT_HOLD);
	output_bytes(HISTORY);
	port_output_stalled(&rig.port);
	assert_int_equal(port_input(&rig.port, "x", 1), 1);
	port_set_present(&rig.port, true);
	port_set_guest_open(&rig.port, true);
	port_resize(&rig.port, 1, 1);
	expect_input("x");
	port_end_input(&client);
	port_leave(&client);
	assert_false(rig.port.stalled);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(history_is_rounded_up_to_a_power_of_two),
	PORT_TEST(output_before_a_client_is_read_in_order),
	PORT_TEST(clients_read_at_cursors_of_their_own),
	PORT_TEST(as_much_old_output_is_given_as_was_asked_for),
	PORT_TEST(reads_in_small_pieces_lose_nothing),
	PORT_TEST(old_questions_are_not_for_people_who_come_later),
	PORT_TEST(old_output_is_whole_however_it_is_read),
	PORT_TEST(old_output_of_nothing_but_questions_reads_as_nothing),
	PORT_TEST(old_output_overwritten_amid_a_sequence_is_told_as_lost),
	PORT_TEST(slow_client_sees_how_much_it_lost_once),
	PORT_TEST(old_output_that_is_gone_is_lost_to_who_asked_for_it),
	PORT_TEST(files_get_no_words_of_ours),
	PORT_TEST(loss_of_any_number_fits),
	PORT_TEST(output_larger_than_the_ring_counts_whole_and_keeps_its_end),
	PORT_TEST(port_that_drops_has_room_for_anything),
	PORT_TEST(port_that_holds_has_room_as_the_slowest_holder_reads),
	PORT_TEST(holder_given_old_output_holds_for_it_and_not_for_what_is_gone),
	PORT_TEST(holder_left_behind_before_the_port_held_has_room_again_when_it_reads),
	PORT_TEST(stalled_device_is_woken_by_a_read),
	PORT_TEST(stalled_device_is_woken_when_the_holder_leaves),
	PORT_TEST(stalled_device_is_woken_by_another_policy),
	PORT_TEST(stalled_device_is_woken_when_output_is_disabled),
	PORT_TEST(stalled_device_waits_for_the_slowest),
	PORT_TEST(stall_ends_with_the_guest),
	PORT_TEST(disabled_output_is_discarded_and_counted),
	PORT_TEST(input_is_bounded_and_room_is_told_to_the_writer),
	PORT_TEST(input_outlives_the_client_that_typed_it),
	PORT_TEST(disabled_input_is_withheld_and_comes_later),
	PORT_TEST(input_is_seen_by_those_who_look),
	PORT_TEST(port_without_a_device_or_callbacks_works),
};
UNIT_MAIN(tests)
