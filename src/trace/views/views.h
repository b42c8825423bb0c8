/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Views of what is told: lines of text, lines of JSON, one page of HTML. */
#ifndef VHU_TRACE_VIEWS_H
#define VHU_TRACE_VIEWS_H

#include <stdio.h>

#include "trace/story/story.h"

enum trace_times {
	TRACE_TIMES_DELTA, /* since the first record, and since the one before */
	TRACE_TIMES_CLOCK, /* time of day, and since the one before */
	TRACE_TIMES_NONE,
};

struct view_options {
	bool fields;  /* every field of a message */
	bool hex;     /* annotated hexdump */
	bool explain; /* a sentence for every message */
	bool map;     /* the address map when it changes */
	bool data;    /* contents of buffers */
	bool latency; /* histograms at the end of a session */
	bool color;
	enum trace_times times;
	const char *device; /* NULL: not known */
};

/* What a record becomes; finish() also for what is only known at the end. */
struct trace_view {
	void (*show)(struct trace_view *v, const struct trace_told *told);
	/* Nothing more comes. 0 or a negative errno, when something could not be written. Frees v.
	 */
	int (*finish)(struct trace_view *v);
};

/* NULL: no memory. out stays the caller's. */
struct trace_view *view_text_new(FILE *out, const struct view_options *options);
struct trace_view *view_json_new(FILE *out, const struct view_options *options);

/* A page that needs nothing else; written to out by finish(). */
struct trace_view *view_page_new(FILE *out, const struct view_options *options);

/* One JSON object without a newline, as a line of view_json has it: the page is made of these. */
void view_json_object(FILE *out, const struct trace_told *told, const struct view_options *options);

/*
 * The record as one line, without newline, and without times but how long a
 * reply took. A new string, or NULL: no memory.
 */
char *view_line(const struct trace_told *told, const struct view_options *options);

/* The same and, behind it, the rule that is broken: " ! NAME text (clauses)", for a note "~". */
char *view_comment(const struct trace_told *told, const struct view_options *options);

/* Parts of the text, for tests and the repl. */
void view_text_message(FILE *out, const struct trace_told *told,
		       const struct view_options *options);
void view_text_fields(FILE *out, const struct vhu_msg *msg, uint64_t offered, const char *device,
		      int indent);
void view_text_hex(FILE *out, const struct vhu_msg *msg, int indent);
void view_text_map(FILE *out, const struct story_session *session, int indent);
void view_text_latency(FILE *out, const struct story_session *session, int indent);

#endif
