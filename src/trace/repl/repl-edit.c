/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/repl/repl-edit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "config.h"
#include "script/script.h"

#ifdef HAVE_LIBEDIT
#include <histedit.h>
#endif

struct edit {
	const struct edit_user *user;
	struct script_reader reader; /* of plain lines */
#ifdef HAVE_LIBEDIT
	EditLine *el; /* NULL: no terminal */
	History *history;
	char *line;
	bool listed; /* all ways to end the word have been told, and nothing was typed since */
#endif
};

typedef void edit_fn(struct edit *e);

/*
 * Until something is typed. Others may speak meanwhile; spoke() comes after
 * them, dropped() when a signal throws away what was typed.
 */
static void wait_for_input(struct edit *e, edit_fn *spoke, edit_fn *dropped)
{
	static const struct timespec none = { .tv_nsec = 0 };
	const struct edit_user *u = e->user;

	for (;;) {
		struct pollfd in[3] = { { .fd = fileno(u->in), .events = POLLIN },
					{ .events = POLLIN },
					{ .events = POLLIN } };
		int fds[2];

		u->sockets(u->arg, fds);
		in[1].fd = fds[0];
		in[2].fd = fds[1];
		/* Input may be ready, too: what was typed behind the signal is not thrown away. */
		if (ppoll(in, ARRAY_SIZE(in), NULL, u->waiting) < 0 ||
		    ppoll(NULL, 0, &none, u->waiting) < 0) {
			if (errno != EINTR)
				return;
			fputs("^C\n", u->out);
			dropped(e);
			continue;
		}
		if (in[0].revents)
			return;
		if (in[1].revents || in[2].revents) {
			fputc('\n', u->out);
			u->heard(u->arg);
			spoke(e);
		}
	}
}

/* Without a terminal, or without the library. */

static void show_prompt(struct edit *e)
{
	fputs(e->user->prompt, e->user->out);
	fflush(e->user->out);
}

static char *plain_line(struct edit *e)
{
	show_prompt(e);
	wait_for_input(e, show_prompt, show_prompt);
	return script_read_line(&e->reader) ? e->reader.line : NULL;
}

#ifdef HAVE_LIBEDIT

enum { HISTORY = 1000, MAX_WAYS = 200 };

static struct edit *edit_of(EditLine *el)
{
	void *e = NULL;

	el_get(el, EL_CLIENTDATA, &e);
	return e;
}

static char *prompt_of(EditLine *el)
{
	return (char *)(uintptr_t)edit_of(el)->user->prompt;
}

static void show_again(struct edit *e)
{
	fflush(e->user->out);
	el_set(e->el, EL_REFRESH);
}

static void drop_line(struct edit *e)
{
	const LineInfo *info = el_line(e->el);

	el_cursor(e->el, (int)(info->lastchar - info->cursor));
	info = el_line(e->el);
	el_deletestr(e->el, (int)(info->cursor - info->buffer));
	show_again(e);
}

/* Completion. */

struct ways {
	char *text[MAX_WAYS];
	unsigned int n;
};

static void find_ways(const struct edit_user *u, const char *line, struct ways *w)
{
	for (w->n = 0; w->n < MAX_WAYS; w->n++) {
		w->text[w->n] = u->complete(u->arg, line, w->n);
		if (!w->text[w->n])
			break;
	}
}

/* How much all of them begin with. */
static size_t common(const struct ways *w)
{
	size_t len = w->n > 0 ? strlen(w->text[0]) : 0;

	for (unsigned int i = 1; i < w->n; i++)
		for (size_t at = 0; at < len; at++)
			if (w->text[i][at] != w->text[0][at])
				len = at;
	return len;
}

static void show_ways(struct edit *e, const struct ways *w)
{
	fputc('\n', e->user->out);
	for (unsigned int i = 0; i < w->n; i++)
		fprintf(e->user->out, "%s%s", w->text[i], i + 1 < w->n ? "  " : "\n");
	show_again(e);
}

/* The word becomes what all ways begin with: its letters may be others. */
static void use_ways(struct edit *e, const struct ways *w, const char *word)
{
	size_t len = common(w), typed = strlen(word);
	char *ended;

	if (w->n == 0 || (w->n > 1 && len <= typed && e->listed)) {
		el_beep(e->el);
		return;
	}
	if (w->n > 1 && len <= typed) {
		show_ways(e, w);
		e->listed = true;
		return;
	}
	if (asprintf(&ended, "%.*s%s", (int)len, w->text[0],
		     w->n == 1 && w->text[0][len - 1] != '=' ? " " : "") < 0)
		return;
	el_deletestr(e->el, (int)typed);
	el_insertstr(e->el, ended);
	free(ended);
	fputc('\r', e->user->out);
	show_again(e);
}

static void end_word(struct edit *e)
{
	const LineInfo *info = el_line(e->el);
	char *line = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
	const char *word = line ? strrchr(line, ' ') : NULL;
	struct ways w;

	if (!line)
		return;
	find_ways(e->user, line, &w);
	use_ways(e, &w, word ? word + 1 : line);
	for (unsigned int i = 0; i < w.n; i++)
		free(w.text[i]);
	free(line);
}

/*
 * One character; others than ASCII are not needed in any word. Tab is taken out
 * here: what el_set(EL_ADDFN) copies for a function of ours is never freed.
 */
static int read_char(EditLine *el, wchar_t *ret_char)
{
	struct edit *e = edit_of(el);
	unsigned char c = 0;
	ssize_t n;

	for (;;) {
		wait_for_input(e, show_again, drop_line);
		n = read(fileno(e->user->in), &c, 1);
		e->listed = e->listed && c == '\t';
		if (n == 1 && c == '\t')
			end_word(e);
		else if (n >= 0 || errno != EINTR)
			break;
	}
	*ret_char = n == 1 ? c & 0x7f : 0;
	return (int)n;
}

static void remember(struct edit *e, const char *line)
{
	HistEvent event;

	if (line[strspn(line, " \n")] != '\0')
		history(e->history, &event, H_ENTER, line);
}

static char *edited_line(struct edit *e)
{
	int n = 0;
	const char *line = el_gets(e->el, &n);

	if (!line || n <= 0)
		return NULL;
	remember(e, line);
	free(e->line);
	e->line = strdup(line);
	return e->line;
}

static void edit_begin(struct edit *e)
{
	const struct edit_user *u = e->user;
	HistEvent event;

	if (!isatty(fileno(u->in)) || !isatty(fileno(u->out)))
		return;
	e->history = history_init();
	e->el = e->history ? el_init("vhu-trace", u->in, u->out, stderr) : NULL;
	if (!e->el)
		return;
	history(e->history, &event, H_SETSIZE, HISTORY);
	history(e->history, &event, H_SETUNIQUE, 1);
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_PROMPT, prompt_of);
	el_set(e->el, EL_HIST, history, e->history);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_GETCFN, read_char);
	el_source(e->el, NULL);
}

static void edit_end(struct edit *e)
{
	if (e->el)
		el_end(e->el);
	if (e->history)
		history_end(e->history);
	free(e->line);
}

#endif

struct edit *edit_new(const struct edit_user *user)
{
	struct edit *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->user = user;
	e->reader = (struct script_reader){ .text = user->in };
	/* What was read is seen by poll() no more. */
	setvbuf(user->in, NULL, _IONBF, 0);
#ifdef HAVE_LIBEDIT
	edit_begin(e);
#endif
	return e;
}

char *edit_line(struct edit *e)
{
#ifdef HAVE_LIBEDIT
	if (e->el)
		return edited_line(e);
#endif
	return plain_line(e);
}

void edit_free(struct edit *e)
{
	if (!e)
		return;
#ifdef HAVE_LIBEDIT
	edit_end(e);
#endif
	script_reader_fini(&e->reader);
	free(e);
}
