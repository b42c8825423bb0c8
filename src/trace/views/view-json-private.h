/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Parts of a JSON object, each with a comma before it. Keys are our own: plain
 * words. What a view of records as JSON has is told in view-json.c.
 */
#ifndef VHU_TRACE_VIEW_JSON_PRIVATE_H
#define VHU_TRACE_VIEW_JSON_PRIVATE_H

#include "trace/views/views-private.h"

/* A number, or a string in hex if a reader with doubles alone would lose some of it. */
void json_number(FILE *out, const char *key, uint64_t value);
void json_hex(FILE *out, const char *key, uint64_t value);
void json_text(FILE *out, const char *key, const char *text);
void json_bytes(FILE *out, const char *key, const uint8_t *bytes, size_t len);
void json_bool(FILE *out, const char *key, bool value);

/* true; nothing at all when it is not. */
void json_flag(FILE *out, const char *key, bool value);

void json_histogram(FILE *out, const struct histogram *h);

/* The descriptors that came with a record, if any. */
void json_fds(FILE *out, const struct trace_record *r, const struct view_options *options);

/* One of them, an object without a comma before it. */
void json_fd(FILE *out, const struct fd_about *about, const struct view_options *options);

/* All that is told of a message. */
void json_message(FILE *out, const struct trace_told *told, const struct view_options *options);

/* Of the ring and the memory that it has to do with. */
void json_ring(FILE *out, const struct trace_told *told);
void json_memory(FILE *out, const struct trace_told *told, const struct view_options *options);

/* And of a ring's picture. */
void json_picture(FILE *out, const struct trace_told *told, const struct view_options *options);

#endif
