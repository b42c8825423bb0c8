/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachments "file" and "null". */
#include "backend_rig.h"

#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	PIECE = 700,
	LIMIT = 10000, /* bytes of a file, in the tests of a limit */
};

static char dir[] = "/tmp/test_file.XXXXXX";
static char out_path[64], in_path[64];

static int make_dir(void **state)
{
	unit_setup(state);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(out_path, sizeof(out_path), "%s/out", dir);
	snprintf(in_path, sizeof(in_path), "%s/in", dir);
	return 0;
}

static int remove_dir(void **state)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_FSIZE, &none);
	unlink(out_path);
	unlink(in_path);
	if (rmdir(dir) < 0) {
		print_error("%s: something was left in it\n", dir);
		return 1;
	}
	return unit_teardown(state);
}

#define TEST(f) UNIT_TEST_WITH(f, make_dir, remove_dir)

static void open_file(void)
{
	if (rig_open(ATTACHMENT_file, out_path) < 0)
		fail_msg("%s", rig.why);
}

static void end(void)
{
	rig_close();
	rig_end();
}

static void end_without_attachment(void)
{
	assert_int_equal(rig.port.n_clients, 0);
	port_fini(&rig.port);
	loop_free(rig.loop);
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static size_t read_file(const char *path, void *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, (char *)buf + len, cap - len)) > 0)
		len += (size_t)n;
	close(fd);
	return len;
}

/* -1: there is none. */
static off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void expect_file(const char *path, const char *text)
{
	char got[512];

	PUMP_UNTIL(file_size(path) >= (off_t)strlen(text));
	assert_int_equal(read_file(path, got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* The hold port's guest writes as there is room. */
static void output_all(const uint8_t *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t piece = min_size(PIECE, n - done);

		PUMP_UNTIL(port_output_room(&rig.port) >= piece);
		rig_output(bytes + done, piece);
		done += piece;
	}
}

static void set_limit(rlim_t bytes)
{
	const struct rlimit limit = { bytes, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

/* Output */

static void output_of_any_bytes_is_in_the_file_exactly(void **state)
{
	static uint8_t bytes[4 * HISTORY], got[4 * HISTORY + 1];

	(void)state;
	rig_begin_lossless();
	open_file();
	rig_fill(bytes, sizeof(bytes));
	output_all(bytes, sizeof(bytes));
	end();
	assert_int_equal(read_file(out_path, got, sizeof(got)), sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
}

static void file_makes_the_host_open_and_has_no_keyboard(void **state)
{
	(void)state;
	rig_begin();
	open_file();
	assert_true(port_host_open(&rig.port));
	assert_null(rig.port.writer);
	end();
	assert_false(port_host_open(&rig.port));
}

static void file_that_is_there_is_added_to(void **state)
{
	(void)state;
	write_file(out_path, "old ", 4);
	rig_begin();
	open_file();
	rig_output("new", 3);
	expect_file(out_path, "old new");
	end();
}

static void truncate_empties_the_file_once(void **state)
{
	(void)state;
	write_file(out_path, "old ", 4);
	rig_begin();
	rig.options.truncate = true;
	open_file();
	rig_output("new", 3);
	expect_file(out_path, "new");
	rig.attachment->ops->reopen(rig.attachment);
	rig_output("er", 2);
	expect_file(out_path, "newer");
	end();
}

static void mode_is_the_files(void **state)
{
	struct stat st;

	(void)state;
	rig_begin();
	rig.options.mode = (struct option_maybe){ .set = true, .value = 0604 };
	open_file();
	assert_int_equal(stat(out_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0604);
	end();
}

static void reopen_after_a_rename_goes_on_in_a_new_file(void **state)
{
	char moved[80];

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", out_path);
	rig_begin();
	open_file();
	rig_output("one", 3);
	expect_file(out_path, "one");
	assert_int_equal(rename(out_path, moved), 0);
	rig_output("two", 3);
	expect_file(moved, "onetwo");
	rig.attachment->ops->reopen(rig.attachment);
	rig_output("three", 5);
	expect_file(out_path, "three");
	expect_file(moved, "onetwo");
	unlink(moved);
	end();
}

static void reopen_that_fails_keeps_the_old_file(void **state)
{
	char moved[80];

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", out_path);
	rig_begin();
	open_file();
	assert_int_equal(rename(out_path, moved), 0);
	assert_int_equal(mkdir(out_path, 0700), 0);
	rig.attachment->ops->reopen(rig.attachment);
	rig_output("still", 5);
	expect_file(moved, "still");
	end();
	rmdir(out_path);
	unlink(moved);
}

/* VC-067; and a guest must not wait for a disk that is full for ever. */
static void write_error_closes_the_host_side_and_holds_up_no_guest(void **state)
{
	static uint8_t bytes[HISTORY];
	char text[160];

	(void)state;
	rig_begin_lossless();
	rig_open(ATTACHMENT_file, "/dev/full");
	rig_output(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	port_output_stalled(&rig.port);
	PUMP_UNTIL(rig.n_room > 0);
	assert_false(port_host_open(&rig.port));
	rig_describe(text, sizeof(text));
	assert_non_null(strstr(text, "given up: No space left on device"));
	end();
}

static void reopen_after_an_error_goes_on_where_the_file_ends(void **state)
{
	static uint8_t bytes[2 * LIMIT], got[3 * LIMIT];

	(void)state;
	rig_begin_lossless();
	open_file();
	set_limit(LIMIT);
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, sizeof(bytes));
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_int_equal(file_size(out_path), LIMIT);
	set_limit(RLIM_INFINITY);
	rig.attachment->ops->reopen(rig.attachment);
	assert_true(port_host_open(&rig.port));
	end();
	assert_int_equal(read_file(out_path, got, sizeof(got)), sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
}

static void close_of_a_file_given_up_completes(void **state)
{
	(void)state;
	rig_begin();
	rig_open(ATTACHMENT_file, "/dev/full");
	rig_output("x", 1);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_output("y", 1);
	end();
}

static void disconnect_leaves_the_file_until_it_is_reopened(void **state)
{
	struct port_client *c;

	(void)state;
	rig_begin_lossless();
	open_file();
	rig_output("one", 3);
	expect_file(out_path, "one");
	c = port_find_client(&rig.port, 1);
	c->ops->disconnect(c, "asked to");
	assert_int_equal(rig.port.n_clients, 0);
	rig_output("two", 3);
	rig_step_quietly();
	assert_int_equal(file_size(out_path), 3);
	rig.attachment->ops->reopen(rig.attachment);
	expect_file(out_path, "onetwo");
	end();
}

/* Named pipes */

static void pipe_without_a_reader_loses_nothing(void **state)
{
	static uint8_t bytes[3 * HISTORY], got[3 * HISTORY];
	size_t n_sent = 0, n_got = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	int fd;

	(void)state;
	make_fifo(out_path);
	rig_begin_lossless();
	open_file();
	rig_fill(bytes, sizeof(bytes));
	for (unsigned int n_refused = 0; n_refused < QUIET_STEPS; n_refused++, rig_step())
		while (port_output_room(&rig.port) >= PIECE && n_sent + PIECE <= sizeof(bytes)) {
			rig_output(bytes + n_sent, PIECE);
			n_sent += PIECE;
			n_refused = 0;
		}
	assert_true(n_sent < sizeof(bytes)); /* the guest waits */
	fd = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	while (n_got < sizeof(got)) {
		size_t piece = min_size(PIECE, sizeof(bytes) - n_sent);
		ssize_t n = read(fd, got + n_got, sizeof(got) - n_got);

		n_got += n > 0 ? (size_t)n : 0;
		if (port_output_room(&rig.port) >= piece) {
			rig_output(bytes + n_sent, piece);
			n_sent += piece;
		}
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	end();
	close(fd);
}

static void pipe_whose_reader_leaves_stays(void **state)
{
	int fd;

	(void)state;
	make_fifo(out_path);
	rig_begin();
	open_file();
	for (unsigned int i = 0; i < 3; i++) {
		fd = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		rig_output("again", 5);
		rig_expect_output(fd, "again");
		close(fd);
	}
	rig_output("unread", 6);
	rig_step_quietly();
	assert_int_equal(rig.port.n_clients, 1);
	end();
}

static void hurry_ends_a_close_that_a_full_pipe_holds_up(void **state)
{
	static uint8_t bytes[HISTORY];

	(void)state;
	make_fifo(out_path);
	rig_begin();
	open_file();
	for (unsigned int i = 0; i < 3; i++) {
		rig_output(bytes, sizeof(bytes));
		rig_step_quietly();
	}
	rig_close();
	rig_step_quietly();
	assert_int_equal(rig.n_closed, 0);
	rig.attachment->ops->hurry(rig.attachment);
	rig_end();
}

static void reopen_while_a_full_pipe_is_waited_for_loses_nothing(void **state)
{
	static uint8_t bytes[2 * HISTORY], got[2 * HISTORY];
	int fd;

	(void)state;
	make_fifo(out_path);
	rig_begin_lossless();
	open_file();
	rig_fill(bytes, sizeof(bytes));
	rig_output(bytes, HISTORY);
	rig_step_quietly();
	rig_output(bytes + HISTORY, HISTORY);
	rig_step_quietly();
	rig.attachment->ops->reopen(rig.attachment);
	fd = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	rig_read_all(fd, got, sizeof(got), PIECE);
	assert_memory_equal(got, bytes, sizeof(got));
	end();
	close(fd);
}

/* Input */

static void begin_with_input(void)
{
	rig_begin();
	rig.options.input = in_path;
	open_file();
}

static void input_file_goes_in_exactly_and_ends(void **state)
{
	static uint8_t bytes[3 * N_BYTES], got[3 * N_BYTES];
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t n_got = 0;

	(void)state;
	rig_begin();
	rig_fill(bytes, sizeof(bytes));
	write_file(in_path, bytes, sizeof(bytes));
	rig.options.input = in_path;
	open_file();
	while (n_got < sizeof(got)) {
		n_got += rig_take(got + n_got, sizeof(got) - n_got);
		rig_step_before(deadline);
	}
	assert_memory_equal(got, bytes, sizeof(got));
	PUMP_UNTIL(!rig.port.writer);
	assert_int_equal(rig.port.n_clients, 1);
	rig_output("still here", 10);
	expect_file(out_path, "still here");
	end();
}

static void input_pipe_never_ends(void **state)
{
	(void)state;
	make_fifo(in_path);
	begin_with_input();
	for (unsigned int i = 0; i < 3; i++) {
		int fd = open(in_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

		assert_int_equal(write(fd, "again", 5), 5);
		close(fd);
		rig_expect_input("again");
	}
	rig_step_quietly();
	assert_non_null(rig.port.writer);
	end();
}

static void input_waits_while_another_has_the_keyboard(void **state)
{
	static const struct port_client_ops deaf = { .output_ready = NULL };
	static const struct port_client_options writer = { .writes = true };
	struct port_client other;

	(void)state;
	write_file(in_path, "patient", 7);
	rig_begin();
	port_join(&rig.port, &other, &deaf, &writer);
	rig.options.input = in_path;
	open_file();
	rig_step_quietly();
	assert_int_equal(port_input_pending(&rig.port), 0);
	port_leave(&other);
	rig_expect_input("patient");
	end();
}

static void close_while_input_is_awaited_completes(void **state)
{
	(void)state;
	make_fifo(in_path);
	begin_with_input();
	rig_step_quietly();
	end();
}

/* What is refused */

static void refuse(const char *path, int err, const char *expected)
{
	assert_int_equal(rig_open(ATTACHMENT_file, path), err);
	assert_non_null(strstr(rig.why, expected));
	rig.attachment = NULL;
}

static void paths_that_are_no_files_are_refused(void **state)
{
	(void)state;
	rig_begin();
	refuse(dir, -EISDIR, dir);
	refuse("/nonexistent/out", -ENOENT, "/nonexistent/out");
	end_without_attachment();
}

static void input_that_cannot_be_read_is_refused(void **state)
{
	(void)state;
	rig_begin();
	rig.options.input = "/nonexistent/in";
	refuse(out_path, -ENOENT, "/nonexistent/in");
	rig.options.input = dir;
	refuse(out_path, -EISDIR, "directory");
	end_without_attachment();
}

/* The guest would talk to itself without end. */
static void input_that_is_the_output_is_refused(void **state)
{
	(void)state;
	make_fifo(out_path);
	rig_begin();
	rig.options.input = out_path;
	refuse(out_path, -EINVAL, "both output and input");
	end_without_attachment();
}

static void second_writer_of_a_file_is_refused(void **state)
{
	struct attachment *second;

	(void)state;
	rig_begin();
	open_file();
	assert_int_equal(rig_open_more(ATTACHMENT_file, out_path, &second), -EBUSY);
	assert_non_null(strstr(rig.why, out_path));
	rig.options.truncate = true;
	rig_output("kept", 4);
	expect_file(out_path, "kept");
	assert_int_equal(rig_open_more(ATTACHMENT_file, out_path, &second), -EBUSY);
	expect_file(out_path, "kept");
	end();
}

/* null */

static void null_is_an_open_host_side_that_holds_nothing(void **state)
{
	static uint8_t bytes[HISTORY];
	char text[32];

	(void)state;
	rig_begin_lossless();
	assert_int_equal(rig_open(ATTACHMENT_null, NULL), 0);
	assert_true(port_host_open(&rig.port));
	rig_describe(text, sizeof(text));
	assert_string_equal(text, "null");
	for (unsigned int i = 0; i < 3; i++) {
		rig_output(bytes, sizeof(bytes));
		assert_true(port_output_room(&rig.port) >= sizeof(bytes));
	}
	rig_close();
	assert_int_equal(rig.n_closed, 0); /* never from within close() */
	rig_end();
}

static void null_that_was_disconnected_is_closed_all_the_same(void **state)
{
	struct port_client *c;

	(void)state;
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_null, NULL), 0);
	c = port_find_client(&rig.port, 1);
	c->ops->disconnect(c, "asked to");
	assert_false(port_host_open(&rig.port));
	end();
}

static const struct CMUnitTest tests[] = {
	TEST(output_of_any_bytes_is_in_the_file_exactly),
	TEST(file_makes_the_host_open_and_has_no_keyboard),
	TEST(file_that_is_there_is_added_to),
	TEST(truncate_empties_the_file_once),
	TEST(mode_is_the_files),
	TEST(reopen_after_a_rename_goes_on_in_a_new_file),
	TEST(reopen_that_fails_keeps_the_old_file),
	TEST(write_error_closes_the_host_side_and_holds_up_no_guest),
	TEST(reopen_after_an_error_goes_on_where_the_file_ends),
	TEST(close_of_a_file_given_up_completes),
	TEST(disconnect_leaves_the_file_until_it_is_reopened),
	TEST(pipe_without_a_reader_loses_nothing),
	TEST(pipe_whose_reader_leaves_stays),
	TEST(hurry_ends_a_close_that_a_full_pipe_holds_up),
	TEST(reopen_while_a_full_pipe_is_waited_for_loses_nothing),
	TEST(input_file_goes_in_exactly_and_ends),
	TEST(input_pipe_never_ends),
	TEST(input_waits_while_another_has_the_keyboard),
	TEST(close_while_input_is_awaited_completes),
	TEST(paths_that_are_no_files_are_refused),
	TEST(input_that_cannot_be_read_is_refused),
	TEST(input_that_is_the_output_is_refused),
	TEST(second_writer_of_a_file_is_refused),
	TEST(null_is_an_open_host_side_that_holds_nothing),
	TEST(null_that_was_disconnected_is_closed_all_the_same),
};
UNIT_MAIN(tests)
