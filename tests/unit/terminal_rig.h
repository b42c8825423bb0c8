/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A terminal of our own as standard input and output, or pipes. */
#ifndef VHU_TESTS_TERMINAL_RIG_H
#define VHU_TESTS_TERMINAL_RIG_H

#include "backend_rig.h"

#include <pty.h>
#include <termios.h>

static const struct port_client_ops deaf = { .output_ready = NULL };
static const struct port_client_options writer = { .writes = true, .steals = true };

enum {
	SAVED_FROM = 100,
	PIECE = 700,
};

static int saved[2];
static int master = -1;
static struct termios cooked;

/* Results are printed to standard output: whatever a test does, it is put back. */
static inline int save(void **state)
{
	unit_setup(state);
	for (int fd = 0; fd < 2; fd++)
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, SAVED_FROM);
	master = -1;
	return saved[0] < 0 || saved[1] < 0;
}

static inline int restore(void **state)
{
	for (int fd = 0; fd < 2; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	if (master >= 0)
		close(master);
	return unit_teardown(state);
}

#define TEST(f) UNIT_TEST_WITH(f, save, restore)

static inline void take_over(int target, int fd)
{
	assert_int_equal(dup2(fd, target), target);
	close(fd);
}

/* Standard input and output become a terminal, whose other end is master. */
static inline void make_terminal(void)
{
	struct winsize size = { .ws_col = 91, .ws_row = 27 };
	int slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	fcntl(master, F_SETFL, O_NONBLOCK);
	assert_int_equal(dup2(slave, 0), 0);
	take_over(1, slave);
	assert_int_equal(tcgetattr(0, &cooked), 0);
}

static inline void open_terminal(const char *escape)
{
	rig.options.escape = escape;
	if (rig_open(ATTACHMENT_terminal, NULL) < 0)
		fail_msg("%s", rig.why);
}

static inline void begin(const char *escape)
{
	rig_begin();
	make_terminal();
	open_terminal(escape);
}

static inline void end(void)
{
	rig_close();
	rig_end();
}

static inline bool is_cooked(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(master, &now), 0);
	return now.c_iflag == cooked.c_iflag && now.c_oflag == cooked.c_oflag &&
	       now.c_lflag == cooked.c_lflag && now.c_cflag == cooked.c_cflag &&
	       memcmp(now.c_cc, cooked.c_cc, sizeof(now.c_cc)) == 0;
}

static inline bool is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(master, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && !(now.c_oflag & OPOST) &&
	       !(now.c_iflag & (ICRNL | IXON));
}

static inline void type(const char *keys)
{
	assert_int_equal(write(master, keys, strlen(keys)), strlen(keys));
}

/* Neither end is a terminal: in from fd (taken), out to a small pipe; returns its reader. */
static inline int begin_piped(int in)
{
	int out[2];

	rig_begin();
	assert_true(in >= 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fcntl(out[0], F_SETPIPE_SZ, 4096);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	take_over(0, in);
	take_over(1, out[1]);
	open_terminal("~.");
	return out[0];
}

static inline int closed_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	return fds[0];
}

#endif
