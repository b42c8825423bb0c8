/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One page that shows a whole session: the objects of view-json.c, and a
 * program in page*.js that draws them. Names and data in it are others' choice,
 * so no character of them may end the element that they stand in.
 */
#include <errno.h>
#include <stdlib.h>

#include "base.h"
#include "encode.h"
#include "trace/page/page-text.h"
#include "trace/views/views.h"

struct view_page {
	struct trace_view view;
	FILE *out;
	struct view_options options;
	FILE *json; /* in memory: half a page is of no use */
	char *text; /* what was written to it */
	size_t text_len;
	bool any;
};

static void view_page_show(struct trace_view *v, const struct trace_told *told)
{
	struct view_page *p = container_of(v, struct view_page, view);

	if (p->any)
		fputs(",\n", p->json);
	p->any = true;
	view_json_object(p->json, told, &p->options);
}

/* "<" stands only within strings of JSON, where its escape means the same. */
static void write_inert(FILE *out, const char *json, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (json[i] == '<')
			fputs("\\u003c", out);
		else
			putc(json[i], out);
	}
}

static int write_page(const struct view_page *p)
{
	fputs(page_head, p->out);
	write_inert(p->out, p->text, p->text_len);
	fputs(page_tail, p->out);
	errno = 0;
	if (fflush(p->out) == 0 && !ferror(p->out))
		return 0;
	return errno ? -errno : -EIO;
}

static int view_page_finish(struct trace_view *v)
{
	struct view_page *p = container_of(v, struct view_page, view);
	bool whole;
	int ret;

	fputs("\n]}", p->json);
	whole = !ferror(p->json);
	ret = fclose(p->json) == 0 && whole ? write_page(p) : -ENOMEM;
	free(p->text);
	free(p);
	return ret;
}

struct trace_view *view_page_new(FILE *out, const struct view_options *options)
{
	struct view_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct view_page){
		.view = { .show = view_page_show, .finish = view_page_finish },
		.out = out,
		.options = *options,
	};
	p->json = open_memstream(&p->text, &p->text_len);
	if (!p->json) {
		free(p);
		return NULL;
	}
	fputs("{\"device\":", p->json);
	encode_json_text(p->json, options->device);
	fputs(",\"records\":[\n", p->json);
	return &p->view;
}
