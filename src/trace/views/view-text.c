/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/views/views-private.h"

static void compose(struct view_stream *s, FILE *out, const struct trace_told *told)
{
	view_text_record(out, told, &s->options, s->many);
}

struct trace_view *view_text_new(FILE *out, const struct view_options *options)
{
	return view_stream_new(out, options, compose);
}
