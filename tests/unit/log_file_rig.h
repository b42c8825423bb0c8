/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A log in a folder of its own. */
#ifndef VHU_TESTS_LOG_FILE_RIG_H
#define VHU_TESTS_LOG_FILE_RIG_H

#include "backend_rig.h"

#include <dirent.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define TIME "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z"

enum {
	MAX_SIZE = 4096,
	LINE = 64, /* bytes of a line, a divisor of MAX_SIZE */
	TEXT_MAX = 4 * HISTORY,
	LIMIT = 10000,
};

/* As the words of the option. */
enum { OUTPUT, INPUT, BOTH };

static const struct port_client_ops deaf = { .output_ready = NULL };
static const struct port_client_options writes = { .writes = true };

static char dir[] = "/tmp/test_log_file.XXXXXX";
static char path[64];
static char text[TEXT_MAX + 1]; /* of the file read last */
static struct port_client user;

static inline int make_dir(void **state)
{
	unit_setup(state);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 7);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	return 0;
}

static inline void unlimit(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_FSIZE, &none);
}

static inline int remove_dir(void **state)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	unlimit();
	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	if (rmdir(dir) < 0)
		return 1;
	return unit_teardown(state);
}

#define TEST(f) UNIT_TEST_WITH(f, make_dir, remove_dir)

static inline void open_log(void)
{
	if (rig_open(ATTACHMENT_log_file, path) < 0)
		fail_msg("%s", rig.why);
}

static inline void set_up(void)
{
	rig_begin();
	rig.options.max_size = 10 * 1024 * 1024;
	rig.options.keep = 5;
}

static inline void begin(void)
{
	set_up();
	open_log();
}

static inline void begin_small(uint64_t keep)
{
	set_up();
	rig.options.max_size = MAX_SIZE;
	rig.options.keep = keep;
	open_log();
}

static inline void begin_recording(unsigned int what)
{
	set_up();
	rig.options.record = what;
	open_log();
	port_join(&rig.port, &user, &deaf, &writes);
}

static inline void end(void)
{
	rig_close();
	rig_end();
}

static inline void end_recording(void)
{
	port_leave(&user);
	end();
}

static inline void end_without_attachment(void)
{
	assert_int_equal(rig.port.n_clients, 0);
	port_fini(&rig.port);
	loop_free(rig.loop);
}

static inline const char *numbered(unsigned int n)
{
	static char name[80];

	if (n == 0)
		snprintf(name, sizeof(name), "%s", path);
	else
		snprintf(name, sizeof(name), "%s.%u", path, n);
	return name;
}

static inline off_t file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

/* Into text; returns its length. */
static inline size_t read_log(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, text + len, TEXT_MAX - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return len;
}

static inline void expect_log(const char *expected)
{
	PUMP_UNTIL(file_size(path) >= (off_t)strlen(expected));
	read_log(path);
	assert_string_equal(text, expected);
}

/* The whole of text. */
static inline void expect_pattern(const char *pattern)
{
	regex_t regex;
	int err;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	err = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (err != 0)
		fail_msg("\"%s\" is not like %s", text, pattern);
}

static inline void say(const char *words)
{
	rig_output(words, strlen(words));
}

static inline void type(const char *keys)
{
	assert_int_equal(port_input(&rig.port, keys, strlen(keys)), strlen(keys));
}

/* Operations that the kernel has and has not ended. */
static inline uint64_t n_in_flight(void)
{
	struct loop_counters counters = loop_counters(rig.loop);

	return counters.n_submitted - counters.n_completions;
}

/* Whether the last write has failed. */
static inline bool failing(void)
{
	char state[256];

	rig.attachment->ops->describe(rig.attachment, state, sizeof(state));
	return strstr(state, ", failing: ") != NULL;
}

/* Until nothing more comes of what was said. A write may take as long as it likes. */
static inline void settle(void)
{
	uint64_t before;

	do {
		PUMP_UNTIL(n_in_flight() == 0);
		before = loop_counters(rig.loop).n_completions;
		rig_step_quietly();
	} while (loop_counters(rig.loop).n_completions != before || n_in_flight() != 0);
}

/* Line number i, of LINE bytes. */
static inline void say_line(unsigned int i)
{
	char line[LINE + 1];

	snprintf(line, sizeof(line), "%0*u\n", LINE - 1, i);
	rig_output(line, LINE);
}

static inline void set_limit(rlim_t bytes)
{
	const struct rlimit limit = { bytes, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
