/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "conform/target/target.h"

/* Deadlines are a hundredth where nothing is going to happen. */
#define SOON 0.01

/* One that was initialised; target_fini() is due. */
static void init(struct target *target)
{
	assert_int_equal(target_init(target), 0);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Placeholders. */

static void assert_expands(const struct target *target, const char *text, const char *const *words,
			   const char *wanted)
{
	char *got = target_expand(target, text, words);

	assert_non_null(got);
	assert_string_equal(got, wanted);
	free(got);
}

static void word_when_in_braces_is_replaced(void **state)
{
	static char dir[] = "/d", path[] = "/d/s";
	static const char *const words[] = { "cols=80", "port=", "rows=2{cols}", NULL };
	const struct target target = { .dir = dir, .path = path };

	(void)state;
	assert_expands(&target, "be {socket} {dir}/x{dir}", NULL, "be /d/s /d/x/d");
	assert_expands(&target, "{cols}x{rows} [{port}]", words, "80x2{cols} []");
	assert_expands(&target, "", words, "");
	assert_expands(&target, "plain", NULL, "plain");
}

static void word_when_unknown_stays(void **state)
{
	static char path[] = "/s";
	static const char *const words[] = { "cols=80", NULL };
	const struct target target = { .path = path };

	(void)state;
	assert_expands(&target, "{dir} {cols", words, "{dir} {cols");
	assert_expands(&target, "awk '{print {col} {}}' {{cols}}", words,
		       "awk '{print {col} {}}' {80}");
	assert_expands(&target, "{sockets} {}", NULL, "{sockets} {}");
}

static void deadline_when_scaled_is_at_least_a_millisecond(void **state)
{
	const struct target plain = { 0 }, longer = { .timeout_scale = 2.5 },
			    shorter = { .timeout_scale = SOON };

	(void)state;
	assert_int_equal(target_ms(&plain, 200), 200);
	assert_int_equal(target_ms(&longer, 200), 500);
	assert_int_equal(target_ms(&shorter, 200), 2);
	assert_int_equal(target_ms(&shorter, 1), 1);
}

/* The folder. */

static void folder_when_there_is_a_command_is_made_and_removed(void **state)
{
	struct target target = { .exec = "true", .connect_fd = -1 };
	char dir[256], inner[300];

	(void)state;
	init(&target);
	snprintf(dir, sizeof(dir), "%s", target.dir);
	snprintf(inner, sizeof(inner), "%s/inner", dir);
	assert_int_equal(strncmp(target.path, dir, strlen(dir)), 0);
	assert_true(exists(dir));
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(symlink("/", strcat(inner, "/link")), 0);
	target_fini(&target);
	assert_false(exists(dir));
	assert_true(exists("/"));
}

/* A shell gets its name as it is. */
static void folder_when_the_place_has_a_space_is_made_elsewhere(void **state)
{
	struct target target = { .exec = "true", .connect_fd = -1 };
	const char *place = getenv("TMPDIR");
	char *before = place ? strdup(place) : NULL;

	(void)state;
	setenv("TMPDIR", "/tmp/no such; place", 1);
	assert_int_equal(target_init(&target), 0);
	assert_non_null(target.dir);
	assert_ptr_equal(strstr(target.dir, "/tmp/vhu-conform."), target.dir);
	target_fini(&target);
	if (before)
		setenv("TMPDIR", before, 1);
	else
		unsetenv("TMPDIR");
	free(before);
}

static void socket_when_given_with_a_command_may_be_in_the_folder(void **state)
{
	struct target target = { .exec = "true", .socket = "{dir}/be.sock", .connect_fd = -1 };
	char wanted[256];

	(void)state;
	init(&target);
	snprintf(wanted, sizeof(wanted), "%s/be.sock", target.dir);
	assert_string_equal(target.path, wanted);
	target_fini(&target);
}

/* Connections. */

/* Somebody who listens and says nothing. */
static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void connection_when_somebody_listens_is_made(void **state)
{
	struct target target = { .exec = "true", .connect_fd = -1 };
	int listener, fd = -1, flags;

	(void)state;
	init(&target);
	listener = listen_at(target.path);
	assert_int_equal(target_connect(&target, &fd), 0);
	flags = fcntl(fd, F_GETFL);
	assert_false(flags & O_NONBLOCK);
	fd_close(fd);
	fd_close(listener);
	target_fini(&target);
}

static void connection_when_nobody_listens_is_refused_with_a_sentence(void **state)
{
	struct target target = { .socket = "/nonexistent/s",
				 .connect_fd = -1,
				 .timeout_scale = SOON };
	int fd;

	(void)state;
	init(&target);
	assert_int_equal(target_connect(&target, &fd), -ENOENT);
	assert_string_equal(target.error,
			    "connecting to /nonexistent/s: No such file or directory");
	target_fini(&target);
}

static void connection_when_path_is_too_long_is_refused(void **state)
{
	char path[200];
	struct target target = { .socket = path, .connect_fd = -1, .timeout_scale = SOON };
	int fd;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	init(&target);
	assert_int_equal(target_connect(&target, &fd), -ENAMETOOLONG);
	target_fini(&target);
}

static void connection_when_inherited_is_given_once(void **state)
{
	int pair[2], fd = -1, again;
	struct target target = { 0 };

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	target.connect_fd = pair[0];
	init(&target);
	assert_int_equal(target_connect(&target, &fd), 0);
	assert_int_equal(fd, pair[0]);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(target_connect(&target, &again), -ENOTCONN);
	assert_string_equal(target.error, "the one connection of --connect-fd has been used up");
	target_fini(&target);
	fd_close(fd);
	fd_close(pair[1]);
}

static void descriptor_when_not_open_is_refused(void **state)
{
	struct target target = { .connect_fd = 1000 };

	(void)state;
	assert_int_equal(target_init(&target), -EBADF);
	assert_string_equal(target.error, "--connect-fd: expected an open descriptor");
}

/* A console's other side. */

static void peer_when_it_listens_in_the_folder_is_reached(void **state)
{
	struct target target = { .exec = "true", .peer = "unix:{dir}/con{port}", .connect_fd = -1 };
	char path[300];
	int listener, fd = -1;

	(void)state;
	init(&target);
	snprintf(path, sizeof(path), "%s/con0", target.dir);
	listener = listen_at(path);
	assert_int_equal(target_connect_peer(&target, &fd), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	fd_close(fd);
	fd_close(listener);
	target_fini(&target);
}

static void peer_when_not_reached_is_told(void **state)
{
	static const struct {
		const char *peer, *sentence;
		int err;
	} table[] = {
		{ NULL, "--peer was not given", -EINVAL },
		{ "pty:/x",
		  "the peer at pty:/x: expected unix:PATH or tcp:HOST:PORT of a known host",
		  -EINVAL },
		{ "tcp:127.0.0.1",
		  "the peer at tcp:127.0.0.1: expected unix:PATH or tcp:HOST:PORT"
		  " of a known host",
		  -EINVAL },
		{ "unix:/nonexistent/con",
		  "connecting to the peer at unix:/nonexistent/con: No such file or directory",
		  -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct target target = { .socket = "/s",
					 .peer = table[i].peer,
					 .connect_fd = -1,
					 .timeout_scale = SOON };
		int fd;

		init(&target);
		assert_int_equal(target_connect_peer(&target, &fd), table[i].err);
		assert_string_equal(target.error, table[i].sentence);
		target_fini(&target);
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(word_when_in_braces_is_replaced),
	UNIT_TEST(word_when_unknown_stays),
	UNIT_TEST(deadline_when_scaled_is_at_least_a_millisecond),
	UNIT_TEST(folder_when_there_is_a_command_is_made_and_removed),
	UNIT_TEST(folder_when_the_place_has_a_space_is_made_elsewhere),
	UNIT_TEST(socket_when_given_with_a_command_may_be_in_the_folder),
	UNIT_TEST(connection_when_somebody_listens_is_made),
	UNIT_TEST(connection_when_nobody_listens_is_refused_with_a_sentence),
	UNIT_TEST(connection_when_path_is_too_long_is_refused),
	UNIT_TEST(connection_when_inherited_is_given_once),
	UNIT_TEST(descriptor_when_not_open_is_refused),
	UNIT_TEST(peer_when_it_listens_in_the_folder_is_reached),
	UNIT_TEST(peer_when_not_reached_is_told),
};

UNIT_MAIN(tests)
