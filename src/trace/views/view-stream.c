/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "trace/views/views-private.h"

static void write_text(struct view_stream *s, const char *text, size_t len)
{
	errno = 0;
	if (fwrite(text, 1, len, s->out) != len || fflush(s->out) != 0)
		s->error = errno != 0 ? -errno : -EIO;
}

static void show(struct trace_view *v, const struct trace_told *told)
{
	struct view_stream *s = container_of(v, struct view_stream, view);
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (told->record->session > 1)
		s->many = true;
	if (s->error != 0)
		return;
	out = open_memstream(&text, &len);
	if (!out) {
		s->error = -ENOMEM;
		return;
	}
	s->compose(s, out, told);
	if (fclose(out) != 0)
		s->error = -ENOMEM;
	else
		write_text(s, text, len);
	free(text);
}

static int finish(struct trace_view *v)
{
	struct view_stream *s = container_of(v, struct view_stream, view);
	int error = s->error;

	free(s);
	return error;
}

bool view_session_over(const struct trace_told *told)
{
	return told->ends_session && told->session;
}

struct trace_view *view_stream_new(FILE *out, const struct view_options *options,
				   void (*compose)(struct view_stream *s, FILE *out,
						   const struct trace_told *told))
{
	struct view_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct view_stream){
		.view = { .show = show, .finish = finish },
		.out = out,
		.options = *options,
		.compose = compose,
	};
	return &s->view;
}
