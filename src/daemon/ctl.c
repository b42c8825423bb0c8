/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control socket from the command line. A program of its own kind: it blocks. */
#include "daemon/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "backends/address.h"
#include "daemon/control-text.h"
#include "daemon/control.h"
#include "daemon/ctl-options.h"
#include "daemon/ctl-status.h"
#include "fd.h"

enum {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
	ANSWER_SECONDS = 30,
};

PRINTF_LIKE(1, 2)
static void complain(const char *fmt, ...)
{
	char text[1024], *shown;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	shown = text_for_terminal(text);
	fprintf(stderr, "vhost-device-console ctl: %s\n", shown ? shown : "no memory");
	free(shown);
}

/* The command line: options, wherever they stand, and the words of the command. */
struct line {
	char **options, **words;
	unsigned int n_options, n_words;
};

/* "-vC" as well, but not "-vC/run/control": that has its value. */
static bool takes_next(const char *word)
{
	const char *letter = word[1] == '-' ? NULL : strchr(word, 'C');

	return letter ? !letter[1] : strcmp(word, "--control") == 0;
}

static void sort_line(struct line *l, int argc, char **argv)
{
	bool words_only = false;

	l->options[l->n_options++] = argv[0];
	for (int i = 1; i < argc; i++) {
		bool option = !words_only && argv[i][0] == '-' && argv[i][1];

		if (option && strcmp(argv[i], "--") == 0) {
			words_only = true;
			continue;
		}
		if (!option) {
			l->words[l->n_words++] = argv[i];
			continue;
		}
		l->options[l->n_options++] = argv[i];
		if (takes_next(argv[i]) && i + 1 < argc)
			l->options[l->n_options++] = argv[++i];
	}
}

/* Talking to the daemon. */

/* path: as the daemon's --control, so "@NAME" is in the abstract namespace. */
static int connect_to(const char *path)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct address addr;
	char why[160];

	if (fd < 0)
		return -errno;
	if (address_parse_unix(path, &addr, why, sizeof(why)) < 0)
		return -ENAMETOOLONG;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&addr.sa, addr.len) < 0)
		return -errno;
	return fd_take(&fd);
}

/* A daemon that turns us away answers without reading, so a failure here may be no matter. */
static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* One line without its end; the caller frees it. */
static int receive_line(int fd, char **ret_line)
{
	size_t len = 0, cap = 64 * 1024;
	char *line = malloc(cap), *bigger;
	int err = line ? 0 : -ENOMEM;

	while (err == 0) {
		ssize_t n = recv(fd, line + len, cap - len, 0);
		const char *end = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;

		if (end) {
			line[end - line] = '\0';
			*ret_line = line;
			return 0;
		}
		len += n > 0 ? (size_t)n : 0;
		if (n <= 0 && !(n < 0 && errno == EINTR)) {
			err = n < 0 ? -errno : -ECONNRESET;
		} else if (len == cap) {
			bigger = realloc(line, cap *= 2);
			err = bigger ? 0 : -ENOMEM;
			line = bigger ? bigger : line;
		}
	}
	free(line);
	return err;
}

static int ask(const char *path, struct json_object *request, struct json_object **ret_answer)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	AUTO_FD int fd = connect_to(path);
	struct json_object *answer;
	char *line = NULL;
	int sent, err;

	if (fd < 0) {
		complain("cannot reach a daemon at %s: %s", path, strerror(-fd));
		return fd;
	}
	sent = send_all(fd, text, strlen(text));
	if (sent == 0)
		sent = send_all(fd, "\n", 1);
	err = receive_line(fd, &line);
	if (err < 0) {
		err = sent < 0 ? sent : err;
		complain("no answer from the daemon at %s: %s", path,
			 err == -EAGAIN ? "it is busy, or stopped" : strerror(-err));
		return err;
	}
	answer = json_tokener_parse(line);
	free(line);
	if (!json_object_is_type(answer, json_type_object)) {
		json_object_put(answer);
		complain("what answers at %s is not the daemon", path);
		return -EPROTO;
	}
	*ret_answer = answer;
	return 0;
}

/* Showing the answer. */

static void print_json(struct json_object *value)
{
	const char *text = json_object_to_json_string_ext(
		value,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *shown = json_for_terminal(text);

	puts(shown ? shown : "null");
	free(shown);
}

/* "port 4" */
static void print_members(struct json_object *result)
{
	struct json_object_iterator at = json_object_iter_begin(result);
	const struct json_object_iterator end = json_object_iter_end(result);

	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
		printf("%s %s\n", json_object_iter_peek_name(&at),
		       json_object_get_string(json_object_iter_peek_value(&at)));
}

static int show(const struct ctl_options *o, const char *command, struct json_object *answer)
{
	struct json_object *ok = NULL, *result = NULL, *error = NULL;

	json_object_object_get_ex(answer, "ok", &ok);
	json_object_object_get_ex(answer, "result", &result);
	json_object_object_get_ex(answer, "error", &error);
	if (o->json)
		print_json(answer);
	if (!json_object_get_boolean(ok)) {
		if (!o->json)
			complain("%s", error ? json_object_get_string(error) : "refused");
		return CTL_REFUSED;
	}
	if (o->json)
		return CTL_OK;
	if (strcmp(command, "status") == 0)
		ctl_status_print(result, o->verbose, stdout);
	else if (strcmp(command, "upgrade") == 0)
		puts("upgraded");
	else if (json_object_is_type(result, json_type_object))
		print_members(result);
	return CTL_OK;
}

static const char *control_path(const struct ctl_options *o)
{
	const char *path = o->control ? o->control : getenv("VHU_CONTROL");

	return path && path[0] ? path : CTL_DEFAULT_PATH;
}

static int run_command(const struct ctl_options *o, const struct line *l)
{
	struct json_object *request, *answer = NULL;
	char why[512];
	int status;

	if (ctl_request((const char *const *)l->words, l->n_words, &request, why, sizeof(why)) <
	    0) {
		complain("%s", why);
		return CTL_USAGE;
	}
	if (strcmp(l->words[0], "help") == 0 && !o->json) {
		control_ctl_help(stdout);
		json_object_put(request);
		return CTL_OK;
	}
	status = ask(control_path(o), request, &answer) < 0 ? CTL_UNREACHABLE : CTL_OK;
	json_object_put(request);
	if (status != CTL_OK)
		return status;
	status = show(o, l->words[0], answer);
	json_object_put(answer);
	return status;
}

static int run_line(const struct line *l)
{
	const struct option_line options = { .argc = (int)l->n_options, .argv = l->options };
	struct ctl_options o;
	char why[256];
	int status = CTL_OK;

	if (options_parse(ctl_rows, CTL_N_ROWS, &o, &options, why, sizeof(why)) < 0) {
		complain("%s", why);
		return CTL_USAGE;
	}
	if (o.help)
		control_ctl_help(stdout);
	else
		status = run_command(&o, l);
	options_free(ctl_rows, CTL_N_ROWS, &o);
	return status;
}

int control_ctl_main(int argc, char **argv)
{
	struct line l = { .n_words = 0 };
	int status = CTL_USAGE;

	l.options = calloc((size_t)argc + 1, sizeof(*l.options));
	l.words = calloc((size_t)argc + 1, sizeof(*l.words));
	if (l.options && l.words) {
		sort_line(&l, argc, argv);
		status = run_line(&l);
	}
	free(l.options);
	free(l.words);
	/* Tables that went nowhere are no success. */
	return fflush(stdout) == 0 || status != CTL_OK ? status : CTL_REFUSED;
}
