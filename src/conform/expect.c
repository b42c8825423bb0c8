/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/expect.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"

/* Where a line stands, for messages. */
struct place {
	const char *name;
	unsigned int line;
	char *error;
};

static int fail(const struct place *at, const char *what, const char *word)
{
	snprintf(at->error, 256, "%s:%u: %s%s", at->name, at->line, what, word);
	option_make_one_line(at->error);
	return -EINVAL;
}

static bool may_be_expected(enum verdict verdict)
{
	return verdict != VERDICT_PASS && verdict != VERDICT_NA && verdict < VERDICT_N;
}

static int parse_verdict(const struct place *at, char *word, enum verdict *ret_verdict)
{
	for (char *c = word; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 'a' - 'A');
	if (!verdict_find(word, ret_verdict) || !may_be_expected(*ret_verdict))
		return fail(at, "expected fail, warn, crash, hang, error or skip, not ", word);
	return 0;
}

static bool matches_a_case(const char *glob)
{
	size_t n;
	const struct case_row *rows = cases_all(&n);

	for (size_t i = 0; i < n; i++)
		if (fnmatch(glob, rows[i].id, 0) == 0)
			return true;
	return false;
}

static int add(struct expect *e, const struct place *at, struct expect_line line, const char *glob,
	       const char *why)
{
	struct expect_line *lines = realloc(e->lines, (e->n_lines + 1) * sizeof(*lines));

	if (lines)
		e->lines = lines;
	line.glob = strdup(glob);
	line.why = why ? strdup(why) : NULL;
	if (!lines || !line.glob || (why && !line.why)) {
		free(line.glob);
		free(line.why);
		fail(at, "no memory", "");
		return -ENOMEM;
	}
	lines[e->n_lines++] = line;
	return 0;
}

/* The text after # and its spaces, which is cut off; or NULL. */
static const char *cut_comment(char *text)
{
	char *mark = strchr(text, '#');

	if (!mark)
		return NULL;
	*mark++ = '\0';
	mark += strspn(mark, " \t");
	return *mark ? mark : NULL;
}

static int parse_line(struct expect *e, const struct place *at, char *text)
{
	static const char blank[] = " \t\r";
	struct expect_line line = { .number = at->line };
	const char *why = cut_comment(text);
	char *save, *verdict = strtok_r(text, blank, &save);
	char *glob = strtok_r(NULL, blank, &save), *more = strtok_r(NULL, blank, &save);
	int err;

	if (!verdict)
		return 0;
	err = parse_verdict(at, verdict, &line.verdict);
	if (err < 0)
		return err;
	if (!glob)
		return fail(at, "expected the id of a case after ", verdict);
	if (more)
		return fail(at, "expected # before ", more);
	if (!matches_a_case(glob))
		return fail(at, "no case has an id like ", glob);
	return add(e, at, line, glob, why);
}

/* What is read may be told again: what moves the cursor of a terminal is no part of it. */
static void make_plain(char *text)
{
	for (char *c = text; *c; c++)
		if ((*c > 0 && *c < ' ' && !strchr("\t\r", *c)) || *c == 0x7f)
			*c = '?';
}

int expect_parse(struct expect *ret_expect, FILE *file, const char *name, char error[256])
{
	struct place at = { .name = name, .error = error };
	struct expect e = { 0 };
	char *text = NULL;
	size_t size = 0;
	int err = 0;

	while (err == 0 && getline(&text, &size, file) >= 0) {
		at.line++;
		text[strcspn(text, "\n")] = '\0';
		make_plain(text);
		err = parse_line(&e, &at, text);
	}
	free(text);
	if (err == 0 && ferror(file)) {
		fail(&at, "cannot be read", "");
		err = -EIO;
	}
	if (err < 0)
		expect_free(&e);
	else
		*ret_expect = e;
	return err;
}

int expect_read(struct expect *ret_expect, const char *path, char error[256])
{
	FILE *file = fopen(path, "re");
	int err;

	if (!file) {
		err = -errno;
		snprintf(error, 256, "%s: %s", path, strerror(-err));
		return err;
	}
	err = expect_parse(ret_expect, file, path, error);
	fclose(file);
	return err;
}

void expect_free(struct expect *expect)
{
	for (size_t i = 0; i < expect->n_lines; i++) {
		free(expect->lines[i].glob);
		free(expect->lines[i].why);
	}
	free(expect->lines);
	*expect = (struct expect){ 0 };
}

struct expect_line *expect_find(const struct expect *expect, const char *id)
{
	for (size_t i = 0; i < expect->n_lines; i++)
		if (fnmatch(expect->lines[i].glob, id, 0) == 0)
			return &expect->lines[i];
	return NULL;
}

bool expect_judge(const struct expect *expect, const struct result *res)
{
	struct expect_line *line = expect_find(expect, res->row->id);

	if (!line)
		return false;
	line->n_good += res->verdict == VERDICT_PASS;
	if (line->verdict != res->verdict)
		return false;
	line->n_hits++;
	return true;
}

bool expect_write_line(FILE *out, const struct result *res)
{
	char why[sizeof(res->reason)];

	if (!may_be_expected(res->verdict) || res->verdict == VERDICT_SKIP)
		return false;
	snprintf(why, sizeof(why), "%s", res->reason);
	for (char *c = why; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	fprintf(out, "%s %s%s%s\n", verdict_name(res->verdict), res->row->id, why[0] ? " # " : "",
		why);
	return true;
}
