/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/report/outputs.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(struct outputs *outputs, int err, const char *what, const char *why)
{
	snprintf(outputs->error, sizeof(outputs->error), "%.120s: %.100s", what, why);
	return err;
}

/* "junit:FILE": the format, and *text is the file; else the format of --format. */
static enum report_format take_format(const char **text, const struct conform_options *o)
{
	for (unsigned int i = 0; i < REPORT_N_FORMATS; i++) {
		const char *name = report_format_name((enum report_format)i);
		size_t len = strlen(name);

		if (strncmp(*text, name, len) == 0 && (*text)[len] == ':') {
			*text += len + 1;
			return (enum report_format)i;
		}
	}
	return (enum report_format)o->format;
}

/* "junti:FILE" is a mistake rather than the name of a file. */
static int check_format(struct outputs *outputs, const char *text, const struct conform_options *o)
{
	const char *path = text;
	size_t len = 0;

	take_format(&path, o);
	if (!*path) {
		snprintf(outputs->error, sizeof(outputs->error),
			 "--output: expected a file after '%.100s'", text);
		return -EINVAL;
	}
	while (isalnum((unsigned char)text[len]))
		len++;
	if (path != text || len == 0 || text[len] != ':')
		return 0;
	snprintf(outputs->error, sizeof(outputs->error),
		 "--output: '%.*s' is not one of human, tap, junit, jsonl; a file of that name is "
		 "./%.100s",
		 (int)min_size(len, 64), text, text);
	return -EINVAL;
}

static int add(struct outputs *outputs, enum report_format format, FILE *file, const char *name,
	       bool color)
{
	struct output *item = &outputs->items[outputs->n_items];

	*item = (struct output){ .file = file,
				 .name = name,
				 .report = report_open(format, file, color) };
	if (!item->report)
		return fail(outputs, -ENOMEM, name, "no memory");
	outputs->n_items++;
	return 0;
}

static int add_file(struct outputs *outputs, const char *text, const struct conform_options *o,
		    bool *ret_plain)
{
	const char *path = text;
	enum report_format format = take_format(&path, o);
	FILE *file = fopen(path, "we");
	int err;

	if (!file)
		return fail(outputs, -errno, path, strerror(errno));
	err = add(outputs, format, file, path, o->color == CONFORM_COLOR_ALWAYS);
	if (err < 0)
		fclose(file);
	*ret_plain = *ret_plain || path == text;
	return err;
}

static bool wants_color(const struct conform_options *o)
{
	const char *no_color = getenv("NO_COLOR");

	if (o->color != CONFORM_COLOR_AUTO)
		return o->color == CONFORM_COLOR_ALWAYS;
	return isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
}

/* A file without a format of its own takes that of --format; people still see something. */
int outputs_open(struct outputs *outputs, const struct conform_options *o)
{
	bool plain = false;
	int err = 0;

	*outputs = (struct outputs){ 0 };
	outputs->items = calloc(o->outputs.n_items + (size_t)1, sizeof(*outputs->items));
	if (!outputs->items)
		return fail(outputs, -ENOMEM, "reports", "no memory");
	for (unsigned int i = 0; i < o->outputs.n_items && err == 0; i++)
		err = check_format(outputs, o->outputs.items[i].text, o);
	for (unsigned int i = 0; i < o->outputs.n_items && err == 0; i++)
		err = add_file(outputs, o->outputs.items[i].text, o, &plain);
	if (err == 0)
		err = add(outputs, plain ? REPORT_HUMAN : (enum report_format)o->format, stdout,
			  "standard output", wants_color(o));
	return err;
}

/* Words for a shell. */

static void put_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	}
	fputc('\'', out);
}

static void put_option(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, "%s%s ", ftell(out) > 0 ? " " : "", name);
	put_quoted(out, value);
}

char *outputs_describe_target(const struct conform_options *o)
{
	char *text = NULL, number[16];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_option(out, "--socket", o->socket);
	put_option(out, "--exec", o->exec);
	if (o->connect_fd.n_fds > 0) {
		snprintf(number, sizeof(number), "%d", o->connect_fd.fd[0]);
		put_option(out, "--connect-fd", number);
	}
	put_option(out, "--peer", o->peer);
	for (unsigned int i = 0; i < o->actions.n_items; i++)
		put_option(out, "--do", o->actions.items[i].text);
	if (strcmp(o->timeout_scale, "1") != 0)
		put_option(out, "--timeout-scale", o->timeout_scale);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Telling. */

void outputs_begin(struct outputs *outputs, const struct conform_options *o,
		   const struct report_run *about)
{
	struct report_run run = *about;

	outputs->target = outputs_describe_target(o);
	run.target = outputs->target ? outputs->target : "";
	for (size_t i = 0; i < outputs->n_items; i++)
		report_begin(outputs->items[i].report, &run);
}

void outputs_result(struct outputs *outputs, const struct result *res)
{
	for (size_t i = 0; i < outputs->n_items; i++)
		report_result(outputs->items[i].report, res);
}

/* Standard output stays empty, as the sentence goes to standard error. */
void outputs_give_up(struct outputs *outputs, const struct conform_options *o,
		     const struct report_run *about, const struct summary *summary)
{
	size_t n = 0;

	while (n < outputs->n_items && outputs->items[n].file != stdout)
		n++;
	for (size_t i = n; i < outputs->n_items; i++)
		report_close(outputs->items[i].report);
	outputs->n_items = n;
	outputs_begin(outputs, o, about);
	(void)outputs_end(outputs, summary);
}

int outputs_end(struct outputs *outputs, const struct summary *summary)
{
	int err = 0, one;

	for (size_t i = 0; i < outputs->n_items; i++) {
		struct output *item = &outputs->items[i];

		report_end(item->report, summary);
		one = report_close(item->report);
		item->report = NULL;
		if (one == 0 && fflush(item->file) != 0)
			one = -errno;
		if (one < 0)
			err = fail(outputs, one, item->name, strerror(-one));
	}
	return err;
}

void outputs_close(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n_items; i++) {
		report_close(outputs->items[i].report);
		if (outputs->items[i].file != stdout)
			fclose(outputs->items[i].file);
	}
	free(outputs->items);
	free(outputs->target);
	*outputs = (struct outputs){ 0 };
}
