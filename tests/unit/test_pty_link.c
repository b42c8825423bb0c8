/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The attachment "pty": its link and its slave. */
#include "pty_rig.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

static bool no_inotify;

/* In place of the C library's: a user's instances can be used up. */
int inotify_init1(int flags)
{
	if (no_inotify) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_inotify_init1, flags);
}

static void end_without_attachment(void)
{
	assert_int_equal(rig.port.n_clients, 0);
	port_fini(&rig.port);
	loop_free(rig.loop);
}

static void size_set_by_stty_is_the_ports(void **state)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };
	int fd, stty;

	(void)state;
	begin();
	fd = open_and_join();
	assert_int_equal(rig.n_size, 0); /* 0 x 0: nobody knows. VC-078 */
	stty = open_slave();
	assert_int_equal(ioctl(stty, TIOCSWINSZ, &size), 0);
	close(stty);
	PUMP_UNTIL(rig.n_size > 0);
	assert_int_equal(rig.port.cols, 132);
	assert_int_equal(rig.port.rows, 43);
	size.ws_col = 80;
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	say(fd, "k");
	rig_expect_input("k");
	assert_int_equal(rig.port.cols, 80);
	close_and_leave(fd);
	end();
}

static void modes_are_raw_again_when_nobody_has_it_open(void **state)
{
	struct termios modes;
	int fd;

	(void)state;
	begin();
	fd = open_and_join();
	assert_int_equal(tcgetattr(fd, &modes), 0);
	assert_false(modes.c_lflag & (ICANON | ECHO | ISIG));
	assert_false(modes.c_oflag & OPOST);
	modes.c_lflag |= ICANON | ECHO;
	modes.c_oflag |= OPOST;
	assert_int_equal(tcsetattr(fd, TCSANOW, &modes), 0);
	close_and_leave(fd);
	fd = open_and_join();
	assert_int_equal(tcgetattr(fd, &modes), 0);
	assert_false(modes.c_lflag & (ICANON | ECHO));
	assert_false(modes.c_oflag & OPOST);
	close_and_leave(fd);
	end();
}

static void mode_is_the_terminals(void **state)
{
	struct stat st;

	(void)state;
	rig_begin();
	rig.options.mode = (struct option_maybe){ .set = true, .value = 0640 };
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
	assert_int_equal(stat(link_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	end();
}

static void link_goes_with_the_terminal(void **state)
{
	struct stat st;

	(void)state;
	begin();
	assert_true(leads_to_terminal());
	end();
	assert_int_equal(lstat(link_path, &st), -1);
}

static void link_of_somebody_else_by_then_stays(void **state)
{
	(void)state;
	begin();
	unlink(link_path);
	assert_int_equal(symlink("/dev/null", link_path), 0);
	end();
	assert_int_equal(unlink(link_path), 0);
}

static void link_to_a_terminal_that_is_gone_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/pts/999999", link_path), 0);
	begin();
	close_and_leave(open_and_join());
	end();
}

static void refuse_opening(const char *expected)
{
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_pty, link_path), -EEXIST);
	assert_non_null(strstr(rig.why, link_path));
	assert_non_null(strstr(rig.why, expected));
	end_without_attachment();
}

static void link_path_that_is_a_file_is_refused_and_kept(void **state)
{
	struct stat st;
	int fd = open(link_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	close(fd);
	refuse_opening("something else");
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void link_that_leads_elsewhere_is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink("/etc/passwd", link_path), 0);
	refuse_opening("something else");
}

static void link_to_another_live_terminal_is_refused(void **state)
{
	struct attachment *other;

	(void)state;
	begin();
	assert_int_equal(rig_open_more(ATTACHMENT_pty, link_path, &other), -EEXIST);
	assert_non_null(strstr(rig.why, "in use"));
	assert_true(leads_to_terminal());
	end();
}

static void link_in_a_folder_that_is_missing_is_refused(void **state)
{
	(void)state;
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_pty, "/nonexistent/console"), -ENOENT);
	assert_non_null(strstr(rig.why, "/nonexistent/console"));
	end_without_attachment();
}

static void pty_without_a_link_says_where_it_is(void **state)
{
	char text[128], name[64];
	int fd;

	(void)state;
	rig_begin();
	assert_int_equal(rig_open(ATTACHMENT_pty, NULL), 0);
	rig_describe(text, sizeof(text));
	assert_int_equal(sscanf(text, "pty %63s", name), 1);
	fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	rig_describe(text, sizeof(text));
	assert_non_null(strstr(text, ", open"));
	close_and_leave(fd);
	end();
}

static void two_terminals_of_a_port_do_not_mix(void **state)
{
	struct attachment *other;
	char text[128], name[64];
	int fd;

	(void)state;
	begin();
	assert_int_equal(rig_open_more(ATTACHMENT_pty, NULL, &other), 0);
	other->ops->describe(other, text, sizeof(text));
	assert_int_equal(sscanf(text, "pty %63s", name), 1);
	fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	PUMP_UNTIL(rig.port.n_clients > 0);
	rig_step_quietly();
	assert_int_equal(rig.port.n_clients, 1);
	close_and_leave(fd);
	rig_close_this(other);
	PUMP_UNTIL(rig.n_closed == 1);
	rig.n_closed = 0;
	close_and_leave(open_and_join()); /* the first one is told of openers still */
	end();
}

/* A user has 128 inotify instances by default. */
static void many_terminals_share_one_inotify(void **state)
{
	enum { N = 40 };
	struct attachment *ptys[N];
	unsigned int n_fds;
	char text[128], name[64];
	int fds[N];

	(void)state;
	rig_begin();
	n_fds = fd_count_open();
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(rig_open_more(ATTACHMENT_pty, NULL, &ptys[i]), 0);
	assert_int_equal(fd_count_open(), n_fds + N + 1);
	for (unsigned int i = 0; i < N; i++) {
		ptys[i]->ops->describe(ptys[i], text, sizeof(text));
		assert_int_equal(sscanf(text, "pty %63s", name), 1);
		fds[i] = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	}
	PUMP_UNTIL(rig.port.n_clients == N);
	for (unsigned int i = 0; i < N; i++)
		close(fds[i]);
	PUMP_UNTIL(rig.port.n_clients == 0);
	for (unsigned int i = 0; i < N; i++)
		rig_close_this(ptys[i]);
	PUMP_UNTIL(rig.n_closed == N);
	end_without_attachment();
}

static void openers_are_noticed_without_inotify_too(void **state)
{
	int fd;

	(void)state;
	no_inotify = true;
	begin();
	fd = open_and_join();
	say(fd, "k");
	rig_expect_input("k");
	close_and_leave(fd);
	fd = open_and_join();
	close_and_leave(fd);
	end();
	no_inotify = false;
}

static const struct CMUnitTest tests[] = {
	TEST(size_set_by_stty_is_the_ports),
	TEST(modes_are_raw_again_when_nobody_has_it_open),
	TEST(mode_is_the_terminals),
	TEST(link_goes_with_the_terminal),
	TEST(link_of_somebody_else_by_then_stays),
	TEST(link_to_a_terminal_that_is_gone_is_replaced),
	TEST(link_path_that_is_a_file_is_refused_and_kept),
	TEST(link_that_leads_elsewhere_is_refused),
	TEST(link_to_another_live_terminal_is_refused),
	TEST(link_in_a_folder_that_is_missing_is_refused),
	TEST(pty_without_a_link_says_where_it_is),
	TEST(two_terminals_of_a_port_do_not_mix),
	TEST(many_terminals_share_one_inotify),
	TEST(openers_are_noticed_without_inotify_too),
};
UNIT_MAIN(tests)
