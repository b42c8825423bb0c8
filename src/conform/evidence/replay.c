/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/evidence/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform/evidence/replay-player.h"
#include "conform/runner.h"

enum { MAX_WORDS = 8 };

static const struct step {
	const char *verb;
	player_step_fn *play;
	size_t n_words, max_words;
	bool bytes; /* the words after n_words are digits */
} steps[] = {
	{ "memory", player_memory, 2, 4, false },
	{ "reopen", player_reopen, 2, 3, false },
	{ "eventfd", player_eventfd, 1, 3, false },
	{ "socket", player_socket, 1, 1, false },
	{ "pipe-read", player_pipe_read, 1, 1, false },
	{ "pipe-write", player_pipe_write, 1, 1, false },
	{ "file", player_file, 2, 3, false },
	{ "resize", player_resize, 2, 2, false },
	{ "write", player_write, 2, 2, true },
	{ "connect", player_connect, 1, 1, false },
	{ "close", player_close, 1, 1, false },
	{ "shutdown", player_shutdown, 1, 1, false },
	{ "send", player_send, 1, 1, true },
	{ "send-channel", player_send_channel, 1, 1, true },
	{ "kick", player_kick, 1, 1, false },
	{ "pause", player_pause, 1, 1, false },
	{ "wait", player_wait, 1, 1, false },
	{ "recv", player_recv, 1, 1, true },
	{ "recv-channel", player_recv_channel, 1, 1, true },
	{ "closed", player_closed, 1, 1, false },
	{ "await16", player_await16, 3, 3, false },
	{ "check16", player_check16, 3, 3, false },
};

/* Words of a line. */

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int add_bytes(struct player *p, struct statement *s, const char *digits)
{
	for (size_t i = 0; digits[i]; i += 2) {
		int high = nibble(digits[i]);
		int low = high < 0 ? -1 : nibble(digits[i + 1]);

		if (low < 0)
			return player_fail(p, -EINVAL,
					   "expected pairs of hexadecimal digits, not %s", digits);
		s->bytes[s->len++] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int take_word(struct player *p, const struct step *step, struct statement *s, char *word)
{
	static const char fds[] = "fds=";

	if (step->bytes && strncmp(word, fds, sizeof(fds) - 1) == 0) {
		s->fds = word + sizeof(fds) - 1;
		return 0;
	}
	if (step->bytes && s->n_words >= step->n_words)
		return add_bytes(p, s, word);
	if (s->n_words == step->max_words)
		return player_fail(p, -EINVAL, "%s has at most %zu words after it", step->verb,
				   step->max_words);
	s->words[s->n_words++] = word;
	return 0;
}

static const struct step *find_step(const char *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (strcmp(steps[i].verb, verb) == 0)
			return &steps[i];
	return NULL;
}

static int take_words(struct player *p, const struct step *step, struct statement *s, char **rest)
{
	int err = 0;
	char *word;

	while (err == 0 && (word = strtok_r(NULL, " \t\n", rest)) != NULL)
		err = take_word(p, step, s, word);
	if (err == 0 && s->n_words < step->n_words)
		err = player_fail(p, -EINVAL, "%s has at least %zu words after it", step->verb,
				  step->n_words);
	return err;
}

static int play_line(struct player *p, char *line)
{
	char *rest, *words[MAX_WORDS];
	struct statement s = { .verb = strtok_r(line, " \t\n", &rest), .words = words };
	const struct step *step;
	int err;

	if (!s.verb || *s.verb == '#')
		return 0;
	step = find_step(s.verb);
	if (!step)
		return player_fail(p, -EINVAL, "%s is no statement of a replay", s.verb);
	s.bytes = malloc(strlen(rest) / 2 + 1);
	if (!s.bytes)
		return player_fail(p, -ENOMEM, "no memory for a line");
	err = take_words(p, step, &s, &rest);
	if (err == 0)
		err = step->play(p, &s);
	free(s.bytes);
	return err;
}

/* Lines. */

struct reader {
	FILE *text;
	char *line, *more;
	size_t cap, more_cap;
	unsigned int number; /* of the last line read */
};

static bool append(struct reader *r)
{
	size_t len = strlen(r->line), more_len = strlen(r->more);
	char *line = realloc(r->line, len + more_len + 1);

	if (!line)
		return false;
	memcpy(line + len, r->more, more_len + 1);
	r->line = line;
	r->cap = len + more_len + 1;
	return true;
}

/* A line with those that it goes on in; false at the end. */
static bool read_line(struct reader *r)
{
	size_t len;

	if (getline(&r->line, &r->cap, r->text) < 0)
		return false;
	r->number++;
	for (;;) {
		len = strlen(r->line);
		if (len < 2 || strcmp(r->line + len - 2, "\\\n") != 0)
			return true;
		r->line[len - 2] = '\0';
		if (getline(&r->more, &r->more_cap, r->text) < 0)
			return true;
		r->number++;
		if (!append(r))
			return false;
	}
}

static int play_lines(struct player *p, struct reader *r)
{
	int err = 0;
	char why[200];

	if (!read_line(r) || strncmp(r->line, "vhu-replay 1\n", 13) != 0)
		return player_fail(p, -EINVAL, "expected \"vhu-replay 1\" in the first line");
	while (err == 0 && read_line(r))
		err = play_line(p, r->line);
	if (err == 0)
		return 0;
	snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, p->error);
	return player_fail(p, err, "line %u: %s", r->number, why);
}

int replay_play(FILE *text, const struct replay_plan *plan, unsigned int *ret_n_different,
		char error[256])
{
	struct player p = { .plan = plan, .error = error };
	struct reader r = { .text = text };
	int err = play_lines(&p, &r);

	player_fini(&p);
	free(r.line);
	free(r.more);
	if (err == 0)
		*ret_n_different = p.n_different;
	return err;
}

/* Against a target. */

/* One that serves a single front-end is started again for the next. */
static int connect_target(void *arg, int *ret_fd)
{
	struct target *target = arg;
	int err = target_connect(target, ret_fd);

	if (err == 0 || !target->exec)
		return err;
	target_stop(target);
	err = target_start(target);
	return err < 0 ? err : target_connect(target, ret_fd);
}

static int report(const char *path, struct target *target, FILE *out, int err,
		  unsigned int n_different, const char *error)
{
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s: %s\n", path, error);
		return err == -EINVAL ? CONFORM_USAGE : CONFORM_NOT_REACHED;
	}
	if (target_ended(target, 0) && target->end == TARGET_SIGNALED)
		fprintf(out, "the back-end was ended by signal %d\n", target->end_status);
	if (n_different > 0)
		fprintf(out, "%u of the answers are not as recorded\n", n_different);
	else
		fputs("all is as recorded\n", out);
	return n_different > 0 ? CONFORM_FAILED : CONFORM_HELD;
}

int replay_run(const char *path, struct target *target, FILE *out)
{
	enum { ANSWER_MS = 2000 };
	const struct replay_plan plan = {
		.connect = connect_target,
		.arg = target,
		.timeout_ms = target_ms(target, ANSWER_MS),
		.out = out,
	};
	FILE *text = fopen(path, "re");
	unsigned int n_different = 0;
	char error[256] = "";
	int err, status;

	if (!text) {
		fprintf(stderr, "vhu-conform: %s: %s\n", path, strerror(errno));
		return CONFORM_USAGE;
	}
	err = target_start(target);
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s\n", target->error);
		fclose(text);
		return CONFORM_NOT_REACHED;
	}
	err = replay_play(text, &plan, &n_different, error);
	status = report(path, target, out, err, n_different, error);
	target_stop(target);
	fclose(text);
	return status;
}
