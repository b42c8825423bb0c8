/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A record as text: its line, and below it what there is to say about it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trace/views/views-private.h"

enum {
	DETAIL = 8,	/* columns before what is said about a record below its line */
	CONTINUED = 12, /* and before the rest of a long line */
	NS_PER_US = 1000,
	US_PER_S = 1000000,
};

#define NS_PER_S UINT64_C(1000000000)

static void put_clock(FILE *out, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm = { 0 };

	localtime_r(&seconds, &tm);
	fprintf(out, "%02d:%02d:%02d.%06u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(ns % NS_PER_S / NS_PER_US));
}

static void put_seconds(FILE *out, const char *sign, int columns, uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;

	fprintf(out, "%s%*" PRIu64 ".%06" PRIu64, sign, columns, us / US_PER_S, us % US_PER_S);
}

/* Times and session: what stands before a line. */
static void put_prefix(FILE *out, const struct trace_told *told, const struct view_options *options,
		       bool many)
{
	if (options->times == TRACE_TIMES_CLOCK)
		put_clock(out, told->record->ns);
	else if (options->times == TRACE_TIMES_DELTA)
		put_seconds(out, "", 3, told->since_first_ns);
	if (options->times != TRACE_TIMES_NONE) {
		put_seconds(out, " +", 1, told->since_last_ns);
		fputc(' ', out);
	}
	if (many)
		fprintf(out, "#%-2" PRIu32 " ", told->record->session);
}

static const char *line_color(const struct trace_told *told)
{
	if (told->refuses || told->record->kind == TRACE_RAW)
		return VIEW_RED;
	switch (told->record->kind) {
	case TRACE_MESSAGE:
		return told->is_reply ? VIEW_DIM : VIEW_BOLD;
	case TRACE_RING:
		return VIEW_CYAN;
	default:
		return VIEW_YELLOW;
	}
}

/* The line goes on below itself where it is long; its first words are painted. */
static void put_line(FILE *out, const char *prefix, const char *line, const char *color,
		     const struct view_options *options)
{
	size_t at = strlen(prefix);
	size_t mark = strcspn(line, " ");
	size_t name = mark + (line[mark] == ' ' ? 1 : 0);

	name += strcspn(line + name, " :");
	if (prefix[0] != '\0') {
		view_paint(out, options, VIEW_DIM);
		fputs(prefix, out);
		view_paint(out, options, VIEW_PLAIN);
	}
	view_paint(out, options, color);
	fprintf(out, "%.*s", (int)name, line);
	view_paint(out, options, VIEW_PLAIN);
	view_put_wrapped(out, line + name, at + name, CONTINUED);
}

static void put_record_line(FILE *out, const struct trace_told *told,
			    const struct view_options *options, bool many)
{
	char *line = view_line(told, options);
	char prefix[96] = "";
	FILE *text = fmemopen(prefix, sizeof(prefix), "w");

	if (text) {
		put_prefix(text, told, options, many);
		fclose(text);
	}
	if (line)
		put_line(out, prefix, line, line_color(told), options);
	free(line);
}

static void put_rule(FILE *out, enum vhu_rule rule, const struct view_options *options)
{
	bool noted = vhu_rule_severity(rule) == VHU_NOTE;
	char text[256];

	snprintf(text, sizeof(text), "%s %s (%s)", vhu_rule_ref(rule), vhu_rule_text(rule),
		 vhu_rule_name(rule));
	view_paint(out, options, noted ? VIEW_YELLOW : VIEW_RED);
	fprintf(out, "%*s%s ", DETAIL, "", noted ? "~" : "!");
	view_put_wrapped(out, text, DETAIL + 2, DETAIL + 2);
	view_paint(out, options, VIEW_PLAIN);
}

static void put_ring_change(FILE *out, const struct trace_told *told)
{
	const struct story_ring *ring;

	fprintf(out, "%*sring %" PRIu32 ": %s -> %s", DETAIL, "", told->ring,
		story_state_name(told->before), story_state_name(told->after));
	if (told->session && told->ring < VHU_MAX_RINGS) {
		ring = &told->session->ring[told->ring];
		fputs(" (", out);
		if (ring->num > 0)
			fprintf(out, "%" PRIu32 " entries, ", ring->num);
		fprintf(out, "base %" PRIu32 "%s%s)", ring->base, ring->kick_fd ? ", kick" : "",
			ring->call_fd ? ", call" : "");
	}
	fputc('\n', out);
}

/* What replies say that have a form of their own; NULL: there is none to this message. */
static const char *own_meaning(enum vhu_dir dir, uint32_t id)
{
	static const char *const to_frontend[] = {
		[VHU_FE_GET_FEATURES] = "what the back-end offers; only this may be accepted",
		[VHU_FE_SET_LOG_BASE] =
			"the log is mapped, and the one before is not used any more",
		[VHU_FE_GET_VRING_BASE] = "the ring is stopped; num is where it would go on",
		[VHU_FE_GET_PROTOCOL_FEATURES] =
			"what the back-end offers; only this may be accepted",
		[VHU_FE_GET_QUEUE_NUM] = "so many rings there are",
		[VHU_FE_IOTLB_MSG] = "0, it was done: the translation is known, or forgotten",
		[VHU_FE_GET_CONFIG] = "what is there in the config space, as the device has it",
		[VHU_FE_CREATE_CRYPTO_SESSION] =
			"the session is open; its id stands at the end, if not below 0",
		[VHU_FE_POSTCOPY_ADVISE] =
			"the userfaultfd for the back-end's memory is the descriptor",
		[VHU_FE_POSTCOPY_END] = "0, it was done: the userfaultfd is closed",
		[VHU_FE_GET_INFLIGHT_FD] =
			"where the record of requests in flight is in the descriptor's file",
		[VHU_FE_GET_MAX_MEM_SLOTS] = "so many regions there may be at once",
		[VHU_FE_GET_STATUS] = "how far the driver has come, as the device knows it",
		[VHU_FE_GET_SHARED_OBJECT] =
			"the object is the descriptor; without one, it is not known",
		[VHU_FE_SET_DEVICE_STATE_FD] =
			"it begins; bit 8: by the front-end's descriptor, else by the one here",
		[VHU_FE_CHECK_DEVICE_STATE] = "0: all of the state has arrived",
		[VHU_FE_GET_SHMEM_CONFIG] = "the sizes of shared memory regions; 0: there is none",
		[VHU_FE_GET_VRING_BASE_SKIP_DRAIN] =
			"the ring is stopped; requests are left in flight; num: where it goes on",
	};

	if (dir == VHU_BE)
		return id == VHU_BE_SHARED_OBJECT_LOOKUP
			       ? "0: the object is the descriptor that comes along"
			       : NULL;
	return id < ARRAY_SIZE(to_frontend) ? to_frontend[id] : NULL;
}

/* What a reply says. What could not be done, or has been, is told in the request's words. */
static void put_meaning(FILE *out, const struct trace_told *told)
{
	const char *own = NULL;
	char text[256];

	if (told->session && vhu_has_own_reply(told->desc, &told->session->nego))
		own = own_meaning(told->msg->dir, told->msg->id);
	if (told->session && !told->request)
		snprintf(text, sizeof(text), "no request waits for this");
	else if (told->refuses)
		snprintf(text, sizeof(text), "this could not be done: %s", told->desc->text);
	else if (own)
		snprintf(text, sizeof(text), "%s", own);
	else
		snprintf(text, sizeof(text), "0, it was done: %s", told->desc->text);
	fprintf(out, "%*s# ", DETAIL, "");
	view_put_wrapped(out, text, DETAIL + 2, DETAIL + 2);
}

/* What a message is for, as its row in the table says. */
static void put_explanation(FILE *out, const struct trace_told *told)
{
	if (told->is_reply && told->desc) {
		put_meaning(out, told);
		return;
	}
	fprintf(out, "%*s# ", DETAIL, "");
	view_put_wrapped(out, told->desc ? told->desc->text : "no message has this number",
			 DETAIL + 2, DETAIL + 2);
}

static void put_memory(FILE *out, const struct trace_told *told)
{
	if (!told->session)
		return;
	if (told->memory_changed)
		view_text_map(out, told->session, DETAIL);
	else if (told->has_ring && !told->is_reply && !told->record->channel &&
		 told->msg->id == VHU_FE_SET_VRING_ADDR)
		view_text_areas(out, told->session, told->ring, DETAIL);
}

static void put_message_details(FILE *out, const struct trace_told *told,
				const struct view_options *options)
{
	if (told->rule != VHU_OK)
		put_rule(out, told->rule, options);
	if (told->has_ring && told->before != told->after)
		put_ring_change(out, told);
	if (options->explain)
		put_explanation(out, told);
	if (options->fields)
		view_text_fields(out, told->msg, told->was_offered, options->device, DETAIL);
	if (options->hex)
		view_text_hex(out, told->msg, DETAIL);
	if (options->map)
		put_memory(out, told);
}

static void put_raw_details(FILE *out, const struct trace_record *r,
			    const struct view_options *options)
{
	const struct view_dump dump = { .width = 16, .ascii = true };
	size_t most = options->hex ? r->len : min_size(r->len, 32);

	view_put_dump(out, &dump, r->bytes, most, DETAIL);
	if (most < r->len)
		fprintf(out, "%*s... %zu more\n", DETAIL, "", r->len - most);
}

static void put_unanswered(FILE *out, const struct story_session *session, enum vhu_dir dir,
			   const struct view_options *options)
{
	const struct vhu_msg *msg;

	for (unsigned int i = 0; (msg = story_unanswered(session, dir, i)); i++) {
		view_paint(out, options, VIEW_RED);
		fprintf(out, "%*s! %s was never answered", DETAIL, "", vhu_msg_name(dir, msg->id));
		view_paint(out, options, VIEW_PLAIN);
		fputc('\n', out);
	}
}

static void put_end_details(FILE *out, const struct trace_told *told,
			    const struct view_options *options)
{
	if (!view_session_over(told))
		return;
	put_unanswered(out, told->session, VHU_FE, options);
	put_unanswered(out, told->session, VHU_BE, options);
	view_text_hanging(out, told, options, DETAIL);
	if (options->map && told->session->memory.n_regions > 0)
		view_text_map(out, told->session, DETAIL);
	if (!options->latency || options->times == TRACE_TIMES_NONE)
		return;
	view_text_latency(out, told->session, DETAIL);
	view_text_chains(out, told, DETAIL);
}

void view_text_record(FILE *out, const struct trace_told *told, const struct view_options *options,
		      bool many)
{
	put_record_line(out, told, options, many);
	switch (told->record->kind) {
	case TRACE_MESSAGE:
		put_message_details(out, told, options);
		break;
	case TRACE_RAW:
		put_raw_details(out, told->record, options);
		break;
	case TRACE_END:
		put_end_details(out, told, options);
		break;
	case TRACE_RING:
		view_text_picture(out, told, options, DETAIL);
		break;
	default:
		break;
	}
}

void view_text_message(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	view_text_record(out, told, options, told->record->session > 1);
}
