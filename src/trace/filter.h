/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which records a view shows. The story follows all of them. */
#ifndef VHU_TRACE_FILTER_H
#define VHU_TRACE_FILTER_H

#include "trace/story/story.h"

enum trace_from {
	TRACE_FROM_BOTH,
	TRACE_FROM_FRONTEND,
	TRACE_FROM_BACKEND,
};

struct trace_filter {
	/*
	 * Names of messages with commas, with or without BACKEND_; "*" at the end is any rest.
	 * Replies go with their requests. NULL: all.
	 */
	const char *only;
	const char *without;		    /* the same, for what is left out */
	uint64_t rings[VHU_MAX_RINGS / 64]; /* if has_rings, messages and pictures of these alone */
	bool has_rings;
	bool no_pictures;
	enum trace_from from; /* who sent it; pictures are nobody's, their broken chains the
				 front-end's, their broken returns the back-end's */
	bool broken;	      /* only what breaks a rule, or says that something failed */
};

/* "0,2-5" into f; false: that is no list of rings. */
bool filter_parse_rings(struct trace_filter *f, const char *text);

/* A name in a list that no message has, copied, as far as it fits; false: all are known. */
bool filter_unknown_name(const char *list, char *ret_name, size_t size);

/*
 * Where messages or rings are selected, what surrounds them does not pass; the
 * tracer's own notes always do.
 */
bool filter_passes(const struct trace_filter *f, const struct trace_told *told);

/* A picture in which the device has broken a rule, if the back-end is looked at. */
bool filter_blames_device(const struct trace_filter *f, const struct trace_told *told);

#endif
