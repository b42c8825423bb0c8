/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line of ctl: words to requests, answers to tables, exit statuses. */
#include "control_rig.h"

#include <sys/wait.h>

#include "config.h"
#include "daemon/control-text.h"
#include "daemon/ctl-status.h"
#include "daemon/ctl-table.h"
#include "daemon/ctl.h"

enum { WORDS_MAX = 16 };

/* The request that a line, split at blanks, makes; NULL and a sentence in why. */
static const char *request_of(const char *line, char *why, size_t cap)
{
	static char buf[1024];
	char copy[256], *save = NULL;
	const char *words[WORDS_MAX];
	unsigned int n = 0;
	struct json_object *o;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	if (ctl_request(words, n, &o, why, cap) < 0)
		return NULL;
	snprintf(buf, sizeof(buf), "%s",
		 json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return buf;
}

static void words_become_the_request_that_is_meant(void **state)
{
	static const char *const rows[][2] = {
		{ "status", "{\"command\":\"status\"}" },
		{ "status console1", "{\"command\":\"status\",\"device\":\"console1\"}" },
		{ "set-port console0/1 output=off overflow=hold size=132x43",
		  "{\"command\":\"set-port\",\"device\":\"console0\",\"port\":\"1\","
		  "\"output\":\"off\",\"overflow\":\"hold\",\"size\":\"132x43\"}" },
		{ "set-port /org.x.0 input=on",
		  "{\"command\":\"set-port\",\"port\":\"org.x.0\",\"input\":\"on\"}" },
		{ "set-port 1 input=on",
		  "{\"command\":\"set-port\",\"port\":\"1\",\"input\":\"on\"}" },
		{ "set-port 1", "{\"command\":\"set-port\",\"port\":\"1\"}" },
		{ "add-port name=x,unix:/run/x",
		  "{\"command\":\"add-port\",\"spec\":\"name=x,unix:/run/x\"}" },
		{ "add-port console0 3,null",
		  "{\"command\":\"add-port\",\"device\":\"console0\",\"spec\":\"3,null\"}" },
		{ "remove-port console0/x",
		  "{\"command\":\"remove-port\",\"device\":\"console0\",\"port\":\"x\"}" },
		{ "rename-port 1 other",
		  "{\"command\":\"rename-port\",\"port\":\"1\",\"name\":\"other\"}" },
		{ "attach a/b unix:/run/x,ro", "{\"command\":\"attach\",\"device\":\"a\",\"port\":"
					       "\"b\",\"spec\":\"unix:/run/x,ro\"}" },
		{ "detach 0 4294967295",
		  "{\"command\":\"detach\",\"port\":\"0\",\"attachment\":4294967295}" },
		{ "disconnect 0 1", "{\"command\":\"disconnect\",\"port\":\"0\",\"client\":1}" },
		{ "steal 0 1", "{\"command\":\"steal\",\"port\":\"0\",\"client\":1}" },
		{ "reload", "{\"command\":\"reload\"}" },
		{ "help", "{\"command\":\"help\"}" },
	};
	char why[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(request_of(rows[i][0], why, sizeof(why)), rows[i][1]);
}

static void words_that_have_no_place_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "", "a command is missing; --help lists them" },
		{ "fly", "there is no command 'fly'; --help lists them" },
		{ "set-port",
		  "a port is missing; what is expected is: set-port [DEVICE/]PORT "
		  "[input=on|off] [output=on|off] [overflow=drop|hold] [size=COLSxROWS]" },
		{ "status a b",
		  "'b' has no place in status; what is expected is: status [DEVICE]" },
		{ "reload now", "'now' has no place in reload; what is expected is: reload" },
		{ "remove-port 1 2", "'2' has no place in remove-port; what is expected is: "
				     "remove-port [DEVICE/]PORT" },
		{ "add-port", "something is missing; what is expected is: add-port [DEVICE] SPEC" },
		{ "attach 1",
		  "something is missing; what is expected is: attach [DEVICE/]PORT SPEC" },
		{ "steal 1 x", "'x' is not the number of a client" },
		{ "detach 1 0", "'0' is not the number of an attachment" },
		{ "detach 1 4294967296", "'4294967296' is not the number of an attachment" },
		{ "detach 1 -1", "'-1' is not the number of an attachment" },
		{ "set-port 1 input=on input=off", "input= is given twice" },
		{ "set-port 1 \xff", "'\xff' has no place in set-port" },
		{ "set-port \xff", "the words must be UTF-8" },
		{ "set-port 1 device=x", "'device=x' has no place in set-port" },
	};
	char why[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_null(request_of(rows[i][0], why, sizeof(why)));
		if (strncmp(why, rows[i][1], strlen(rows[i][1])) != 0)
			fail_msg("'%s' is refused by: %s", rows[i][0], why);
	}
}

static void expect_shown(const char *text, const char *shown)
{
	char *got = text_for_terminal(text);

	assert_string_equal(got, shown);
	free(got);
}

/* What a guest, a peer or a path has in it does not act on the terminal. */
static void text_for_a_terminal_has_no_control_characters(void **state)
{
	(void)state;
	expect_shown("plain \xc3\xa9 \xf0\x9f\x98\x80", "plain \xc3\xa9 \xf0\x9f\x98\x80");
	expect_shown("\x1b[2J\a\n\r\t\x7f", "\\x1b[2J\\x07\\x0a\\x0d\\x09\\x7f");
	expect_shown("\xc2\x9b"
		     "2J",
		     "\\u{9b}2J");
	expect_shown("\xe2\x80\xae"
		     "x",
		     "\\u{202e}x");
	expect_shown("\xff\xc3", "\\xff\\xc3");
	expect_shown("", "");
}

static void json_for_a_terminal_stays_json(void **state)
{
	char *got = json_for_terminal("{\n \"a\":\"\x7f\xc2\x9b\xe2\x80\xae\xc3\xa9\"}");

	(void)state;
	assert_string_equal(got, "{\n \"a\":\"\\u007f\\u009b\\u202e\xc3\xa9\"}");
	free(got);
}

static void expect_printed(FILE *out, char **text, const char *wanted)
{
	assert_int_equal(fclose(out), 0);
	assert_string_equal(*text, wanted);
	free(*text);
}

static void table_is_as_wide_as_what_is_in_it(void **state)
{
	static const struct table_column columns[] = { { "A", false },
						       { "N", true },
						       { "B", false } };
	struct table t;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	table_init(&t, columns, ARRAY_SIZE(columns));
	table_cell(&t, "\xc3\xa9t\xc3\xa9");
	table_cell_f(&t, "%d", 5);
	table_cell(&t, NULL);
	table_cell(&t, "x");
	table_cell_f(&t, "%d", 1000);
	table_cell(&t, "last one");
	table_print(&t, out);
	table_fini(&t);
	expect_printed(out, &text,
		       "\nA       N  B\n\xc3\xa9t\xc3\xa9     5  -\nx    1000  last one\n");
}

static void table_without_rows_is_not_printed(void **state)
{
	static const struct table_column columns[] = { { "A", false } };
	struct table t;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	table_init(&t, columns, ARRAY_SIZE(columns));
	table_print(&t, out);
	table_fini(&t);
	expect_printed(out, &text, "");
}

/* Whatever answers there, ctl does not fall over. */
static void status_of_any_shape_is_printed(void **state)
{
	static const char *const answers[] = {
		"{}",
		"[]",
		"7",
		"{\"devices\":7}",
		"{\"devices\":[7,null,{}]}",
		("{\"devices\":[{\"name\":7,\"ports\":[null,{\"clients\":[1],\"attachments\":[1],"
		 "\"latency\":{\"n\":1,\"buckets\":[1,{\"n\":-1}]}}]}]}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct json_object *o = json_tokener_parse(answers[i]);
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		assert_non_null(o);
		ctl_status_print(o, true, out);
		assert_int_equal(fclose(out), 0);
		assert_non_null(strstr(text, "vhost-device-console"));
		free(text);
		json_object_put(o);
	}
}

/* What ctl printed, and its exit status; the loop turns meanwhile. */
struct run {
	char text[16 * 1024];
	int status;
};

static void child(const char *line, int fd)
{
	char copy[256], *save = NULL, *words[WORDS_MAX] = { "ctl" };
	int n = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	_exit(control_ctl_main(n, words));
}

static const struct run *run(const char *line)
{
	static struct run r;
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(line, fds[1]);
	close(fds[1]);
	for (time_t deadline = rig_seconds() + DEADLINE_SECONDS;;) {
		n = read(fds[0], r.text + len, sizeof(r.text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		if (n == 0)
			break;
		rig_step_before(deadline);
	}
	r.text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	r.status = WEXITSTATUS(status);
	return &r;
}

static void expect_run(const char *line, int status, const char *text)
{
	const struct run *r = run(line);

	if (r->status != status || strcmp(r->text, text) != 0)
		fail_msg("ctl %s: status %d and: %s", line, r->status, r->text);
}

static void begin(void)
{
	rig_begin(1);
	rig_listen();
	setenv("VHU_CONTROL", rig.path, 1);
}

static void exit_status_says_who_refused(void **state)
{
	(void)state;
	begin();
	expect_run("reload", 0, "");
	assert_int_equal(rig.n_reloads, 1);
	expect_run("add-port extra", 0, "port 7\n");
	expect_run("attach 7 null", 0, "attachment 1\n");
	expect_run("remove-port 8", 1,
		   "vhost-device-console ctl: console0 has no port 8; it has 0, 4 and 7\n");
	expect_run("fly", 2,
		   "vhost-device-console ctl: there is no command 'fly'; --help lists them\n");
	expect_run("--fly reload", 2,
		   "vhost-device-console ctl: unknown option --fly; --help lists the options\n");
	setenv("VHU_CONTROL", "/nowhere", 1);
	expect_run("reload", 3,
		   "vhost-device-console ctl: cannot reach a daemon at /nowhere: "
		   "No such file or directory\n");
	rig_end();
}

static void path_of_the_option_counts_more_than_the_environment(void **state)
{
	char line[128];

	(void)state;
	begin();
	setenv("VHU_CONTROL", "/nowhere", 1);
	snprintf(line, sizeof(line), "reload -C %s", rig.path);
	expect_run(line, 0, "");
	snprintf(line, sizeof(line), "--control=%s reload", rig.path);
	expect_run(line, 0, "");
	snprintf(line, sizeof(line), "-vC %s reload", rig.path);
	expect_run(line, 0, "");
	snprintf(line, sizeof(line), "-vC%s reload", rig.path);
	expect_run(line, 0, "");
	assert_int_equal(rig.n_reloads, 4);
	rig_end();
}

static void path_with_an_at_sign_is_an_abstract_name(void **state)
{
	char name[64], line[96], why[256];

	(void)state;
	rig_begin(1);
	rig_make_folder();
	snprintf(name, sizeof(name), "vhu-test-ctl.%d", getpid());
	rig_serve(listener_abstract_socket(name, why, sizeof(why)), NULL);
	snprintf(line, sizeof(line), "-C @%s reload", name);
	expect_run(line, 0, "");
	assert_int_equal(rig.n_reloads, 1);
	rig_end();
}

/* A name may begin with a dash; after -- nothing is an option. */
static void words_after_two_dashes_are_words(void **state)
{
	(void)state;
	begin();
	expect_run("rename-port -- 4 --json", 0, "");
	assert_string_equal(guest_find_port(&rig.guest[0], "4")->port.name, "--json");
	rig_end();
}

static void json_is_the_answer_as_it_is(void **state)
{
	const struct run *r;
	struct json_object *o;

	(void)state;
	begin();
	r = run("--json status");
	o = json_tokener_parse(r->text);
	assert_int_equal(r->status, 0);
	assert_true(json_object_get_boolean(json_object_object_get(o, "ok")));
	json_object_put(o);
	r = run("--json remove-port 9");
	o = json_tokener_parse(r->text);
	assert_int_equal(r->status, 1);
	assert_false(json_object_get_boolean(json_object_object_get(o, "ok")));
	json_object_put(o);
	rig_end();
}

static void status_is_tables(void **state)
{
	struct guest_port *p;
	char wanted[1024];

	(void)state;
	begin();
	p = guest_find_port(&rig.guest[0], "4");
	snprintf(p->port.name, sizeof(p->port.name), "a\x1b[2Jb");
	port_enable_input(&p->port, false);
	port_resize(&p->port, 80, 24);
	snprintf(wanted, sizeof(wanted),
		 "vhost-device-console " PACKAGE_VERSION ", pid %d, engine %s\n"
		 "\n"
		 "DEVICE    FRONT-END  PORTS  MAX  SOCKET\n"
		 "console0  -              2    8  /tmp/con0\n"
		 "\n"
		 "PORT        KIND     NAME       GUEST  HOST  OVERFLOW  SIZE   STATE\n"
		 "console0/0  console  -          -      -     drop      -      -\n"
		 "console0/4  port     a\\x1b[2Jb  -      -     drop      80x24  input-off\n",
		 getpid(), loop_engine_name(rig.loop));
	expect_run("status", 0, wanted);
	rig_end();
}

static void verbose_status_has_counters_and_bars(void **state)
{
	struct guest_port *p;
	const struct run *r;

	(void)state;
	begin();
	p = guest_find_port(&rig.guest[0], "4");
	port_output(&p->port, "12345", 5);
	for (unsigned int i = 0; i < 4; i++)
		histogram_add(&p->port.latency, 5000);
	histogram_add(&p->port.latency, 2000000);
	r = run("status -v console0");
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->text, "\nconsole0/4:\n  output 5, lost 0, discarded 0; "
					"input 0, waiting 0; history 4096 bytes\n"));
	assert_non_null(strstr(r->text, "  5 kicks served: mean 404 us, half within 8.1 us, "
					"99% within 2.0 ms, all within 2.0 ms\n"));
	assert_non_null(strstr(r->text, "    from  4.0 us          4  "
					"########################################\n"));
	assert_non_null(strstr(r->text, "    from  1.0 ms          1  ##########\n"));
	rig_end();
}

/* A daemon of another user: what it says reaches us though it closes at once. */
static void answer_of_a_server_that_does_not_read_is_shown(void **state)
{
	int fds[CONTROL_CLIENTS_MAX];

	(void)state;
	begin();
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = rig_connect();
		assert_string_equal(rig_ask(fds[i], "{\"command\":\"reload\"}"), OK_ANSWER);
	}
	expect_run("reload", 1,
		   "vhost-device-console ctl: too many connections are open already\n");
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
	rig_end();
}

static void help_fits_eighty_columns_and_needs_no_daemon(void **state)
{
	const struct run *r;
	char *save = NULL;

	(void)state;
	begin();
	setenv("VHU_CONTROL", "/nowhere", 1);
	for (unsigned int i = 0; i < 2; i++) {
		r = run(i == 0 ? "help" : "--help");
		assert_int_equal(r->status, 0);
		assert_non_null(strstr(r->text, "  set-port [DEVICE/]PORT [input=on|off]"));
		assert_non_null(strstr(r->text, "  -C, --control PATH"));
		for (char *l = strtok_r((char *)(uintptr_t)r->text, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save))
			assert_true(strlen(l) <= 80);
	}
	rig_end();
}

static void manual_has_every_command_and_argument(void **state)
{
	char name[64], *text;
	unsigned int n_rows = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	control_ctl_man(out);
	assert_int_equal(fclose(out), 0);
	for (const char *at = text; (at = strstr(at, ".TP\n")); at++)
		n_rows++;
	assert_int_equal(n_rows, CONTROL_N_COMMANDS + CONTROL_N_ARGUMENTS + 4); /* and options */
	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++) {
		snprintf(name, sizeof(name), ".TP\n\\fB%s\\fR (", control_arguments[i].name);
		assert_non_null(strstr(text, name));
	}
	assert_non_null(strstr(text, "\\fBset\\-port\\fR [\\fIDEVICE\\fR/]\\fIPORT\\fR "
				     "[\\fBinput=on|off\\fR]"));
	free(text);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(words_become_the_request_that_is_meant),
	UNIT_TEST(words_that_have_no_place_are_refused),
	UNIT_TEST(text_for_a_terminal_has_no_control_characters),
	UNIT_TEST(json_for_a_terminal_stays_json),
	UNIT_TEST(table_is_as_wide_as_what_is_in_it),
	UNIT_TEST(table_without_rows_is_not_printed),
	UNIT_TEST(status_of_any_shape_is_printed),
	UNIT_TEST(exit_status_says_who_refused),
	UNIT_TEST(path_of_the_option_counts_more_than_the_environment),
	UNIT_TEST(path_with_an_at_sign_is_an_abstract_name),
	UNIT_TEST(words_after_two_dashes_are_words),
	UNIT_TEST(json_is_the_answer_as_it_is),
	UNIT_TEST(status_is_tables),
	UNIT_TEST(verbose_status_has_counters_and_bars),
	UNIT_TEST(answer_of_a_server_that_does_not_read_is_shown),
	UNIT_TEST(help_fits_eighty_columns_and_needs_no_daemon),
	UNIT_TEST(manual_has_every_command_and_argument),
};

UNIT_MAIN(tests)
