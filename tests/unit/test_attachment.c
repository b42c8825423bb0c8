/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backend_rig.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

static char path[64];

static int make_file(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/vhu-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	return fd;
}

static struct stat status(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void rows_are_in_the_order_of_the_kinds(void **state)
{
	(void)state;
	assert_string_equal(attachment_rows[ATTACHMENT_terminal].name, "terminal");
	assert_string_equal(attachment_rows[ATTACHMENT_tcp_server].name, "tcp");
	assert_ptr_equal(attachment_rows[ATTACHMENT_tcp_server].ops, &attachment_tcp_server);
	assert_int_equal(attachment_rows[ATTACHMENT_pty].address, ATTACHMENT_ADDRESS_MAYBE);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		const struct attachment_row *row = &attachment_rows[i];

		assert_non_null(row->help);
		assert_non_null(row->ops);
		assert_int_equal(!row->metavar, row->address == ATTACHMENT_ADDRESS_NONE);
	}
}

static struct port_client_options options_of(const struct attachment_options *o)
{
	const struct attachment a = { .args = { .port = &rig.port, .options = o } };

	return attachment_client_options(&a, "it");
}

static void client_of_a_console_writes_holds_and_gets_all_that_is_kept(void **state)
{
	const struct attachment_options o = { .address = NULL };
	struct port_client_options c;

	(void)state;
	rig_begin();
	c = options_of(&o);
	assert_true(c.writes && c.holds && c.shows);
	assert_false(c.steals || c.passive);
	assert_true(c.replay == PORT_REPLAY_ALL);
	assert_string_equal(c.what, "it");
	rig_end();
}

static void client_of_another_port_gets_nothing_old_unless_asked(void **state)
{
	struct attachment_options o = { .steal = true };
	struct port_client_options c;

	(void)state;
	rig_begin_lossless();
	c = options_of(&o);
	assert_true(c.writes && c.holds && c.steals);
	assert_false(c.shows);
	assert_true(c.replay == 0);
	o.replay = (struct option_maybe){ .set = true, .value = 4096 };
	assert_true(options_of(&o).replay == 4096);
	rig_end();
}

static void read_only_client_neither_writes_nor_holds(void **state)
{
	const struct attachment_options o = { .ro = true };
	struct port_client_options c;

	(void)state;
	rig_begin_lossless();
	c = options_of(&o);
	assert_false(c.writes || c.holds);
	rig_end();
}

static void mode_is_set_by_path_and_by_descriptor(void **state)
{
	struct attachment_options o = { .mode = { .set = true, .value = 0640 } };
	char why[200];
	int fd = make_file();

	(void)state;
	assert_int_equal(attachment_set_owner(&o, path, -1, why, sizeof(why)), 0);
	assert_int_equal(status().st_mode & 07777, 0640);
	o.mode.value = 0604;
	assert_int_equal(attachment_set_owner(&o, "not looked at", fd, why, sizeof(why)), 0);
	assert_int_equal(status().st_mode & 07777, 0604);
	o.mode.set = false;
	assert_int_equal(attachment_set_owner(&o, "not looked at", -1, why, sizeof(why)), 0);
	close(fd);
	unlink(path);
}

/* What a link leads to is none of our business. */
static void mode_is_not_set_through_a_symbolic_link(void **state)
{
	const struct attachment_options o = { .mode = { .set = true, .value = 0777 } };
	char link[80], why[200];
	int fd = make_file();

	(void)state;
	snprintf(link, sizeof(link), "%s.link", path);
	assert_int_equal(symlink(path, link), 0);
	assert_true(attachment_set_owner(&o, link, -1, why, sizeof(why)) < 0);
	assert_int_equal(status().st_mode & 07777, 0600);
	close(fd);
	unlink(link);
	unlink(path);
}

/* As anybody: to oneself, which changes nothing but must be understood. */
static void owner_and_group_are_names_or_numbers(void **state)
{
	char uid[24], gid[24], why[200];
	const struct passwd *pw = getpwuid(getuid());
	const struct group *gr = getgrgid(getgid());
	struct attachment_options o = { .owner = uid, .group = gid };
	int fd = make_file();

	(void)state;
	snprintf(uid, sizeof(uid), "%u", getuid());
	snprintf(gid, sizeof(gid), "%u", getgid());
	assert_int_equal(attachment_set_owner(&o, path, -1, why, sizeof(why)), 0);
	assert_int_equal(status().st_uid, getuid());
	assert_int_equal(status().st_gid, getgid());
	if (pw)
		o.owner = pw->pw_name;
	if (gr)
		o.group = gr->gr_name;
	assert_int_equal(attachment_set_owner(&o, path, fd, why, sizeof(why)), 0);
	assert_int_equal(status().st_uid, getuid());
	close(fd);
	unlink(path);
}

/* Root's own test that ids get where they belong; anybody else is told why not. */
static void another_owner_is_set_or_refused_with_a_reason(void **state)
{
	const struct attachment_options o = { .owner = "12345", .group = "54321" };
	char why[200] = "";
	int fd = make_file();

	(void)state;
	if (attachment_set_owner(&o, path, -1, why, sizeof(why)) == 0) {
		assert_int_equal(status().st_uid, 12345);
		assert_int_equal(status().st_gid, 54321);
	} else {
		assert_non_null(strstr(why, path));
	}
	close(fd);
	unlink(path);
}

static void unknown_names_and_bad_numbers_are_quoted(void **state)
{
	static const char *const bad[] = { "no-such-name", "4294967295", "99999999999999999999",
					   "-1", "0x0" };
	char why[200];
	int fd = make_file();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct attachment_options user = { .owner = bad[i] };
		const struct attachment_options group = { .group = bad[i] };

		assert_int_equal(attachment_set_owner(&user, path, fd, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, bad[i]));
		assert_non_null(strstr(why, "user"));
		assert_int_equal(attachment_set_owner(&group, path, fd, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, bad[i]));
		assert_non_null(strstr(why, "group"));
	}
	close(fd);
	unlink(path);
}

static void file_that_is_not_there_is_named(void **state)
{
	const struct attachment_options o = { .mode = { .set = true, .value = 0600 } };
	char why[200];

	(void)state;
	assert_int_equal(attachment_set_owner(&o, "/no/such/file", -1, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/no/such/file"));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(rows_are_in_the_order_of_the_kinds),
	UNIT_TEST(client_of_a_console_writes_holds_and_gets_all_that_is_kept),
	UNIT_TEST(client_of_another_port_gets_nothing_old_unless_asked),
	UNIT_TEST(read_only_client_neither_writes_nor_holds),
	UNIT_TEST(mode_is_set_by_path_and_by_descriptor),
	UNIT_TEST(mode_is_not_set_through_a_symbolic_link),
	UNIT_TEST(owner_and_group_are_names_or_numbers),
	UNIT_TEST(another_owner_is_set_or_refused_with_a_reason),
	UNIT_TEST(unknown_names_and_bad_numbers_are_quoted),
	UNIT_TEST(file_that_is_not_there_is_named),
};
UNIT_MAIN(tests)
