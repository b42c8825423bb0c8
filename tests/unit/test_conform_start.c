/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Processes that are started: not for valgrind, which knows no pidfd_open(2). */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conform/target/target.h"

/* Deadlines are a hundredth where nothing is going to happen. */
#define SOON 0.01

/* One that was initialised; target_fini() is due. */
static void init(struct target *target)
{
	assert_int_equal(target_init(target), 0);
}

static void start_when_it_ends_at_once_tells_how_and_why(void **state)
{
	struct target target = { .exec = "sh -c 'echo first; echo no such device; exit 7'",
				 .connect_fd = -1 };
	char wanted[256];

	(void)state;
	init(&target);
	snprintf(wanted, sizeof(wanted),
		 "it ended with status 7 before it listened at %s; it said: no such device",
		 target.path);
	assert_true(target_start(&target) < 0);
	assert_string_equal(target.error, wanted);
	assert_int_equal(target.end, TARGET_EXITED);
	assert_int_equal(target.end_status, 7);
	target_fini(&target);
}

static void start_when_a_signal_ends_it_tells_which(void **state)
{
	struct target target = { .exec = "sh -c 'kill -SEGV $$'", .connect_fd = -1 };
	char end[64];

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	assert_int_equal(target.end, TARGET_SIGNALED);
	assert_int_equal(target.end_status, SIGSEGV);
	assert_string_equal(target_describe_end(&target, end), "signal 11 (Segmentation fault)");
	target_fini(&target);
}

/* As it never listens, starting it takes its deadline. */
static void start_when_it_never_listens_leaves_it_to_be_ended(void **state)
{
	struct target target = { .exec = "sleep 100", .connect_fd = -1, .timeout_scale = SOON };
	pid_t pid;

	(void)state;
	init(&target);
	assert_int_equal(target_start(&target), -ENOENT);
	assert_false(target_ended(&target, 0));
	pid = target.child;
	target.timeout_scale = 1;
	assert_int_equal(target_stop(&target), 0);
	assert_true(target.stopped);
	assert_int_equal(target.end, TARGET_SIGNALED);
	assert_int_equal(target.end_status, SIGTERM);
	assert_int_equal(kill(pid, 0), -1);
	target_fini(&target);
}

static void stop_when_it_does_not_listen_to_signals_kills(void **state)
{
	struct target target = { .exec = "sh -c 'trap \"\" TERM; echo up; sleep 100 & wait; wait'",
				 .connect_fd = -1,
				 .timeout_scale = SOON };
	char *output = NULL;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	for (int i = 0; !output && i < 1000; i++) {
		target_ended(&target, 10);
		output = target_output(&target, 100);
	}
	assert_non_null(output);
	free(output);
	assert_int_equal(target_stop(&target), -ETIMEDOUT);
	assert_true(target.stubborn);
	assert_int_equal(target.end_status, SIGKILL);
	target_fini(&target);
}

/* One that nobody has waited for yet is not. */
static bool is_alive(pid_t pid)
{
	char path[64], text[256] = "", *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	at = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	fclose(file);
	return at && at[1] && at[2] != 'Z';
}

/* The number that it prints. */
static pid_t read_pid(struct target *target)
{
	char *output = NULL;
	pid_t pid;

	for (int i = 0; !output && i < 1000; i++) {
		target_ended(target, 10);
		output = target_output(target, 100);
	}
	assert_non_null(output);
	pid = (pid_t)strtol(output, NULL, 10);
	free(output);
	assert_true(pid > 0);
	return pid;
}

static void stop_when_a_child_has_its_own_session_leaves_nothing(void **state)
{
	struct target target = {
		.exec = "sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 100\" & exec sleep 100'",
		.connect_fd = -1,
		.timeout_scale = SOON,
	};
	pid_t pid;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	pid = read_pid(&target);
	target.timeout_scale = 1;
	assert_int_equal(target_stop(&target), 0);
	assert_int_equal(target.end_status, SIGTERM);
	assert_false(is_alive(pid));
	target_fini(&target);
}

static void output_when_it_tells_of_a_failed_check_is_a_crash(void **state)
{
	struct target target = {
		.exec = "sh -c 'echo fine; echo \"x.c:3:1: runtime error: overflow\"; echo on'",
		.connect_fd = -1
	};
	char line[160], *output;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	output = target_output(&target, 4);
	assert_string_equal(output, "\non\n");
	free(output);
	assert_true(target_output_tells_crash(&target, line));
	assert_string_equal(line, "x.c:3:1: runtime error: overflow");
	target_forget_output(&target);
	assert_false(target_output_tells_crash(&target, line));
	assert_null(target_output(&target, 100));
	target_fini(&target);
}

/* Reading stops nowhere, and so does a search. */
static void output_when_it_has_a_nul_is_searched_to_its_end(void **state)
{
	struct target target = {
		.exec = "printf 'a\\0b\\nx.c:3:1: runtime error: \\0\\n'",
		.connect_fd = -1,
	};
	char line[160], *output;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	output = target_output(&target, 100);
	assert_string_equal(output, "a?b\nx.c:3:1: runtime error: ?\n");
	free(output);
	assert_true(target_output_tells_crash(&target, line));
	assert_string_equal(line, "x.c:3:1: runtime error: ?");
	target_fini(&target);
}

static void output_when_something_else_is_in_its_place_is_read(void **state)
{
	struct target target = {
		.exec = "sh -c 'rm {dir}/output; mkfifo {dir}/output; echo told'",
		.connect_fd = -1,
	};
	char *output;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	output = target_output(&target, 100);
	assert_string_equal(output, "told\n");
	free(output);
	target_forget_output(&target);
	assert_null(target_output(&target, 100));
	target_fini(&target);
}

/* The folder. */

static void folder_when_removed_is_there_for_the_next_start(void **state)
{
	struct target target = { .exec = "sh -c 'cd {dir} && echo in; rm -rf {dir}'",
				 .connect_fd = -1 };
	char *output;

	(void)state;
	init(&target);
	assert_true(target_start(&target) < 0);
	assert_true(target_start(&target) < 0);
	output = target_output(&target, 100);
	assert_string_equal(output, "in\nin\n");
	free(output);
	target_fini(&target);
}

/* Actions. */

static void action_when_told_runs_with_its_words(void **state)
{
	static struct option_text resize = { .text = "resize=echo {cols}x{rows} >{dir}/size" };
	static const char *const words[] = { "cols=80", "rows=25", NULL };
	struct target target = { .exec = "true", .connect_fd = -1, .actions = { &resize, 1 } };
	char path[300], text[16] = "";
	FILE *file;

	(void)state;
	init(&target);
	assert_true(target_has_action(&target, "resize"));
	assert_false(target_has_action(&target, "res"));
	assert_int_equal(target_act(&target, "resize", words), 0);
	snprintf(path, sizeof(path), "%s/size", target.dir);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "80x25\n");
	fclose(file);
	target_fini(&target);
}

static void action_when_it_fails_or_is_not_there_is_told(void **state)
{
	static struct option_text plug = { .text = "plug=exit 3" };
	struct target target = { .exec = "true", .connect_fd = -1, .actions = { &plug, 1 } };

	(void)state;
	init(&target);
	assert_int_equal(target_act(&target, "plug", NULL), -EIO);
	assert_string_equal(target.error, "the command failed with wait status 0x300: exit 3");
	assert_int_equal(target_act(&target, "unplug", NULL), -ENOENT);
	assert_string_equal(target.error, "no command was given by --do unplug=");
	target_fini(&target);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(start_when_it_ends_at_once_tells_how_and_why),
	UNIT_TEST(start_when_a_signal_ends_it_tells_which),
	UNIT_TEST(start_when_it_never_listens_leaves_it_to_be_ended),
	UNIT_TEST(stop_when_it_does_not_listen_to_signals_kills),
	UNIT_TEST(stop_when_a_child_has_its_own_session_leaves_nothing),
	UNIT_TEST(output_when_it_tells_of_a_failed_check_is_a_crash),
	UNIT_TEST(output_when_it_has_a_nul_is_searched_to_its_end),
	UNIT_TEST(output_when_something_else_is_in_its_place_is_read),
	UNIT_TEST(folder_when_removed_is_there_for_the_next_start),
	UNIT_TEST(action_when_told_runs_with_its_words),
	UNIT_TEST(action_when_it_fails_or_is_not_there_is_told),
};

UNIT_MAIN(tests)
