/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A record in one line. */
#include <inttypes.h>
#include <stdlib.h>

#include "encode.h"
#include "trace/views/views-private.h"
#include "vhu/format.h"

const char *view_sender(enum trace_dir dir)
{
	return dir == TRACE_TO_BACKEND ? "front-end" : "back-end";
}

static const char *arrow(const struct trace_record *r)
{
	static const char *const arrows[2][2] = { { "->", "<-" }, { "=>", "<=" } };

	return arrows[r->channel][r->dir];
}

/* The number in a "bit5" that stands alone; false: text begins with something else. */
static bool take_bit(const char *text, unsigned int *ret_bit, size_t *ret_len)
{
	int len = 0;

	if (sscanf(text, "bit%2u%n", ret_bit, &len) != 1 || len == 0)
		return false;
	*ret_len = (size_t)len;
	return text[len] == ' ' || text[len] == ']';
}

/* Bits that no table of the protocol names may have a name in the device's. */
static void put_device_bits(FILE *out, const char *text, const char *device)
{
	while (*text != '\0') {
		unsigned int bit = 0;
		size_t len = 0;
		const char *name = NULL;

		if (take_bit(text, &bit, &len))
			name = story_feature_name(device, bit);
		if (name)
			fputs(name, out);
		else
			fputc(*text, out);
		text += name ? len : 1;
	}
}

static bool has_device_bits(const struct vhu_msg *msg)
{
	return msg->dir == VHU_FE &&
	       (msg->id == VHU_FE_GET_FEATURES || msg->id == VHU_FE_SET_FEATURES);
}

/* Name, flags and fields; descriptors are told by what they are instead. */
static void put_words(FILE *out, const struct vhu_msg *msg, const char *device)
{
	struct vhu_msg bare = *msg;
	size_t len;
	char *text;

	bare.fds.n_fds = 0;
	len = vhu_format_line(NULL, 0, &bare);
	text = malloc(len + 1);
	if (!text) {
		fputs(vhu_msg_name(msg->dir, msg->id), out);
		return;
	}
	vhu_format_line(text, len + 1, &bare);
	if (device && has_device_bits(msg))
		put_device_bits(out, text, device);
	else
		fputs(text, out);
	free(text);
}

static void put_fds(FILE *out, const struct trace_record *r)
{
	char text[256];

	if (r->n_fds == 0)
		return;
	fputs(" fds=[", out);
	for (size_t i = 0; i < r->n_fds; i++) {
		fd_about_text(text, sizeof(text), &r->fds[i]);
		fprintf(out, "%s%s", i > 0 ? "; " : "", text);
	}
	fputc(']', out);
}

/* "  (8 bytes, 84 us)": the time from request to reply. */
static void put_measures(FILE *out, const struct trace_told *told, bool times)
{
	bool answers = times && told->request;

	if (told->msg->size == 0 && !answers)
		return;
	fputs("  (", out);
	if (told->msg->size > 0)
		fprintf(out, "%" PRIu32 " byte%s%s", told->msg->size,
			told->msg->size == 1 ? "" : "s", answers ? ", " : "");
	if (answers)
		view_put_ns(out, told->answered_ns);
	fputc(')', out);
}

static void put_message(FILE *out, const struct trace_told *told,
			const struct view_options *options)
{
	fprintf(out, "%s ", arrow(told->record));
	put_words(out, told->msg, options->device);
	fputs(told->refuses ? " FAILED" : "", out);
	put_fds(out, told->record);
	put_measures(out, told, options->times != TRACE_TIMES_NONE);
}

static void put_end(FILE *out, const struct trace_record *r)
{
	const char *to = r->dir == TRACE_TO_BACKEND ? "the back-end's" : "its";

	if (r->channel)
		fprintf(out, "-- the %s has closed %s channel", view_sender(r->dir), to);
	else
		fprintf(out, "-- the %s has closed", view_sender(r->dir));
	if (r->text[0] == '\0')
		return;
	fputs(": ", out);
	encode_line(out, r->text, "");
}

static void put_ring(FILE *out, const struct trace_record *r)
{
	unsigned int n = picture_n_offered(r->picture);

	fprintf(out, "() ring %" PRIu32 ": %s, ", r->ring, trace_cause_name(r->cause));
	if (n == 0)
		fputs("no chain offered", out);
	else
		fprintf(out, "%u chain%s offered", n, n == 1 ? "" : "s");
}

static void put_raw(FILE *out, const struct trace_record *r)
{
	fprintf(out, "%s %zu byte%s that make no message", arrow(r), r->len,
		r->len == 1 ? "" : "s");
	put_fds(out, r);
}

static void put_line(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	const struct trace_record *r = told->record;

	switch (r->kind) {
	case TRACE_OPEN:
		fprintf(out, "-- session %" PRIu32 ": a front-end has connected to ", r->session);
		encode_line(out, r->text, "");
		break;
	case TRACE_MESSAGE:
		put_message(out, told, options);
		break;
	case TRACE_RAW:
		put_raw(out, r);
		break;
	case TRACE_CHANNEL:
		fputs("-- the back-end's channel is open, its messages are <= and =>", out);
		break;
	case TRACE_END:
		put_end(out, r);
		break;
	case TRACE_NOTE:
		fputs("-- note: ", out);
		encode_line(out, r->text, "");
		break;
	case TRACE_RING:
		put_ring(out, r);
		break;
	case TRACE_N_KINDS:
		break;
	}
}

static void put_rule(FILE *out, enum vhu_rule rule)
{
	if (rule == VHU_OK)
		return;
	fprintf(out, " %s %s %s (%s)", vhu_rule_severity(rule) == VHU_NOTE ? "~" : "!",
		vhu_rule_name(rule), vhu_rule_text(rule), vhu_rule_ref(rule));
}

static char *make_line(const struct trace_told *told, const struct view_options *options, bool rule)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	put_line(out, told, options);
	if (rule)
		put_rule(out, told->rule);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

char *view_line(const struct trace_told *told, const struct view_options *options)
{
	return make_line(told, options, false);
}

char *view_comment(const struct trace_told *told, const struct view_options *options)
{
	return make_line(told, options, true);
}
