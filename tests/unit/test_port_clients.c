/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who is at a port: roles, the host side's state, sizes, and callbacks that come and go. */
#include "unit.h"

#include <string.h>

#include "port_rig.h"

static const struct port_client_options watcher = { .shows = true };

/* VC-050: the first that comes and the last that goes, and nobody between. */
static void host_side_is_open_while_anybody_is_there(void **state)
{
	(void)state;
	assert_false(port_host_open(&rig.port));
	join(&rig.a, &person);
	assert_true(port_host_open(&rig.port));
	join(&rig.b, &watcher);
	assert_int_equal(rig.device.n_open, 1);
	leave(&rig.a);
	assert_int_equal(rig.device.n_open, 1);
	leave(&rig.b);
	assert_int_equal(rig.device.n_open, 2);
	assert_false(port_host_open(&rig.port));
}

static void host_side_is_not_opened_by_a_log(void **state)
{
	(void)state;
	join(&rig.a, &file);
	assert_false(port_host_open(&rig.port));
	join(&rig.b, &person);
	leave(&rig.b);
	assert_false(port_host_open(&rig.port));
	assert_int_equal(rig.device.n_open, 2);
	leave(&rig.a);
}

/* VC-049 */
static void host_side_stays_open_until_the_last_input_is_taken(void **state)
{
	char got[8];

	(void)state;
	port_set_guest_open(&rig.port, true);
	join(&rig.a, &person);
	port_input(&rig.port, "ahead", 5);
	leave(&rig.a);
	assert_true(rig.device.open);
	assert_int_equal(port_take_input(&rig.port, got, 4), 4);
	assert_true(rig.device.open);
	assert_int_equal(port_take_input(&rig.port, got, 4), 1);
	assert_false(rig.device.open);
	assert_int_equal(rig.device.n_open, 2);
}

static void host_side_closes_at_once_when_nobody_takes_the_input(void **state)
{
	(void)state;
	join(&rig.a, &person);
	port_input(&rig.port, "ahead", 5);
	leave(&rig.a);
	assert_false(rig.device.open);
	/* A guest that opens now is still given it, and its end. */
	port_set_guest_open(&rig.port, true);
	assert_true(rig.device.open);
	expect_input("ahead");
	assert_false(rig.device.open);
}

static void host_side_closes_when_input_is_disabled_or_the_guest_closes(void **state)
{
	(void)state;
	port_set_guest_open(&rig.port, true);
	join(&rig.a, &person);
	port_input(&rig.port, "ahead", 5);
	leave(&rig.a);
	port_enable_input(&rig.port, false);
	assert_false(rig.device.open);
	port_enable_input(&rig.port, true);
	assert_true(rig.device.open);
	port_set_guest_open(&rig.port, false);
	assert_false(rig.device.open);
}

static void writer_is_the_first_and_then_the_next_that_may_write(void **state)
{
	(void)state;
	join(&rig.b, &watcher);
	assert_null(rig.port.writer);
	join(&rig.a, &person);
	join(&rig.c, &person);
	assert_true(port_is_writer(&rig.a.client));
	assert_int_equal(rig.c.n_room, 0);
	leave(&rig.a);
	assert_true(port_is_writer(&rig.c.client));
	assert_int_equal(rig.c.n_room, 1); /* it may begin */
	leave(&rig.c);
	assert_null(rig.port.writer);
	leave(&rig.b);
}

static void writer_whose_input_ended_hands_over_and_reads_on(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	port_end_input(&rig.a.client);
	assert_true(port_is_writer(&rig.b.client));
	assert_int_equal(rig.b.n_room, 1);
	output("both");
	expect(&rig.a, "both");
	expect(&rig.b, "both");
	/* It does not become the writer again, not even by force. */
	leave(&rig.b);
	assert_null(rig.port.writer);
	port_steal(&rig.a.client);
	assert_null(rig.port.writer);
	assert_true(port_host_open(&rig.port));
	join(&rig.c, &person);
	assert_true(port_is_writer(&rig.c.client));
	leave(&rig.c);
	leave(&rig.a);
}

static void joining_calls_none_of_the_clients_own_ops(void **state)
{
	struct port_client_options thief = person;

	(void)state;
	thief.steals = true;
	output("old");
	join(&rig.a, &person);
	join(&rig.b, &thief);
	assert_int_equal(rig.a.n_room + rig.a.n_output, 2); /* of losing its role */
	assert_int_equal(rig.b.n_room + rig.b.n_output + rig.b.n_guest, 0);
	leave(&rig.b);
	leave(&rig.a);
}

static void stealing_is_told_to_both_in_words(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	port_steal(&rig.b.client);
	assert_true(port_is_writer(&rig.b.client));
	assert_true(port_readable(&rig.a.client));
	expect(&rig.a, "\r\n[the keyboard was taken over by another client]\r\n");
	expect(&rig.b, "\r\n[the keyboard is yours now]\r\n");
	/* The loser stops waiting for room, so that it hears of its peer's end. */
	assert_int_equal(rig.a.n_room, 1);
	assert_int_equal(rig.b.n_room, 1);
	port_steal(&rig.b.client);
	assert_int_equal(rig.b.n_room, 1);
	leave(&rig.b);
	assert_true(port_is_writer(&rig.a.client));
	leave(&rig.a);
}

static void stealing_leaves_what_was_typed(void **state)
{
	struct port_client_options thief = worker;

	(void)state;
	thief.steals = true;
	join(&rig.a, &person);
	port_input(&rig.port, "one ", 4);
	join(&rig.b, &thief);
	port_input(&rig.port, "two", 3);
	expect_input("one two");
	assert_int_equal(rig.a.client.n_written, 4);
	assert_int_equal(rig.b.client.n_written, 3);
	assert_false(port_readable(&rig.b.client)); /* a program is told nothing in words */
	leave(&rig.a);
	leave(&rig.b);
}

static void watcher_cannot_steal(void **state)
{
	(void)state;
	join(&rig.a, &watcher);
	port_steal(&rig.a.client);
	assert_null(rig.port.writer);
	leave(&rig.a);
}

static void clients_are_found_by_numbers_that_are_not_used_again(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	assert_ptr_equal(port_find_client(&rig.port, 1), &rig.a.client);
	assert_ptr_equal(port_find_client(&rig.port, 2), &rig.b.client);
	leave(&rig.b);
	join(&rig.b, &person);
	assert_null(port_find_client(&rig.port, 2));
	assert_ptr_equal(port_find_client(&rig.port, 3), &rig.b.client);
	assert_null(port_find_client(&rig.port, 0));
	leave(&rig.a);
	leave(&rig.b);
}

static void description_is_copied_and_cut(void **state)
{
	char what[2 * PORT_WHAT_MAX];
	struct port_client_options options = { .what = what };

	(void)state;
	memset(what, 'w', sizeof(what) - 1);
	what[sizeof(what) - 1] = '\0';
	join(&rig.a, &options);
	assert_int_equal(strlen(rig.a.client.what), PORT_WHAT_MAX - 1);
	leave(&rig.a);
	options.what = NULL;
	join(&rig.a, &options);
	assert_string_equal(rig.a.client.what, "");
	leave(&rig.a);
}

/* VC-051 */
static void guest_that_comes_or_opens_is_told_to_all_once(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &file);
	port_set_present(&rig.port, true);
	port_set_present(&rig.port, true);
	assert_int_equal(rig.a.n_guest, 1);
	port_set_guest_open(&rig.port, true);
	port_set_guest_open(&rig.port, true);
	assert_int_equal(rig.a.n_guest, 2);
	port_set_guest_open(&rig.port, false);
	port_set_present(&rig.port, false);
	assert_int_equal(rig.a.n_guest, 4);
	assert_int_equal(rig.b.n_guest, 4);
	leave(&rig.a);
	leave(&rig.b);
}

static void expect_size(unsigned int n_told, uint16_t cols, uint16_t rows)
{
	assert_int_equal(rig.device.n_size, n_told);
	assert_int_equal(rig.port.cols, cols);
	assert_int_equal(rig.port.rows, rows);
}

static void size_is_told_when_it_changes(void **state)
{
	(void)state;
	port_resize(&rig.port, 80, 25);
	port_resize(&rig.port, 80, 25);
	expect_size(1, 80, 25);
	port_resize(&rig.port, 80, 26);
	expect_size(2, 80, 26);
}

static void size_that_is_half_unknown_is_unknown(void **state)
{
	(void)state;
	port_resize(&rig.port, 80, 25);
	port_resize(&rig.port, 80, 0);
	expect_size(2, 0, 0);
	port_resize(&rig.port, 0, 25);
	expect_size(2, 0, 0);
}

static void size_is_the_writers_whoever_that_is(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	join(&rig.c, &person);
	port_client_resize(&rig.a.client, 80, 24);
	port_client_resize(&rig.b.client, 132, 43);
	expect_size(1, 80, 24);
	port_steal(&rig.b.client);
	expect_size(2, 132, 43);
	leave(&rig.b);
	expect_size(3, 80, 24);
	/* The next one's is not known: it stays. */
	leave(&rig.a);
	assert_true(port_is_writer(&rig.c.client));
	expect_size(3, 80, 24);
	port_client_resize(&rig.c.client, 100, 0);
	expect_size(3, 80, 24);
	port_client_resize(&rig.c.client, 100, 30);
	expect_size(4, 100, 30);
	leave(&rig.c);
	expect_size(4, 100, 30);
}

/* The operator's word counts until the writer's terminal changes. */
static void size_that_was_set_yields_to_the_writers_next(void **state)
{
	(void)state;
	join(&rig.a, &person);
	port_client_resize(&rig.a.client, 80, 24);
	port_resize(&rig.port, 200, 50);
	expect_size(2, 200, 50);
	port_client_resize(&rig.a.client, 80, 24);
	expect_size(2, 200, 50);
	port_client_resize(&rig.a.client, 81, 24);
	expect_size(3, 81, 24);
	leave(&rig.a);
}

/* Callbacks that leave the port, or make others leave, who are freed at once. */

static void leave_self(struct counter *c)
{
	leave(c);
}

static void leave_all(struct counter *c)
{
	struct counter *all[] = { &rig.a, &rig.b, &rig.c };

	(void)c;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->joined)
			leave(all[i]);
}

static void leave_next(struct counter *c)
{
	(void)c;
	leave(&rig.b);
}

static void join_three(void)
{
	join(&rig.a, &person);
	join(&rig.b, &person);
	join(&rig.c, &person);
}

static void told_of_output(void)
{
	output("x");
}

static void told_of_guest(void)
{
	port_set_present(&rig.port, true);
}

static void told_of_opening(void)
{
	port_set_guest_open(&rig.port, true);
}

static void told_of_input(void)
{
	port_input(&rig.port, "x", 1);
}

static void (*const walks[])(void) = { told_of_output, told_of_guest, told_of_opening,
				       told_of_input };

static void client_that_leaves_when_told_keeps_others_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
		unsigned int before;

		rig_teardown(state);
		rig_setup(state);
		join_three();
		rig.b.reaction = leave_self;
		before = rig.c.n_output + rig.c.n_guest + (unsigned int)rig.c.n_seen;
		walks[i]();
		assert_int_equal(rig.port.n_clients, 2);
		assert_true(rig.c.n_output + rig.c.n_guest + rig.c.n_seen > before);
		leave_all(NULL);
	}
}

static void client_that_makes_the_next_leave_keeps_others_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
		rig_teardown(state);
		rig_setup(state);
		join_three();
		rig.a.reaction = leave_next;
		walks[i]();
		assert_int_equal(rig.port.n_clients, 2);
		assert_int_equal(rig.b.n_output + rig.b.n_guest + rig.b.n_seen, 0);
		assert_int_equal(rig.c.n_output + rig.c.n_guest + rig.c.n_seen, 1);
		leave_all(NULL);
	}
}

static void client_that_makes_all_leave_ends_the_walk(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
		rig_teardown(state);
		rig_setup(state);
		join_three();
		rig.a.reaction = leave_all;
		walks[i]();
		assert_int_equal(rig.port.n_clients, 0);
		assert_null(rig.port.walk);
	}
}

static void output_again(struct counter *c)
{
	(void)c;
	rig.b.reaction = leave_all;
	output("y");
}

static void walk_in_a_walk_in_which_all_leave_ends_both(void **state)
{
	(void)state;
	join_three();
	rig.a.reaction = output_again;
	output("x");
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(rig.a.n_output, 2);
	assert_int_equal(rig.b.n_output, 1);
	assert_int_equal(rig.c.n_output, 0);
	assert_null(rig.port.walk);
}

static void join_c(struct counter *c)
{
	(void)c;
	join(&rig.c, &person);
}

static void client_that_joins_when_another_is_told_is_there_next_time(void **state)
{
	(void)state;
	join(&rig.a, &person);
	rig.a.reaction = join_c;
	output("x");
	assert_int_equal(rig.port.n_clients, 2);
	expect(&rig.c, "x");
	leave(&rig.a);
	leave(&rig.c);
}

static void writer_that_leaves_when_it_may_write_hands_on(void **state)
{
	(void)state;
	join_three();
	rig.b.reaction = leave_self;
	leave(&rig.a);
	assert_int_equal(rig.port.n_clients, 1);
	assert_true(port_is_writer(&rig.c.client));
	assert_int_equal(rig.c.n_room, 1);
	leave(&rig.c);
}

static void writer_that_leaves_when_the_guest_takes_input_closes_the_host_side(void **state)
{
	(void)state;
	port_set_guest_open(&rig.port, true);
	join(&rig.a, &person);
	port_input(&rig.port, "x", 1);
	rig.a.reaction = leave_self;
	expect_input("x");
	assert_false(rig.device.open);
	assert_int_equal(rig.device.n_open, 2);
}

static void input_again(struct counter *c)
{
	(void)c;
	port_input(&rig.port, "more", 4);
}

static void input_added_when_room_is_told_comes_after(void **state)
{
	(void)state;
	join(&rig.a, &person);
	port_input(&rig.port, "first ", 6);
	rig.a.reaction = input_again;
	expect_input("first ");
	expect_input("more");
	assert_int_equal(rig.device.n_input, 2);
	leave(&rig.a);
}

static void loser_that_leaves_when_told_does_no_harm(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	rig.a.reaction = leave_self;
	port_steal(&rig.b.client);
	assert_true(port_is_writer(&rig.b.client));
	assert_int_equal(rig.port.n_clients, 1);
	leave(&rig.b);
}

static void thief_that_leaves_when_told_does_no_harm(void **state)
{
	(void)state;
	join(&rig.a, &person);
	join(&rig.b, &person);
	rig.b.reaction = leave_self;
	port_steal(&rig.b.client);
	assert_true(port_is_writer(&rig.a.client));
	leave(&rig.a);
}

static void all_that_leave_when_a_role_is_told_do_no_harm(void **state)
{
	(void)state;
	join_three();
	rig.a.reaction = leave_all;
	port_steal(&rig.c.client);
	assert_int_equal(rig.port.n_clients, 0);
	assert_null(rig.port.writer);
}

static const struct CMUnitTest tests[] = {
	PORT_TEST(host_side_is_open_while_anybody_is_there),
	PORT_TEST(host_side_is_not_opened_by_a_log),
	PORT_TEST(host_side_stays_open_until_the_last_input_is_taken),
	PORT_TEST(host_side_closes_at_once_when_nobody_takes_the_input),
	PORT_TEST(host_side_closes_when_input_is_disabled_or_the_guest_closes),
	PORT_TEST(writer_is_the_first_and_then_the_next_that_may_write),
	PORT_TEST(writer_whose_input_ended_hands_over_and_reads_on),
	PORT_TEST(joining_calls_none_of_the_clients_own_ops),
	PORT_TEST(stealing_is_told_to_both_in_words),
	PORT_TEST(stealing_leaves_what_was_typed),
	PORT_TEST(watcher_cannot_steal),
	PORT_TEST(clients_are_found_by_numbers_that_are_not_used_again),
	PORT_TEST(description_is_copied_and_cut),
	PORT_TEST(guest_that_comes_or_opens_is_told_to_all_once),
	PORT_TEST(size_is_told_when_it_changes),
	PORT_TEST(size_that_is_half_unknown_is_unknown),
	PORT_TEST(size_is_the_writers_whoever_that_is),
	PORT_TEST(size_that_was_set_yields_to_the_writers_next),
	PORT_TEST(client_that_leaves_when_told_keeps_others_told),
	PORT_TEST(client_that_makes_the_next_leave_keeps_others_told),
	PORT_TEST(client_that_makes_all_leave_ends_the_walk),
	PORT_TEST(walk_in_a_walk_in_which_all_leave_ends_both),
	PORT_TEST(client_that_joins_when_another_is_told_is_there_next_time),
	PORT_TEST(writer_that_leaves_when_it_may_write_hands_on),
	PORT_TEST(writer_that_leaves_when_the_guest_takes_input_closes_the_host_side),
	PORT_TEST(input_added_when_room_is_told_comes_after),
	PORT_TEST(loser_that_leaves_when_told_does_no_harm),
	PORT_TEST(thief_that_leaves_when_told_does_no_harm),
	PORT_TEST(all_that_leave_when_a_role_is_told_do_no_harm),
};
UNIT_MAIN(tests)
