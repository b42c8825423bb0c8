/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest of the daemon: ports and attachments that come, go and change while it runs. */
#include "guest_rig.h"

#include <sys/stat.h>

static void guest_when_new_has_its_ports_and_its_socket(void **state)
{
	struct stat st;

	(void)state;
	rig_begin("0,console,unix:a", "3,name=org.x,unix:b,mode=0600");
	assert_int_equal(guest_n_ports(rig.guest), 2);
	assert_non_null(console_port(&rig.guest->console, 0));
	assert_null(console_port(&rig.guest->console, 1));
	assert_true(console_port(&rig.guest->console, 0)->console);
	assert_int_equal(console_port(&rig.guest->console, 0)->overflow, PORT_DROP);
	assert_string_equal(console_port(&rig.guest->console, 3)->name, "org.x");
	assert_int_equal(console_port(&rig.guest->console, 3)->overflow, PORT_HOLD);
	assert_int_equal(lstat(rig_path("front"), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(lstat(rig_path("b"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	rig_end();
	assert_int_equal(access(rig_path("front"), F_OK), -1);
	assert_int_equal(access(rig_path("a"), F_OK), -1);
}

static void guest_when_an_attachment_cannot_be_opened_fails_with_a_sentence(void **state)
{
	struct device_spec *spec;

	(void)state;
	rig_prepare();
	spec = rig_device("0,console,unix:a", "1,unix:b,unix:none/c");
	assert_true(guest_new(&rig.env, spec, &rig.defaults, -1, &rig.guest, rig.why,
			      sizeof(rig.why)) < 0);
	assert_non_null(strstr(rig.why, "port 1: "));
	assert_non_null(strstr(rig.why, "none/c"));
	assert_non_null(rig.guest);
	rig_end();
	assert_int_equal(access(rig_path("front"), F_OK), -1);
	assert_int_equal(access(rig_path("a"), F_OK), -1);
	assert_int_equal(access(rig_path("b"), F_OK), -1);
}

static void port_when_found_is_by_number_before_name(void **state)
{
	(void)state;
	rig_begin("0,console", "1,name=7", "2,name=1", "7,name=seven");
	assert_int_equal(guest_find_port(rig.guest, "0")->number, 0);
	assert_int_equal(guest_find_port(rig.guest, "1")->number, 1);
	assert_int_equal(guest_find_port(rig.guest, "7")->number, 7);
	assert_int_equal(guest_find_port(rig.guest, "seven")->number, 7);
	assert_null(guest_find_port(rig.guest, "3"));
	assert_null(guest_find_port(rig.guest, ""));
	assert_null(guest_find_port(rig.guest, "4294967296"));
	rig_end();
}

static void added_port_when_without_a_number_gets_the_lowest_free(void **state)
{
	(void)state;
	rig_begin("2,name=two");
	assert_int_equal(rig_add("name=x,null"), 0);
	assert_int_equal(guest_find_port(rig.guest, "x")->number, 1);
	assert_int_equal(rig_add("console,null"), 0);
	assert_non_null(guest_find_number_of(0));
	assert_int_equal(rig_add("name=y"), 0);
	assert_int_equal(guest_find_port(rig.guest, "y")->number, 3);
	rig_end();
}

static void added_port_when_its_place_is_taken_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	rig_begin("0,console", "1,name=a");
	assert_int_equal(rig_add("1,name=b,unix:b"), -EEXIST);
	assert_non_null(strstr(rig.why, "port 1"));
	assert_int_equal(rig_add("2,name=a,unix:b"), -EEXIST);
	assert_non_null(strstr(rig.why, "name a"));
	assert_int_equal(rig_add("8,name=b,unix:b"), -ERANGE);
	assert_non_null(strstr(rig.why, "below 8"));
	assert_int_equal(access(rig_path("b"), F_OK), -1);
	for (unsigned int i = 2; i < RIG_MAX_PORTS; i++)
		assert_int_equal(rig_add("null"), 0);
	assert_int_equal(rig_add("null"), -ERANGE);
	assert_int_equal(guest_n_ports(rig.guest), RIG_MAX_PORTS);
	rig_end();
}

static void added_port_when_one_attachment_fails_is_not_added(void **state)
{
	(void)state;
	rig_begin("0,console");
	assert_true(rig_add("1,name=a,unix:a,unix:none/b") < 0);
	assert_non_null(strstr(rig.why, "none/b"));
	assert_null(console_port(&rig.guest->console, 1));
	assert_null(guest_find_port(rig.guest, "a"));
	rig_settle();
	assert_int_equal(access(rig_path("a"), F_OK), -1);
	assert_int_equal(rig_add("1,name=a,unix:a"), 0);
	rig_end();
}

static void removed_port_when_it_has_a_client_gives_it_what_is_left(void **state)
{
	int client;

	(void)state;
	rig_begin("0,console", "1,name=a,unix:a,replay=all");
	client = rig_connect("a");
	rig_output(1, "last words");
	guest_remove_port(guest_find_port(rig.guest, "1"));
	assert_null(console_port(&rig.guest->console, 1));
	assert_null(guest_find_port(rig.guest, "1"));
	rig_expect(client, "last words");
	rig_expect_end(client);
	rig_settle();
	close(client);
	assert_int_equal(rig_add("1,name=a,unix:a"), 0);
	rig_end();
}

/* What it waits for never comes; only the deadline ends it. */
static void removed_port_when_its_client_takes_nothing_goes_all_the_same(void **state)
{
	int client;

	(void)state;
	rig_begin("0,console", "1,unix:a,history=8M");
	client = rig_connect("a");
	for (unsigned int i = 0; i < 64; i++)
		rig_output_bytes(1, 65536);
	guest_remove_port(guest_find_port(rig.guest, "1"));
	assert_false(guest_settled(rig.guest));
	rig_settle();
	assert_true(list_empty(&rig.guest->leaving));
	close(client);
	rig_end();
}

static void renamed_port_when_it_has_a_client_keeps_it(void **state)
{
	struct guest_port *p;
	int client;

	(void)state;
	rig_begin("0,console", "1,name=a,unix:a", "2,name=b");
	client = rig_connect("a");
	p = guest_find_port(rig.guest, "a");
	assert_int_equal(guest_rename_port(p, "b", rig.why, sizeof(rig.why)), -EEXIST);
	assert_int_equal(guest_rename_port(p, "x/y", rig.why, sizeof(rig.why)), -EINVAL);
	assert_string_equal(p->port.name, "a");
	assert_int_equal(guest_rename_port(p, "c", rig.why, sizeof(rig.why)), 0);
	assert_ptr_equal(guest_find_port(rig.guest, "c"), p);
	assert_ptr_equal(console_port(&rig.guest->console, 1), &p->port);
	rig_output(1, "still here");
	rig_expect(client, "still here");
	close(client);
	rig_end();
}

static void attachment_when_added_and_taken_away_comes_and_goes(void **state)
{
	struct guest_attachment *a;
	struct guest_port *p;
	int client;

	(void)state;
	rig_begin("0,console,null");
	p = guest_find_port(rig.guest, "0");
	assert_int_equal(rig_attach(p, "unix:a", &a), 0);
	assert_ptr_equal(guest_find_attachment(p, a->id), a);
	client = rig_connect("a");
	rig_output(0, "hello");
	rig_expect(client, "hello");
	guest_detach(a);
	assert_null(guest_find_attachment(p, a->id));
	guest_detach(a); /* twice is once */
	rig_expect_end(client);
	rig_settle();
	close(client);
	assert_true(rig_attach(p, "unix:none/a", &a) < 0);
	rig_end();
}

static void apply_when_nothing_differs_keeps_every_client(void **state)
{
	int first, second;

	(void)state;
	rig_begin("0,console,unix:a,null", "1,name=b,unix:b");
	first = rig_connect("a");
	second = rig_connect("b");
	rig_apply("0,console,unix:a,null", "1,name=b,unix:b");
	rig_output(0, "one");
	rig_output(1, "two");
	rig_expect(first, "one");
	rig_expect(second, "two");
	close(first);
	close(second);
	rig_end();
}

static void apply_when_a_port_comes_and_another_goes_leaves_the_third(void **state)
{
	int stays, goes, comes;

	(void)state;
	rig_begin("0,console,unix:a", "1,name=b,unix:b");
	stays = rig_connect("a");
	goes = rig_connect("b");
	/* The address that one has is wanted by the other. */
	rig_apply("0,console,unix:a", "2,name=c,unix:b");
	rig_expect_end(goes);
	assert_null(console_port(&rig.guest->console, 1));
	assert_string_equal(console_port(&rig.guest->console, 2)->name, "c");
	comes = rig_connect("b");
	rig_output(2, "new");
	rig_expect(comes, "new");
	rig_output(0, "old");
	rig_expect(stays, "old");
	close(stays);
	close(goes);
	close(comes);
	rig_end();
}

static void apply_when_a_line_before_it_goes_keeps_a_port_and_its_number(void **state)
{
	int client;

	(void)state;
	rig_begin("0,console", "name=a,unix:a", "name=b,unix:b");
	client = rig_connect("b");
	assert_int_equal(guest_find_port(rig.guest, "b")->number, 2);
	rig_apply("0,console", "name=b,unix:b");
	assert_int_equal(guest_find_port(rig.guest, "b")->number, 2);
	rig_apply("0,console", "name=c", "name=b,unix:b");
	assert_int_equal(guest_find_port(rig.guest, "b")->number, 2);
	assert_int_equal(guest_find_port(rig.guest, "c")->number, 1);
	rig_output(2, "same");
	rig_expect(client, "same");
	close(client);
	rig_end();
}

static void apply_when_an_attachment_is_written_otherwise_replaces_it_alone(void **state)
{
	int stays, goes;
	struct stat st;

	(void)state;
	rig_begin("0,console,unix:a,mode=0600,unix:b");
	goes = rig_connect("a");
	stays = rig_connect("b");
	rig_apply("0,console,unix:a,mode=0660,unix:b");
	rig_expect_end(goes);
	assert_int_equal(lstat(rig_path("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	rig_output(0, "still");
	rig_expect(stays, "still");
	close(stays);
	close(goes);
	rig_end();
}

static void apply_when_settings_differ_changes_them_under_the_clients(void **state)
{
	int client;

	(void)state;
	rig_begin("1,name=a,overflow=hold,unix:a");
	client = rig_connect("a");
	rig_apply("1,name=b,overflow=drop,unix:a");
	assert_int_equal(console_port(&rig.guest->console, 1)->overflow, PORT_DROP);
	assert_string_equal(console_port(&rig.guest->console, 1)->name, "b");
	rig_output(1, "same");
	rig_expect(client, "same");
	close(client);
	rig_end();
}

static void apply_when_names_are_swapped_swaps_them(void **state)
{
	(void)state;
	rig_begin("1,name=a", "2,name=b");
	rig_apply("1,name=b", "2,name=a");
	assert_string_equal(console_port(&rig.guest->console, 1)->name, "b");
	assert_string_equal(console_port(&rig.guest->console, 2)->name, "a");
	rig_end();
}

static void apply_when_history_differs_makes_another_port(void **state)
{
	int client;

	(void)state;
	rig_begin("1,name=a,history=64K,unix:a");
	client = rig_connect("a");
	rig_apply("1,name=a,history=128K,unix:a");
	rig_expect_end(client);
	assert_int_equal(console_port(&rig.guest->console, 1)->out.size, 128 * 1024);
	close(client);
	rig_end();
}

static void apply_when_something_cannot_be_opened_does_the_rest(void **state)
{
	int client;

	(void)state;
	rig_begin("0,console,unix:a");
	client = rig_connect("a");
	rig_apply("0,console,unix:a,unix:none/x", "1,unix:none/y", "2,unix:c", "8,unix:d");
	assert_null(console_port(&rig.guest->console, 1));
	assert_non_null(console_port(&rig.guest->console, 2));
	rig_output(0, "same");
	rig_expect(client, "same");
	close(client);
	close(rig_connect("c"));
	/* The next time it works. */
	assert_int_equal(mkdir(rig_path("none"), 0700), 0);
	rig_apply("0,console,unix:a,unix:none/x", "1,unix:none/y", "2,unix:c");
	assert_non_null(console_port(&rig.guest->console, 1));
	close(rig_connect("none/x"));
	rig_end();
}

static void apply_when_what_was_added_by_hand_is_not_written_takes_it_away(void **state)
{
	struct guest_attachment *a;

	(void)state;
	rig_begin("0,console,null");
	assert_int_equal(rig_add("3,unix:x"), 0);
	assert_int_equal(rig_attach(guest_find_port(rig.guest, "0"), "unix:y", &a), 0);
	rig_apply("0,console,null");
	assert_int_equal(guest_n_ports(rig.guest), 1);
	assert_int_equal(access(rig_path("x"), F_OK), -1);
	assert_int_equal(access(rig_path("y"), F_OK), -1);
	rig_end();
}

static void apply_when_followed_by_another_forgets_what_the_first_wanted(void **state)
{
	struct device_spec *spec;

	(void)state;
	rig_begin("0,console,null", "1,name=a,unix:a");
	spec = rig_device("0,console,null,unix:x", "2,name=b,unix:a");
	guest_apply(rig.guest, spec, &rig.defaults);
	device_spec_free(spec);
	rig_apply("0,console,null");
	assert_int_equal(guest_n_ports(rig.guest), 1);
	assert_int_equal(access(rig_path("x"), F_OK), -1);
	assert_int_equal(access(rig_path("a"), F_OK), -1);
	rig_end();
}

static void guest_when_closed_in_the_middle_of_an_apply_ends(void **state)
{
	struct device_spec *spec;

	(void)state;
	rig_begin("0,console,null", "1,name=a,unix:a");
	spec = rig_device("0,console,null,unix:x", "2,name=b,unix:a");
	guest_apply(rig.guest, spec, &rig.defaults);
	device_spec_free(spec);
	rig_end();
}

static void guest_when_asked_tells_of_kinds_and_files(void **state)
{
	(void)state;
	rig_begin("0,console,null", "1,null");
	assert_true(guest_has_kind(rig.guest, ATTACHMENT_null));
	assert_false(guest_has_kind(rig.guest, ATTACHMENT_terminal));
	assert_false(guest_has_files(rig.guest));
	assert_int_equal(rig_add("2,log:l"), 0);
	assert_true(guest_has_files(rig.guest));
	assert_int_equal(rename(rig_path("l"), rig_path("l.old")), 0);
	guest_reopen_logs(rig.guest);
	assert_int_equal(access(rig_path("l"), F_OK), 0);
	rig_end();
}

static void line_of_a_port_when_described_says_all(void **state)
{
	char text[512], expected[512];

	(void)state;
	rig_begin("0,console", "1,name=org.x,unix:a,null");
	guest_describe_port(guest_find_port(rig.guest, "0"), text, sizeof(text));
	assert_string_equal(text, "port 0 (console, drop): nothing attached");
	guest_describe_port(guest_find_port(rig.guest, "1"), text, sizeof(text));
	snprintf(expected, sizeof(expected), "port 1 org.x (hold): Unix %s, ", rig_path("a"));
	assert_memory_equal(text, expected, strlen(expected));
	rig_end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(guest_when_new_has_its_ports_and_its_socket),
	UNIT_TEST(guest_when_an_attachment_cannot_be_opened_fails_with_a_sentence),
	UNIT_TEST(port_when_found_is_by_number_before_name),
	UNIT_TEST(added_port_when_without_a_number_gets_the_lowest_free),
	UNIT_TEST(added_port_when_its_place_is_taken_is_refused_and_changes_nothing),
	UNIT_TEST(added_port_when_one_attachment_fails_is_not_added),
	UNIT_TEST(removed_port_when_it_has_a_client_gives_it_what_is_left),
	UNIT_TEST(removed_port_when_its_client_takes_nothing_goes_all_the_same),
	UNIT_TEST(renamed_port_when_it_has_a_client_keeps_it),
	UNIT_TEST(attachment_when_added_and_taken_away_comes_and_goes),
	UNIT_TEST(apply_when_nothing_differs_keeps_every_client),
	UNIT_TEST(apply_when_a_port_comes_and_another_goes_leaves_the_third),
	UNIT_TEST(apply_when_a_line_before_it_goes_keeps_a_port_and_its_number),
	UNIT_TEST(apply_when_an_attachment_is_written_otherwise_replaces_it_alone),
	UNIT_TEST(apply_when_settings_differ_changes_them_under_the_clients),
	UNIT_TEST(apply_when_names_are_swapped_swaps_them),
	UNIT_TEST(apply_when_history_differs_makes_another_port),
	UNIT_TEST(apply_when_something_cannot_be_opened_does_the_rest),
	UNIT_TEST(apply_when_what_was_added_by_hand_is_not_written_takes_it_away),
	UNIT_TEST(apply_when_followed_by_another_forgets_what_the_first_wanted),
	UNIT_TEST(guest_when_closed_in_the_middle_of_an_apply_ends),
	UNIT_TEST(guest_when_asked_tells_of_kinds_and_files),
	UNIT_TEST(line_of_a_port_when_described_says_all),
};

UNIT_MAIN(tests)
