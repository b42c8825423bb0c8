/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How the program is started and ended (vhost-user "Backend program conventions"). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/cases/case-json.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-program.h"

enum {
	SOON_MS = 5000,	   /* a program that cannot do what it is asked has ended */
	QUICKLY_MS = 1000, /* one that was told to end has ended */
	MAX_ANCESTORS = 16,
};

static void text_free(char **text)
{
	free(*text);
	*text = NULL;
}

#define AUTO_TEXT AUTO(text_free) char *

/* A path beside the socket of the target. */
static int other_path(struct trial *t, const char *suffix, char **ret_path)
{
	if (asprintf(ret_path, "%s%s", t->target->path, suffix) >= 0)
		return 0;
	*ret_path = NULL;
	return trial_error(t, "no memory");
}

/* Ended by itself, with a status that says that it failed. */
static bool has_failed(const struct program *p)
{
	return WIFEXITED(p->status) && WEXITSTATUS(p->status) != 0;
}

static int expect_failure(struct trial *t, struct program *p, const char *what)
{
	AUTO_TEXT errors = NULL;

	if (!program_ended(p, trial_ms(t, SOON_MS)))
		return trial_fail(t, "%s: expected it to end, but it runs", what);
	if (!has_failed(p))
		return trial_fail(t,
				  "%s: expected an exit status other than 0, but wait status "
				  "is %#x",
				  what, (unsigned int)p->status);
	errors = program_text(p->errors);
	if (errors && errors[0])
		return 0;
	return trial_fail(t, "%s: expected a message on standard error, but there is none", what);
}

/* The socket and whatever else only one process can have is free for another one. */
static void make_room(struct trial *t)
{
	t->ended_allowed = true;
	target_stop(t->target);
}

/* --print-capabilities. */

static int print_capabilities(struct trial *t, const char *more)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT name = NULL;
	AUTO_TEXT line = NULL;
	AUTO_TEXT text = NULL;
	const char *wrong;
	int err = program_name(t, &name);

	if (err < 0)
		return err;
	if (asprintf(&line, "'%s' --print-capabilities%s", name, more) < 0)
		return trial_error(t, "no memory");
	err = program_run(t, &p, line, NULL);
	if (err < 0)
		return err;
	if (!program_ended(&p, trial_ms(t, SOON_MS)))
		return trial_fail(t, "--print-capabilities%s: expected it to end, but it runs",
				  more);
	if (!WIFEXITED(p.status) || WEXITSTATUS(p.status) != 0)
		return trial_fail(t,
				  "--print-capabilities%s: expected exit status 0, but wait status "
				  "is %#x",
				  more, (unsigned int)p.status);
	text = program_text(p.output);
	if (!text)
		return trial_error(t, "no memory");
	wrong = json_check_object(text);
	if (wrong)
		return trial_fail(t, "--print-capabilities%s: expected a JSON object, but %s", more,
				  wrong);
	if (!json_has_string(text, "type"))
		return trial_fail(t,
				  "--print-capabilities%s: expected a string called \"type\" in "
				  "it, but there is none",
				  more);
	return 0;
}

int case_program_capabilities(struct trial *t)
{
	return print_capabilities(t, "");
}

int case_program_capabilities_more(struct trial *t)
{
	return print_capabilities(t, " --socket-path=/nonexistent/vhu/socket --fd=200");
}

/* The file that describes it. */

int case_program_descriptor(struct trial *t)
{
	AUTO_TEXT name = NULL;
	AUTO_TEXT file = NULL;
	AUTO_TEXT text = NULL;
	char wrong[256];
	int err = program_name(t, &name);

	if (err < 0)
		return err;
	if (!json_find_descriptor(name, &file, &text))
		return trial_na(t,
				"no file in qemu/vhost-user names %s: it has none, or is not "
				"installed",
				name);
	if (json_check_descriptor(text, wrong, sizeof(wrong)))
		return 0;
	return trial_fail(t, "%s: %s", file, wrong);
}

/* --socket-path and --fd. */

int case_program_socket_path(struct trial *t)
{
	AUTO_TEXT line = NULL;
	const char *value;
	size_t len = 0;
	int err = program_line(t, t->target->path, &line);

	if (err < 0)
		return err;
	value = program_socket_path(line, &len);
	if (!value)
		return trial_na(t, "--exec has no --socket-path");
	if (strlen(t->target->path) == len && memcmp(value, t->target->path, len) == 0)
		return 0;
	return trial_fail(t, "--socket-path=%.*s: expected it to listen there, but it does at %s",
			  (int)len, value, t->target->path);
}

/* The program on descriptor 3, in place of --socket-path. */
static int run_on_fd(struct trial *t, struct program *p, int fd)
{
	const struct program_start how = { .fd = fd };
	AUTO_TEXT line = NULL;
	AUTO_TEXT path = NULL;
	AUTO_TEXT option = NULL;
	int err = other_path(t, ".fd", &path);

	if (err == 0 && asprintf(&option, "--fd=%d", PROGRAM_FD) < 0) {
		option = NULL;
		err = trial_error(t, "no memory");
	}
	if (err == 0)
		err = program_line_without_path(t, path, option, &line);
	return err < 0 ? err : program_run(t, p, line, &how);
}

static int both_given(struct trial *t, const struct program_start *how)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT both = NULL;
	AUTO_TEXT line = NULL;
	AUTO_TEXT path = NULL;
	size_t len;
	int err = other_path(t, ".both", &path);

	if (err == 0)
		err = program_line(t, path, &line);
	if (err < 0)
		return err;
	if (!program_socket_path(line, &len))
		return trial_na(t, "--exec has no --socket-path");
	if (asprintf(&both, "%s --fd=%d", line, PROGRAM_FD) < 0) {
		both = NULL;
		return trial_error(t, "no memory");
	}
	err = program_run(t, &p, both, how);
	return err < 0 ? err : expect_failure(t, &p, "--socket-path and --fd together");
}

int case_program_exclusive(struct trial *t)
{
	AUTO_FD int ours = -1;
	AUTO_FD int theirs = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return trial_error(t, "a connection: %s", strerror(errno));
	ours = fds[0];
	theirs = fds[1];
	make_room(t);
	return both_given(t, &(struct program_start){ .fd = theirs });
}

int case_program_fd(struct trial *t)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	struct vhu_frontend other;
	AUTO_FD int theirs = -1;
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return trial_error(t, "a connection: %s", strerror(errno));
	theirs = fds[1];
	vhu_frontend_init(&other, fds[0]);
	other.timeout_ms = trial_ms(t, SOON_MS);
	make_room(t);
	err = run_on_fd(t, &p, theirs);
	theirs = fd_close(theirs);
	if (err == 0 && vhu_frontend_ping(&other) < 0)
		err = trial_fail(t,
				 "--fd with a connected socket, then GET_FEATURES on it: "
				 "expected %s",
				 other.error);
	vhu_frontend_fini(&other);
	return err;
}

/* A process of one's own. */

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512];
	char *at = NULL;
	FILE *f;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f))
		at = strrchr(line, ')');
	fclose(f);
	if (!at || sscanf(at + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

int case_program_foreground(struct trial *t)
{
	pid_t started = t->target->child, pid = t->target->pid;

	if (target_ended(t->target, 0) || started == 0)
		return trial_fail(t, "expected the process that was started to serve, but it has "
				     "ended");
	for (unsigned int i = 0; i < MAX_ANCESTORS && pid > 1; i++) {
		if (pid == started)
			return trial_ping(t);
		pid = parent_of(pid);
	}
	return trial_fail(t,
			  "expected process %d or a child of it to listen, but process %d does, "
			  "which is neither",
			  (int)started, (int)t->target->pid);
}

static int end_by_signal(struct trial *t)
{
	char end[64];

	t->ended_allowed = true;
	if (kill(t->target->pid, SIGTERM) < 0)
		return trial_error(t, "SIGTERM: %s", strerror(errno));
	if (!target_ended(t->target, trial_ms(t, QUICKLY_MS)))
		return trial_fail(t, "SIGTERM: expected its end within %d ms, but it runs",
				  trial_ms(t, QUICKLY_MS));
	target_describe_end(t->target, end);
	if (t->target->end == TARGET_SIGNALED && t->target->end_status != SIGTERM)
		return trial_fail(t, "SIGTERM: expected a clean end, but it ended with %s", end);
	if (t->target->end == TARGET_SIGNALED || t->target->end_status != 0)
		trial_remark(t, "SIGTERM ends it with %s", end);
	if (access(t->target->path, F_OK) == 0)
		trial_remark(t, "the socket's file is left behind");
	return 0;
}

int case_program_sigterm(struct trial *t)
{
	int err = trial_ping(t);

	return err < 0 ? err : end_by_signal(t);
}

int case_program_sigterm_running(struct trial *t)
{
	struct trial_request request;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_offer(t, NULL, &request);
	if (err == 0)
		err = trial_publish(t);
	return err < 0 ? err : end_by_signal(t);
}

/* Starts that fail. */

int case_program_no_folder(struct trial *t)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT path = NULL;
	AUTO_TEXT line = NULL;
	int err;

	if (!strstr(t->target->exec, "{socket}"))
		return trial_na(t, "--exec has no {socket}");
	err = other_path(t, ".none/socket", &path);
	if (err == 0)
		err = program_line(t, path, &line);
	make_room(t);
	if (err == 0)
		err = program_run(t, &p, line, NULL);
	return err < 0 ? err : expect_failure(t, &p, "a socket in a folder that does not exist");
}

int case_program_bad_option(struct trial *t)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT name = NULL;
	AUTO_TEXT line = NULL;
	int err = program_name(t, &name);

	if (err == 0 && asprintf(&line, "'%s' --no-option-of-this-name", name) < 0) {
		line = NULL;
		err = trial_error(t, "no memory");
	}
	if (err == 0)
		err = program_run(t, &p, line, NULL);
	return err < 0 ? err : expect_failure(t, &p, "an option that does not exist");
}

/* Starts that must not fail. */

static int serves(struct trial *t, struct program *p, const char *path, const char *how)
{
	struct vhu_frontend other;
	AUTO_TEXT errors = NULL;
	int fd = program_connect(t, p, path), err;

	if (fd < 0) {
		errors = program_text(p->errors);
		if (errors)
			errors[strcspn(errors, "\n")] = '\0';
		return trial_fail(t, "started %s: expected it to listen at its socket, but %s%s%s",
				  how, p->ended ? "it ended" : "it does not",
				  errors && errors[0] ? "; it said: " : "", errors ? errors : "");
	}
	vhu_frontend_init(&other, fd);
	other.timeout_ms = trial_ms(t, SOON_MS);
	err = vhu_frontend_ping(&other);
	if (err < 0)
		err = trial_fail(t, "started %s, then GET_FEATURES: expected %s", how, other.error);
	vhu_frontend_fini(&other);
	return err;
}

/* As --exec says, at its own socket, once the one of before is gone. */
static int serves_when(struct trial *t, const struct program_start *start, const char *how)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT line = NULL;
	int err = program_line(t, t->target->path, &line);

	if (err == 0)
		err = program_run(t, &p, line, start);
	if (err == 0)
		err = serves(t, &p, t->target->path, how);
	program_fini(&p);
	(void)unlink(t->target->path);
	return err;
}

int case_program_silent(struct trial *t)
{
	static const struct program_start silent = { .silent = true };

	make_room(t);
	(void)unlink(t->target->path);
	return serves_when(t, &silent, "with /dev/null as descriptors 0 to 2");
}

int case_program_powerless(struct trial *t)
{
	static const struct program_start powerless = { .powerless = true };

	make_room(t);
	(void)unlink(t->target->path);
	return serves_when(t, &powerless, "without capabilities");
}

/* A socket file that nobody listens at. */
static int leave_socket(struct trial *t)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(t->target->path);
	if (strlen(t->target->path) >= sizeof(addr.sun_path))
		return trial_error(t, "the socket's path is too long");
	memcpy(addr.sun_path, t->target->path, strlen(t->target->path) + 1);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 1) < 0)
		return trial_error(t, "a socket file: %s", strerror(errno));
	return 0;
}

int case_program_stale(struct trial *t)
{
	int err;

	make_room(t);
	err = leave_socket(t);
	return err < 0 ? err : serves_when(t, NULL, "where an old socket file lies");
}

static pid_t listener(struct trial *t, struct program *p)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	AUTO_FD int fd = program_connect(t, p, t->target->path);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return cred.pid;
}

int case_program_live(struct trial *t)
{
	AUTO_PROGRAM p = PROGRAM_NONE;
	AUTO_TEXT line = NULL;
	pid_t pid, first;
	int err = program_line(t, t->target->path, &line);

	if (err == 0)
		err = program_run(t, &p, line, NULL);
	if (err < 0)
		return err;
	/* It gives up, or has had the time to do harm. */
	(void)program_ended(&p, trial_ms(t, QUICKLY_MS));
	err = trial_ping(t);
	if (err < 0)
		return err;
	pid = listener(t, &p);
	if (pid == t->target->pid)
		return 0;
	/* Who cannot be reached any more is of no use to the next case. */
	first = t->target->pid;
	target_stop(t->target);
	t->closed = true;
	return trial_fail(t,
			  "a second instance with the same socket: expected process %d to listen "
			  "there still, but %s",
			  (int)first, pid == 0 ? "nobody does" : "another one does");
}

int case_program_socket_mode(struct trial *t)
{
	struct stat st;

	if (stat(t->target->path, &st) < 0)
		return trial_na(t, "the socket's file cannot be looked at: %s", strerror(errno));
	trial_remark(t, "the socket has mode %04o", (unsigned int)(st.st_mode & 07777));
	if (!(st.st_mode & S_IWOTH))
		return 0;
	return trial_fail(t,
			  "expected a socket that not everybody may connect to, but its mode "
			  "is %04o",
			  (unsigned int)(st.st_mode & 07777));
}
