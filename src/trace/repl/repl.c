/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/repl/repl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "encode.h"
#include "trace/repl/repl-edit.h"
#include "trace/repl/repl-private.h"

enum { HELD, FAILED, USAGE }; /* exit statuses */

static const struct verb {
	const char *verb;
	repl_verb_fn *act;
	size_t n_words, max_words; /* after the verb */
	const char *words, *text;
} verbs[] = {
	{ "help", repl_help, 0, 1, "[NAME]", "this, or about a message, a statement or a bit" },
	{ "messages", repl_messages, 0, 0, "", "all messages" },
	{ "use", repl_use, 1, 1, "C", "messages go to connection C; connect does that, too" },
	{ "show", repl_show, 0, 0, "", "what was negotiated, and what is at hand" },
	{ "read", repl_read, 3, 3, "NAME AT LEN", "what is in memory" },
	{ "await", repl_await, 1, 1, "NAME", "the back-end counts an eventfd up" },
	{ "silent", repl_silent, 2, 2, "NAME MS", "it does not, for so many milliseconds" },
	{ "channel", repl_channel, 0, 0, "", "a channel for the back-end's own requests" },
	{ "answer", repl_answer, 0, 1, "[VALUE]", "to its oldest request; 0 for done" },
	{ "expect", repl_expect, 1, REPL_WORDS, "[NAME] [FIELD=VALUE|BITS]...",
	  "what came last, or a message of that name" },
	{ "expect-closed", repl_expect_closed, 0, 0, "", "the back-end closes the connection" },
	{ "expect-none", repl_expect_none, 1, 1, "MS", "nothing comes for so many milliseconds" },
	{ "break-rules", repl_break_rules, 1, 1, "on|off", "send what the protocol forbids" },
	{ "quit", repl_end, 0, 0, "", "the end" },
};

bool repl_verb_at(size_t i, const char **ret_verb, const char **ret_words, const char **ret_text)
{
	if (i >= ARRAY_SIZE(verbs))
		return false;
	*ret_verb = verbs[i].verb;
	*ret_words = verbs[i].words;
	*ret_text = verbs[i].text;
	return true;
}

int repl_fail(struct repl *r, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, args);
	va_end(args);
	return err;
}

/* Connections. */

struct player_conn *repl_conn(struct repl *r)
{
	return r->player.conns[r->conn];
}

static int connect_socket(void *arg, int *ret_fd)
{
	const struct repl *r = arg;
	struct sockaddr_un addr;
	socklen_t len;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!fd_unix_address(r->options->socket, &addr, &len))
		return -ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&addr, len) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

static void use_connection(struct repl *r, unsigned int number)
{
	r->conn = number;
	r->talk = r->talks[number];
}

/* Messages go there from now on; nothing is known of it. */
static int begin_connection(struct repl *r, unsigned int number)
{
	struct repl_talk *talk = calloc(1, sizeof(*talk));

	if (!talk)
		return repl_fail(r, -ENOMEM, "no memory for a connection");
	vhu_nego_init(&talk->nego);
	free(r->talks[number]);
	r->talks[number] = talk;
	use_connection(r, number);
	return 0;
}

static void tell_connection(struct repl *r)
{
	fprintf(r->options->out, "-- messages go to connection %u%s\n", r->conn,
		repl_conn(r)->fd < 0 ? ", which is closed" : "");
}

int repl_use(struct repl *r, const struct repl_line *line)
{
	unsigned int number = 0;

	if (!player_conn(&r->player, line->words[1], &number))
		return -EINVAL;
	use_connection(r, number);
	tell_connection(r);
	repl_hear_all(r);
	return 0;
}

static bool is_channel(const struct repl *r, int fd)
{
	for (size_t i = 0; i < r->player.n_things; i++)
		if (r->player.things[i].other == fd)
			return true;
	return false;
}

/* A name that was given to something else takes a channel away. */
static void look_after_channels(struct repl *r)
{
	for (unsigned int i = 0; i < PLAYER_CONNS; i++) {
		struct player_conn *conn = r->player.conns[i];

		if (conn && !is_channel(r, conn->channel))
			conn->channel = -1;
	}
}

/* Statements. */

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].verb, name) == 0)
			return &verbs[i];
	return NULL;
}

static bool is_statement(const char *name)
{
	const char *verb, *words, *text;

	for (size_t i = 0; script_statement_at(i, &verb, &words, &text); i++)
		if (strcmp(verb, name) == 0)
			return true;
	return false;
}

static bool is_message(const char *name)
{
	return compose_find(VHU_FE, name) || (*name >= '0' && *name <= '9') ||
	       strncmp(name, "unknown(", 8) == 0;
}

static int play_verb(struct repl *r, const struct verb *v, const struct repl_line *line)
{
	if (line->n_words - 1 < v->n_words || line->n_words - 1 > v->max_words)
		return repl_fail(r, -EINVAL, "expected %s%s%s", v->verb, *v->words ? " " : "",
				 v->words);
	return v->act(r, line);
}

/* whole: the line before it was taken to pieces. */
static int play_statement(struct repl *r, const struct repl_line *line, char *whole)
{
	unsigned int n_different = r->player.n_different, number = 0;
	int err = player_play_line(&r->player, whole);

	if (err == 0 && strcmp(line->words[0], "connect") == 0 &&
	    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): what was played has words */
	    player_conn(&r->player, line->words[1], &number)) {
		err = begin_connection(r, number);
		tell_connection(r);
	}
	look_after_channels(r);
	/* The player's last word was about what is different. */
	return err == 0 && r->player.n_different > n_different ? -EPROTO : err;
}

static int play_words(struct repl *r, const struct repl_line *line, char *whole)
{
	const struct verb *v = find_verb(line->words[0]);

	if (v)
		return play_verb(r, v, line);
	if (is_message(line->words[0]))
		return repl_message(r, line);
	if (is_statement(line->words[0]))
		return play_statement(r, line, whole);
	return repl_fail(r, -EINVAL,
			 "%.64s is neither a message nor a statement; \"help\" lists them",
			 line->words[0]);
}

static int split(struct repl *r, char *text, struct repl_line *line)
{
	char *rest, *word = strtok_r(text, " \t\n", &rest);

	for (; word; word = strtok_r(NULL, " \t\n", &rest)) {
		if (line->n_words == REPL_WORDS)
			return repl_fail(r, -EINVAL, "at most %d words", REPL_WORDS);
		line->words[line->n_words++] = word;
	}
	return 0;
}

int repl_play(struct repl *r, char *text)
{
	char *words[REPL_WORDS];
	struct repl_line line = { .words = words };
	char *whole = strdup(text);
	int err = whole ? split(r, text, &line) : repl_fail(r, -ENOMEM, "no memory for a line");

	if (err == 0 && line.n_words > 0 && line.words[0][0] != '#')
		err = play_words(r, &line, whole);
	free(whole);
	return err;
}

/* Completion. */

/* Takes words off *left that begin as typed; the one at 0 is it. */
static char *offer(const char *word, const char *typed, bool any_case, unsigned int *left)
{
	if (!compose_begins(word, typed, any_case))
		return NULL;
	return (*left)-- == 0 ? strdup(word) : NULL;
}

static char *complete_verb(const char *typed, unsigned int *left)
{
	const char *verb, *words, *text;
	char *found = NULL;

	for (size_t i = 0; !found && repl_verb_at(i, &verb, &words, &text); i++)
		found = offer(verb, typed, false, left);
	for (size_t i = 0; !found && script_statement_at(i, &verb, &words, &text); i++)
		found = offer(verb, typed, false, left);
	return found;
}

/* What "help" knows besides verbs and messages. */
static char *complete_bit(const char *typed, bool any_case, unsigned int *left)
{
	char *found = NULL;

	for (size_t i = 0; !found && i < REPL_N_BIT_STYLES; i++)
		for (unsigned int bit = 0; !found && bit < 64; bit++) {
			const char *name = vhu_field_bit_name(repl_bit_styles[i], bit);

			if (name)
				found = offer(name, typed, any_case, left);
		}
	return found;
}

/* The first word, or one behind "help". */
static char *complete_first(const char *typed, bool helps, bool any_case, unsigned int i)
{
	char *found = complete_verb(typed, &i);

	if (!found && helps)
		found = complete_bit(typed, any_case, &i);
	return found ? found : compose_completion(typed, any_case, i);
}

/* What is at hand, behind fds= or where a statement wants a name. */
static char *complete_thing(const struct repl *r, const char *typed, unsigned int *left)
{
	const char *comma = strrchr(typed, ','), *sign = strrchr(typed, '=');
	const char *name = comma ? comma + 1 : sign ? sign + 1 : typed;
	char whole[256], *found = NULL;

	for (size_t i = 0; !found && i < r->player.n_things; i++) {
		snprintf(whole, sizeof(whole), "%.*s%s", (int)(name - typed), typed,
			 r->player.things[i].name);
		found = offer(whole, typed, false, left);
	}
	return found;
}

static char *complete_words(const struct repl *r, const char *line, bool any_case, unsigned int i)
{
	const char *blank = strrchr(line, ' '), *typed = blank ? blank + 1 : line;
	bool helps = strncmp(line, "help ", 5) == 0;
	char first[64];

	if (!blank || helps)
		return complete_first(typed, helps, any_case, i);
	snprintf(first, sizeof(first), "%.*s", (int)min_size(63, strcspn(line, " ")), line);
	if (strncmp(typed, "fds=", 4) == 0 || !is_message(first))
		return complete_thing(r, typed, &i);
	return compose_completion(line, any_case, i);
}

/* What begins as typed; only if nothing does, what does in other letters. */
static char *complete_line(void *arg, const char *line, unsigned int i)
{
	const struct repl *r = arg;
	char *exact = complete_words(r, line, false, 0);

	if (!exact)
		return complete_words(r, line, true, i);
	if (i == 0)
		return exact;
	free(exact);
	return complete_words(r, line, false, i);
}

/* All lines. */

/* Words of the script may stand in the sentence. */
static void print_error(const struct repl *r, unsigned int line)
{
	fputs("vhu-trace: ", stderr);
	if (line > 0)
		fprintf(stderr, "line %u: ", line);
	encode_line(stderr, r->error, "");
	fputc('\n', stderr);
}

static int status_of(int err)
{
	return err == 0 ? HELD : err == -EINVAL ? USAGE : FAILED;
}

static int run_script(struct repl *r)
{
	struct script_reader reader = { .text = r->options->in };
	int err = 0;

	while (err == 0 && !r->quit && script_read_line(&reader)) {
		err = repl_play(r, reader.line);
		fflush(r->options->out);
		if (err < 0)
			print_error(r, reader.number);
	}
	script_reader_fini(&reader);
	return status_of(err);
}

static void let_sockets(void *arg, int fds[2])
{
	repl_sockets(arg, fds);
}

static void let_hear(void *arg)
{
	repl_hear_all(arg);
}

static int run_user(struct repl *r)
{
	const struct edit_user user = {
		.in = r->options->in,
		.out = r->options->out,
		.prompt = "vhu> ",
		.complete = complete_line,
		.sockets = let_sockets,
		.heard = let_hear,
		.waiting = &r->waiting,
		.arg = r,
	};
	struct edit *e = edit_new(&user);
	char *line;

	while (e && !r->quit && (line = edit_line(e)) != NULL) {
		int err = repl_play(r, line);

		fflush(r->options->out);
		if (err < 0)
			print_error(r, 0);
	}
	if (!r->quit)
		fputc('\n', r->options->out);
	edit_free(e);
	return e ? HELD : FAILED;
}

static int begin(struct repl *r)
{
	char connect[] = "connect 0";
	int err = player_play_line(&r->player, connect);

	if (err == 0)
		err = begin_connection(r, 0);
	if (err < 0)
		print_error(r, 0);
	return err;
}

/* ^C: what is awaited comes to its end, and nothing else does. */

static void interrupt(int number)
{
	(void)number;
}

/* What there was before, to be put back. */
struct keyboard {
	sigset_t mask;
	struct sigaction action;
};

/* It waits until something is awaited, so that none is lost between looking and waiting. */
static void keyboard_begin(struct repl *r, struct keyboard *k)
{
	const struct sigaction action = { .sa_handler = interrupt };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &k->mask);
	sigaction(SIGINT, &action, &k->action);
	r->waiting = k->mask;
	sigdelset(&r->waiting, SIGINT);
	r->plan.waiting = &r->waiting;
}

static void keyboard_end(const struct keyboard *k)
{
	sigaction(SIGINT, &k->action, NULL);
	sigprocmask(SIG_SETMASK, &k->mask, NULL);
}

static int run_with_keyboard(struct repl *r)
{
	struct keyboard k;
	int status;

	keyboard_begin(r, &k);
	status = run_user(r);
	keyboard_end(&k);
	return status;
}

static void repl_free(struct repl *r)
{
	player_fini(&r->player);
	for (size_t i = 0; i < PLAYER_CONNS; i++)
		free(r->talks[i]);
	free(r);
}

int repl_run(const struct repl_options *options)
{
	enum { ANSWER_MS = 2000 };
	struct repl *r = calloc(1, sizeof(*r));
	int status = FAILED;

	if (!r)
		return FAILED;
	r->options = options;
	r->plan = (struct script_plan){
		.connect = connect_socket,
		.arg = r,
		.backend = options->socket,
		.timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : ANSWER_MS,
		.out = options->out,
		.known = "expected",
	};
	r->player.plan = &r->plan;
	r->player.error = r->error;
	signal(SIGPIPE, SIG_IGN); /* a pipe that is kicked may have lost its reader */
	if (begin(r) == 0)
		status = options->interactive ? run_with_keyboard(r) : run_script(r);
	fflush(options->out);
	repl_free(r);
	return status;
}
