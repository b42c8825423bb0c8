/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "log": files put aside and opened anew. */
#include "log_file_rig.h"

/* Rotation */

static void whole_lines_fill_each_file_to_the_byte(void **state)
{
	enum { PER_FILE = MAX_SIZE / LINE };
	char first[LINE + 1];

	(void)state;
	begin_small(3);
	for (unsigned int i = 0; i < 5 * PER_FILE; i++)
		say_line(i);
	end();
	for (unsigned int n = 0; n <= 3; n++) {
		assert_int_equal(read_log(numbered(n)), MAX_SIZE);
		snprintf(first, sizeof(first), "%0*u\n", LINE - 1, (4 - n) * PER_FILE);
		assert_memory_equal(text, first, LINE);
	}
	assert_int_equal(file_size(numbered(4)), -1);
}

static void next_file_is_begun_only_when_it_is_needed(void **state)
{
	(void)state;
	begin_small(1);
	for (unsigned int i = 0; i < MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(file_size(path) == MAX_SIZE);
	settle();
	assert_int_equal(file_size(numbered(1)), -1);
	say("x");
	PUMP_UNTIL(file_size(path) == 1);
	assert_int_equal(file_size(numbered(1)), MAX_SIZE);
	end();
}

static void line_that_does_not_fit_goes_into_the_next_file_whole(void **state)
{
	(void)state;
	begin_small(1);
	for (unsigned int i = 0; i < MAX_SIZE / LINE - 1; i++)
		say_line(i);
	say("short\n");
	PUMP_UNTIL(file_size(path) == MAX_SIZE - LINE + 6);
	say_line(7);
	PUMP_UNTIL(file_size(path) == LINE);
	assert_int_equal(file_size(numbered(1)), MAX_SIZE - LINE + 6);
	end();
}

static void line_longer_than_a_file_is_split_at_its_size(void **state)
{
	static uint8_t bytes[3 * MAX_SIZE];

	(void)state;
	begin_small(3);
	memset(bytes, 'x', sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	end();
	for (unsigned int n = 0; n < 3; n++)
		assert_int_equal(file_size(numbered(n)), MAX_SIZE);
	assert_int_equal(file_size(numbered(3)), -1);
}

static void keep_one_has_one_file_put_aside(void **state)
{
	(void)state;
	begin_small(1);
	for (unsigned int i = 0; i < 4 * MAX_SIZE / LINE; i++)
		say_line(i);
	end();
	assert_int_equal(file_size(numbered(0)), MAX_SIZE);
	assert_int_equal(file_size(numbered(1)), MAX_SIZE);
	assert_int_equal(file_size(numbered(2)), -1);
}

static void keep_none_empties_the_file(void **state)
{
	(void)state;
	begin_small(0);
	for (unsigned int i = 0; i < MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(file_size(path) == MAX_SIZE);
	say("next\n");
	PUMP_UNTIL(file_size(path) != MAX_SIZE);
	expect_log("next\n");
	assert_int_equal(file_size(numbered(1)), -1);
	end();
}

static void files_put_aside_have_the_mode(void **state)
{
	struct stat st;

	(void)state;
	set_up();
	rig.options.max_size = MAX_SIZE;
	rig.options.mode = (struct option_maybe){ .set = true, .value = 0604 };
	open_log();
	for (unsigned int i = 0; i <= MAX_SIZE / LINE; i++)
		say_line(i);
	end();
	for (unsigned int n = 0; n < 2; n++) {
		assert_int_equal(stat(numbered(n), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0604);
	}
}

static void rotation_that_fails_counts_what_is_lost_and_stays_bounded(void **state)
{
	char where[80];

	(void)state;
	begin_small(1);
	snprintf(where, sizeof(where), "%s.new", path);
	assert_int_equal(symlink("/dev/null", where), 0); /* in the way */
	for (unsigned int i = 0; i < 2 * MAX_SIZE / LINE; i++)
		say_line(i);
	settle();
	assert_int_equal(file_size(path), MAX_SIZE);
	rig_describe(where, sizeof(where));
	assert_non_null(strstr(where, "failing"));
	end();
	snprintf(where, sizeof(where), "%s.new", path);
	assert_int_equal(unlink(where), 0);
}

/* Files are not tried to be changed again at once; the reason is still the one there was. */
static void rotation_that_waits_after_a_failure_tells_its_reason(void **state)
{
	char next[96], where[256];

	(void)state;
	begin_small(1);
	snprintf(next, sizeof(next), "%s.new", path);
	assert_int_equal(mkdir(next, 0700), 0);
	for (unsigned int i = 0; i <= MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(failing());
	assert_int_equal(rename(path, numbered(1)), 0);
	rig.attachment->ops->reopen(rig.attachment);
	say_line(0);
	PUMP_UNTIL(!failing());
	for (unsigned int i = 0; i < MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(failing());
	rig_describe(where, sizeof(where));
	assert_non_null(strstr(where, strerror(EEXIST)));
	end();
	assert_int_equal(rmdir(next), 0);
}

static void log_emptied_by_somebody_else_is_filled_again(void **state)
{
	(void)state;
	begin_small(1);
	for (unsigned int i = 0; i < MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(file_size(path) == MAX_SIZE);
	assert_int_equal(truncate(path, 0), 0);
	say("next\n");
	expect_log("next\n");
	assert_int_equal(file_size(numbered(1)), -1);
	end();
}

/* Reopening */

static void reopen_after_a_rename_goes_on_in_a_new_file(void **state)
{
	(void)state;
	begin();
	say("one\n");
	expect_log("one\n");
	assert_int_equal(rename(path, numbered(1)), 0);
	say("two\n");
	PUMP_UNTIL(file_size(numbered(1)) == 8);
	rig.attachment->ops->reopen(rig.attachment);
	say("three\n");
	expect_log("three\n");
	end();
	assert_int_equal(read_log(numbered(1)), 8);
}

static void reopen_of_the_same_file_changes_nothing(void **state)
{
	(void)state;
	begin();
	say("one\n");
	rig.attachment->ops->reopen(rig.attachment);
	say("two\n");
	expect_log("one\ntwo\n");
	end();
}

static void reopen_that_fails_keeps_the_old_file(void **state)
{
	(void)state;
	begin();
	assert_int_equal(rename(path, numbered(1)), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	rig.attachment->ops->reopen(rig.attachment);
	say("still\n");
	PUMP_UNTIL(file_size(numbered(1)) == 6);
	end();
	rmdir(path);
}

static void disconnected_log_pauses_until_it_is_reopened(void **state)
{
	struct port_client *c;

	(void)state;
	begin();
	say("one\n");
	expect_log("one\n");
	c = port_find_client(&rig.port, 1);
	c->ops->disconnect(c, "asked to");
	say("unseen\n");
	settle();
	rig.attachment->ops->reopen(rig.attachment);
	say("two\n");
	expect_log("one\ntwo\n");
	end();
}

static void second_log_of_a_file_is_refused(void **state)
{
	struct attachment *second;

	(void)state;
	begin();
	assert_int_equal(rig_open_more(ATTACHMENT_log_file, path, &second), -EBUSY);
	assert_non_null(strstr(rig.why, path));
	assert_int_equal(rig.port.n_clients, 1);
	end();
}

static void rotated_log_is_still_locked(void **state)
{
	struct attachment *second;

	(void)state;
	begin_small(1);
	for (unsigned int i = 0; i <= MAX_SIZE / LINE; i++)
		say_line(i);
	PUMP_UNTIL(file_size(numbered(1)) == MAX_SIZE && file_size(path) == LINE);
	assert_int_equal(rig_open_more(ATTACHMENT_log_file, path, &second), -EBUSY);
	end();
}

static void paths_that_are_no_files_are_refused(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(rig_open(ATTACHMENT_log_file, path), -EINVAL);
	assert_non_null(strstr(rig.why, "named pipe"));
	assert_int_equal(rig_open(ATTACHMENT_log_file, dir), -EISDIR);
	assert_int_equal(rig_open(ATTACHMENT_log_file, "/nonexistent/log"), -ENOENT);
	assert_non_null(strstr(rig.why, "/nonexistent/log"));
	end_without_attachment();
}

static const struct CMUnitTest tests[] = {
	TEST(whole_lines_fill_each_file_to_the_byte),
	TEST(next_file_is_begun_only_when_it_is_needed),
	TEST(line_that_does_not_fit_goes_into_the_next_file_whole),
	TEST(line_longer_than_a_file_is_split_at_its_size),
	TEST(keep_one_has_one_file_put_aside),
	TEST(keep_none_empties_the_file),
	TEST(files_put_aside_have_the_mode),
	TEST(rotation_that_fails_counts_what_is_lost_and_stays_bounded),
	TEST(rotation_that_waits_after_a_failure_tells_its_reason),
	TEST(log_emptied_by_somebody_else_is_filled_again),
	TEST(reopen_after_a_rename_goes_on_in_a_new_file),
	TEST(reopen_of_the_same_file_changes_nothing),
	TEST(reopen_that_fails_keeps_the_old_file),
	TEST(disconnected_log_pauses_until_it_is_reopened),
	TEST(second_log_of_a_file_is_refused),
	TEST(rotated_log_is_still_locked),
	TEST(paths_that_are_no_files_are_refused),
};
UNIT_MAIN(tests)
