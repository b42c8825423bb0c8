/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A pseudo-terminal with a link in a folder of its own. */
#ifndef VHU_TESTS_PTY_RIG_H
#define VHU_TESTS_PTY_RIG_H

#include "backend_rig.h"

#include <limits.h>
#include <stdio.h>

enum { PIECE = 700 };

static char dir[] = "/tmp/test_pty.XXXXXX";
static char link_path[64];

static inline int make_dir(void **state)
{
	unit_setup(state);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 7);
	if (!mkdtemp(dir))
		return 1;
	snprintf(link_path, sizeof(link_path), "%s/console", dir);
	return 0;
}

static inline int remove_dir(void **state)
{
	unlink(link_path);
	if (rmdir(dir) < 0) {
		print_error("%s: something was left in it\n", dir);
		return 1;
	}
	return unit_teardown(state);
}

#define TEST(f) UNIT_TEST_WITH(f, make_dir, remove_dir)

static inline void begin(void)
{
	rig_begin();
	if (rig_open(ATTACHMENT_pty, link_path) < 0)
		fail_msg("%s", rig.why);
}

static inline void end(void)
{
	rig_close();
	rig_end();
}

static inline int open_slave(void)
{
	int fd = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline int open_and_join(void)
{
	int fd = open_slave();

	PUMP_UNTIL(rig.port.n_clients == 1);
	return fd;
}

static inline void close_and_leave(int fd)
{
	close(fd);
	PUMP_UNTIL(rig.port.n_clients == 0);
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline bool leads_to_terminal(void)
{
	char target[PATH_MAX];
	ssize_t len = readlink(link_path, target, sizeof(target) - 1);

	return len > 9 && memcmp(target, "/dev/pts/", 9) == 0;
}

#endif
