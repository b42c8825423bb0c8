/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "script/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "script/script-player.h"

enum { MAX_WORDS = 8 };

/* See script.h for the language. */
static const struct step {
	const char *verb;
	player_step_fn *play;
	size_t n_words, max_words;
	bool bytes; /* the words after n_words are digits */
	const char *words, *text;
} steps[] = {
	{ "memory", player_memory, 2, 4, false, "NAME SIZE [seals=N] [readonly]", "a memory file" },
	{ "reopen", player_reopen, 2, 3, false, "NAME OLD [readonly]",
	  "the same memory file, opened again" },
	{ "eventfd", player_eventfd, 1, 3, false, "NAME [nonblock] [semaphore]", "an eventfd" },
	{ "socket", player_socket, 1, 1, false, "NAME", "one end of a stream socket pair" },
	{ "pipe-read", player_pipe_read, 1, 1, false, "NAME", "the end of a pipe to read from" },
	{ "pipe-write", player_pipe_write, 1, 1, false, "NAME", "the end of a pipe to write to" },
	{ "file", player_file, 2, 3, false, "NAME PATH [write]", "a file that is there" },
	{ "resize", player_resize, 2, 2, false, "NAME SIZE", "another size of a memory file" },
	{ "write", player_write, 2, 2, true, "NAME AT BYTES",
	  "hexadecimal digits into memory, not past its end" },
	{ "connect", player_connect, 1, 1, false, "C", "connection number C to the back-end" },
	{ "close", player_close, 1, 1, false, "C", "close connection C" },
	{ "shutdown", player_shutdown, 1, 1, false, "C", "send no more on connection C" },
	{ "send", player_send, 1, 1, true, "C [fds=NAME,NAME...] BYTES", "bytes as they are" },
	{ "send-channel", player_send_channel, 1, 1, true, "C BYTES",
	  "bytes on the back-end's channel" },
	{ "kick", player_kick, 1, 1, false, "NAME", "add 1 to an eventfd" },
	{ "pause", player_pause, 1, 1, false, "MS", "nothing comes for so many milliseconds" },
	{ "wait", player_wait, 1, 1, false, "MS", "so many milliseconds, whatever comes" },
	{ "recv", player_recv, 1, 1, true, "C [fds=NAME,NAME...] BYTES", "these bytes come" },
	{ "recv-channel", player_recv_channel, 1, 1, true, "C [fds=NAME,NAME...] BYTES",
	  "these bytes come on the back-end's channel" },
	{ "closed", player_closed, 1, 1, false, "C", "the back-end closes connection C" },
	{ "await16", player_await16, 3, 3, false, "NAME AT VALUE",
	  "the 16-bit index there is counted up to VALUE" },
	{ "check16", player_check16, 3, 3, false, "NAME AT VALUE",
	  "the 16-bit index there is VALUE" },
};

bool script_statement_at(size_t i, const char **ret_verb, const char **ret_words,
			 const char **ret_text)
{
	if (i >= ARRAY_SIZE(steps))
		return false;
	*ret_verb = steps[i].verb;
	*ret_words = steps[i].words;
	*ret_text = steps[i].text;
	return true;
}

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

bool script_bytes(const char *digits, uint8_t *bytes, size_t max, size_t *ret_n)
{
	size_t n = 0;

	for (; digits[2 * n]; n++) {
		int high = nibble(digits[2 * n]);
		int low = high < 0 ? -1 : nibble(digits[2 * n + 1]);

		if (low < 0 || n == max)
			return false;
		bytes[n] = (uint8_t)(high << 4 | low);
	}
	*ret_n = n;
	return true;
}

bool script_number(const char *text, uint64_t *ret_value)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
		return false;
	*ret_value = value;
	return true;
}

static int add_bytes(struct player *p, struct statement *s, const char *digits)
{
	size_t n;

	if (!script_bytes(digits, s->bytes + s->len, strlen(digits) / 2, &n))
		return player_fail(p, -EINVAL, "expected pairs of hexadecimal digits, not %s",
				   digits);
	s->len += n;
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

int player_play_line(struct player *p, char *line)
{
	char *rest, *words[MAX_WORDS];
	struct statement s = { .verb = strtok_r(line, " \t\n", &rest), .words = words };
	const struct step *step;
	int err;

	if (!s.verb || *s.verb == '#')
		return 0;
	step = find_step(s.verb);
	if (!step)
		return player_fail(p, -EINVAL, "%s is no statement", s.verb);
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

static bool append(struct script_reader *r)
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

bool script_read_line(struct script_reader *r)
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

void script_reader_fini(struct script_reader *r)
{
	free(r->line);
	free(r->more);
}

static int play_lines(struct player *p, struct script_reader *r)
{
	int err = 0;
	char why[200];

	if (!script_read_line(r) || strncmp(r->line, "vhu-replay 1\n", 13) != 0)
		return player_fail(p, -EINVAL, "expected \"vhu-replay 1\" in the first line");
	while (err == 0 && script_read_line(r))
		err = player_play_line(p, r->line);
	if (err == 0)
		return 0;
	snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, p->error);
	return player_fail(p, err, "line %u: %s", r->number, why);
}

int script_play(FILE *text, const struct script_plan *plan, unsigned int *ret_n_different,
		char error[256])
{
	struct player p = { .plan = plan, .error = error };
	struct script_reader r = { .text = text };
	int err = play_lines(&p, &r);

	player_fini(&p);
	script_reader_fini(&r);
	if (err == 0)
		*ret_n_different = p.n_different;
	return err;
}
