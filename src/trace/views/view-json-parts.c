/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/views/view-json-private.h"

#include <inttypes.h>

#include "encode.h"

/* Numbers up to here survive a reader that has only doubles. */
#define JSON_EXACT_MAX (UINT64_C(1) << 53)

void json_number(FILE *out, const char *key, uint64_t value)
{
	if (value > JSON_EXACT_MAX)
		json_hex(out, key, value);
	else
		fprintf(out, ",\"%s\":%" PRIu64, key, value);
}

void json_hex(FILE *out, const char *key, uint64_t value)
{
	fprintf(out, ",\"%s\":\"0x%" PRIx64 "\"", key, value);
}

void json_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	encode_json_text(out, text);
}

void json_bytes(FILE *out, const char *key, const uint8_t *bytes, size_t len)
{
	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('"', out);
}

void json_bool(FILE *out, const char *key, bool value)
{
	fprintf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

void json_flag(FILE *out, const char *key, bool value)
{
	if (value)
		json_bool(out, key, true);
}

void json_histogram(FILE *out, const struct histogram *h)
{
	const char *comma = "";

	json_number(out, "n", h->n);
	json_number(out, "mean_ns", h->n > 0 ? h->sum_ns / h->n : 0);
	json_number(out, "median_ns", histogram_percentile(h, 50));
	json_number(out, "p99_ns", histogram_percentile(h, 99));
	json_number(out, "max_ns", h->max_ns);
	fputs(",\"buckets\":[", out);
	for (unsigned int i = 0; i < HISTOGRAM_N_BUCKETS; i++) {
		if (h->bucket[i] == 0)
			continue;
		fprintf(out, "%s[%" PRIu64 ",%" PRIu64 "]", comma, i == 0 ? 0 : BIT(i),
			h->bucket[i]);
		comma = ",";
	}
	fputc(']', out);
}

void json_fd(FILE *out, const struct fd_about *about, const struct view_options *options)
{
	char text[256];

	fputs("{\"kind\":", out);
	encode_json_text(out, fd_kind_name(about->kind));
	fd_about_text(text, sizeof(text), about);
	json_text(out, "text", text);
	if (about->kind == FD_KIND_MEMORY || about->kind == FD_KIND_FILE) {
		json_text(out, "path", about->path);
		json_number(out, "size", about->size);
	}
	json_flag(out, "readonly", about->readonly);
	json_flag(out, "nonblock", about->nonblock);
	if (options->times != TRACE_TIMES_NONE && about->inode != 0)
		json_hex(out, "inode", about->inode);
	if (options->times != TRACE_TIMES_NONE && about->eventfd_id != 0)
		json_hex(out, "eventfd", about->eventfd_id);
	fputc('}', out);
}

void json_fds(FILE *out, const struct trace_record *r, const struct view_options *options)
{
	if (r->n_fds == 0)
		return;
	fputs(",\"fds\":[", out);
	for (size_t i = 0; i < r->n_fds; i++) {
		fputs(i > 0 ? "," : "", out);
		json_fd(out, &r->fds[i], options);
	}
	fputc(']', out);
}
