/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where records go: through the story and the filter to any number of views,
 * and into captures, which take all of them. What cannot be written any more is
 * said once and left out; the others go on. Records may come from any thread.
 */
#ifndef VHU_TRACE_HUB_H
#define VHU_TRACE_HUB_H

#include <stdio.h>

#include "trace/filter.h"
#include "trace/views/views.h"

struct trace_hub;

enum hub_form {
	HUB_TEXT,
	HUB_JSON,
	HUB_PAGE,
	HUB_CAPTURE,
};

/* As the end of a name says: .pcapng, .json or .jsonl, .html or .htm, else text. */
enum hub_form hub_form_of(const char *path);

/* NULL: no memory. What is in both is lent. filter NULL: everything passes. */
struct trace_hub *hub_new(const struct trace_filter *filter, const struct view_options *view);

/* Takes records for the hub. */
struct trace_sink *hub_sink(struct trace_hub *hub);

/* One more output. The file is made anew; its name is lent. 0, or -errno with a sentence. */
int hub_add_file(struct trace_hub *hub, enum hub_form form, const char *path, char *ret_why,
		 size_t why_cap);

/* The same for an open stream (lent), called name; no captures. color: of this one. */
int hub_add_stream(struct trace_hub *hub, enum hub_form form, FILE *out, const char *name,
		   bool color, char *ret_why, size_t why_cap);

/* A hub with everything in one file, whose form the name says. 0, or -errno with a sentence. */
int hub_open_file(const char *path, const struct view_options *view, struct trace_hub **ret_hub,
		  char *ret_why, size_t why_cap);

/* Records that have passed the filter and break a rule, notes not counted. */
uint64_t hub_n_broken(const struct trace_hub *hub);

/* Finishes all outputs and frees the hub. 0, or the first error there was: it has been said. */
int hub_finish(struct trace_hub *hub);

#endif
