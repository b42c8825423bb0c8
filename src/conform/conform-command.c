/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/conform-command.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct OWNER, field, s, l, t, meta, def, text, limits),

#define OWNER conform_options
static const struct option_row test_rows[] = {
#include "conform/conform-options.def"
};
#undef OWNER

#define OWNER info_options
static const struct option_row info_rows[] = {
#include "conform/info-options.def"
};
#undef OWNER

#define OWNER replay_options
static const struct option_row replay_rows[] = {
#include "conform/evidence/replay-options.def"
};
#undef OWNER

#define OWNER matrix_command_options
static const struct option_row matrix_rows[] = {
#include "conform/report/matrix-options.def"
};
#undef OWNER

static const struct {
	const char *name; /* NULL: none is said */
	const struct option_row *rows;
	size_t n_rows;
	const char *synopsis, *help;
	size_t min_words, max_words; /* that are no options */
	const char *word;	     /* what they are */
} subcommands[CONFORM_N_SUBCOMMANDS] = {
	[CONFORM_TEST] = { NULL, test_rows, ARRAY_SIZE(test_rows),
			   "--socket PATH|--exec CMD [OPTION]...", "Tests a vhost-user back-end.",
			   0, 0, "" },
	[CONFORM_INFO] = { "info", info_rows, ARRAY_SIZE(info_rows), "info SOCKET [OPTION]...",
			   "Tells what a back-end offers.", 0, 1, "SOCKET" },
	[CONFORM_REPLAY] = { "replay", replay_rows, ARRAY_SIZE(replay_rows),
			     "replay FILE --socket PATH|--exec CMD [OPTION]...",
			     "Does again what a case did, from a file of --save.", 1, 1, "FILE" },
	[CONFORM_MATRIX] = { "matrix", matrix_rows, ARRAY_SIZE(matrix_rows),
			     "matrix [NAME=]FILE... [OPTION]...",
			     "Puts reports in JSON Lines of several back-ends side by side.", 1,
			     SIZE_MAX, "FILE" },
	[CONFORM_FRONTEND] = { "frontend", NULL, 0, "frontend --socket PATH [OPTION]...",
			       "Tests a vhost-user front-end.", 0, 0, "" },
};

PRINTF_LIKE(1, 2) static int usage_error(const char *fmt, ...)
{
	va_list args;

	fputs("vhu-conform: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("; --help tells more\n", stderr);
	return -EINVAL;
}

const struct option_row *conform_command_rows(enum conform_subcommand sub, size_t *ret_n)
{
	*ret_n = subcommands[sub].n_rows;
	return subcommands[sub].rows;
}

bool conform_parse_scale(const char *text, double *ret_scale)
{
	char *end;
	double scale;

	if (text[0] < '0' || text[0] > '9')
		return false;
	scale = strtod(text, &end);
	if (*end || !isfinite(scale) || scale < 0.01 || scale > 1000)
		return false;
	*ret_scale = scale;
	return true;
}

/* What goes together. */

static int check_scale(const char *text)
{
	double scale;

	if (conform_parse_scale(text, &scale))
		return 0;
	return usage_error("--timeout-scale: '%s' is not a number from 0.01 to 1000", text);
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int check_where(const char *socket, const char *exec, const struct option_fds *fds)
{
	if (fds->n_fds > 1)
		return usage_error("--connect-fd: expected one descriptor");
	if (fds->n_fds == 1 && (socket || exec))
		return usage_error("expected either --connect-fd, or --socket or --exec");
	if (fds->n_fds == 1 && !is_socket(fds->fd[0]))
		return usage_error("--connect-fd: descriptor %d is no open socket", fds->fd[0]);
	if (fds->n_fds == 0 && !socket && !exec)
		return usage_error("expected --socket, --exec or --connect-fd");
	return 0;
}

static int check_actions(const struct option_texts *actions)
{
	for (unsigned int i = 0; i < actions->n_items; i++) {
		const char *text = actions->items[i].text, *equals = strchr(text, '=');

		if (!equals || equals == text || !equals[1])
			return usage_error("--do: '%s' is not NAME=COMMAND", text);
	}
	return 0;
}

static int check_test(const struct conform_options *o)
{
	int err = check_scale(o->timeout_scale);

	if (err < 0 || o->list || o->explain)
		return err;
	err = check_where(o->socket, o->exec, &o->connect_fd);
	if (err == 0 && o->keep && !o->exec)
		err = usage_error("--keep goes with --exec");
	return err == 0 ? check_actions(&o->actions) : err;
}

static int check_info(struct conform_command *c)
{
	struct info_options *o = &c->info;

	if (c->n_words > 0 && o->socket)
		return usage_error("info: expected either SOCKET or --socket");
	if (c->n_words > 0)
		o->socket = c->words[0];
	if (!o->socket && !o->exec)
		return usage_error("info: expected the path of a socket, or --exec");
	return check_scale(o->timeout_scale);
}

static int check_replay(struct conform_command *c)
{
	struct replay_options *o = &c->replay;
	int err = check_where(o->socket, o->exec, &o->connect_fd);

	o->file = c->words[0];
	return err == 0 ? check_scale(o->timeout_scale) : err;
}

static int check(struct conform_command *c)
{
	const char *word = subcommands[c->sub].word;

	if (c->n_words < subcommands[c->sub].min_words)
		return usage_error("%s: expected %s", subcommands[c->sub].name, word);
	if (c->n_words > subcommands[c->sub].max_words)
		return usage_error("unexpected argument '%s'",
				   c->words[subcommands[c->sub].max_words]);
	switch (c->sub) {
	case CONFORM_TEST:
		return check_test(&c->test);
	case CONFORM_INFO:
		return check_info(c);
	case CONFORM_REPLAY:
		return check_replay(c);
	case CONFORM_MATRIX:
	case CONFORM_FRONTEND:
	case CONFORM_N_SUBCOMMANDS:
		break;
	}
	return 0;
}

/* Parsing. */

static enum conform_subcommand find_subcommand(const char *word)
{
	for (unsigned int i = 0; i < CONFORM_N_SUBCOMMANDS; i++)
		if (subcommands[i].name && word && strcmp(subcommands[i].name, word) == 0)
			return (enum conform_subcommand)i;
	return CONFORM_TEST;
}

static bool wants_help(const struct conform_command *c)
{
	return c->sub == CONFORM_TEST	  ? c->test.help
	       : c->sub == CONFORM_INFO	  ? c->info.help
	       : c->sub == CONFORM_REPLAY ? c->replay.help
					  : c->matrix.help;
}

static int parse_options(struct conform_command *c)
{
	char **options = calloc((size_t)c->argc + 1, sizeof(*options)), why[512];
	struct option_line line = { .argv = options };
	int err;

	c->words = calloc((size_t)c->argc + 1, sizeof(*c->words));
	if (!options || !c->words) {
		free(options);
		return usage_error("no memory");
	}
	line.argc = options_split(subcommands[c->sub].rows, subcommands[c->sub].n_rows, c->argc,
				  c->argv, options, c->words, &c->n_words);
	err = options_parse(subcommands[c->sub].rows, subcommands[c->sub].n_rows, &c->test, &line,
			    why, sizeof(why));
	free(options);
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s\n", why);
		return err;
	}
	c->help = wants_help(c);
	c->version = c->sub == CONFORM_TEST && c->test.version;
	return c->help || c->version ? 0 : check(c);
}

int conform_command_parse(struct conform_command *ret_command, int argc, char **argv)
{
	struct conform_command c = { .sub = find_subcommand(argc > 1 ? argv[1] : NULL) };
	int skipped = c.sub == CONFORM_TEST ? 0 : 1, err = 0;

	c.argc = argc - skipped;
	c.argv = argv + skipped;
	if (subcommands[c.sub].rows)
		err = parse_options(&c);
	if (err < 0)
		conform_command_free(&c);
	else
		*ret_command = c;
	return err;
}

void conform_command_free(struct conform_command *command)
{
	if (subcommands[command->sub].rows)
		options_free(subcommands[command->sub].rows, subcommands[command->sub].n_rows,
			     &command->test);
	free(command->words);
	command->words = NULL;
	command->n_words = 0;
}

/* Help. */

void conform_command_help(FILE *out, enum conform_subcommand sub)
{
	if (sub != CONFORM_TEST) {
		fprintf(out, "Usage: vhu-conform %s\n%s\n\n", subcommands[sub].synopsis,
			subcommands[sub].help);
	} else {
		for (unsigned int i = 0; i < CONFORM_N_SUBCOMMANDS; i++)
			fprintf(out, "%s vhu-conform %s\n", i == 0 ? "Usage:" : "      ",
				subcommands[i].synopsis);
		fputc('\n', out);
	}
	options_help(out, subcommands[sub].rows, subcommands[sub].n_rows);
	if (sub == CONFORM_TEST)
		fputs("Exit status: 0 all holds, 1 some does not, 2 usage, 3 back-end not "
		      "reached,\n"
		      "4 it crashed or hangs, 77 nothing applies, 99 an error of vhu-conform.\n",
		      out);
}
