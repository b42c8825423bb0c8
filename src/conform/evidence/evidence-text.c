/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Evidence for people: messages in words, bytes, rings. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conform/evidence/evidence-events.h"
#include "encode.h"

enum {
	DUMP_MESSAGES = 2,
	DUMP_BYTES = 256,
};

static const char *arrow(const struct event *event)
{
	switch (event->kind) {
	case EVENT_SENT:
		return event->channel ? "=>" : "->";
	case EVENT_RECEIVED:
		return event->channel ? "<=" : "<-";
	case EVENT_ENDED:
		return "<-";
	default:
		return "--";
	}
}

/* What stands behind the arrow; several lines for several messages in one send. */
static void put_what(FILE *out, const struct event *event)
{
	switch (event->kind) {
	case EVENT_OPEN:
		fprintf(out, "connection %u begins", event->conn);
		break;
	case EVENT_CLOSE:
		fprintf(out, "connection %u is dropped by the tester", event->conn);
		break;
	case EVENT_SHUT:
		fputs("the tester will send no more", out);
		break;
	case EVENT_ENDED:
		fputs("the back-end closes the connection", out);
		break;
	case EVENT_KICK:
		fprintf(out, "kick of ring %u", event->ring);
		if (event->n_more > 0)
			fprintf(out, ", %u times", event->n_more + 1);
		break;
	default:
		fputs(event->text ? event->text : "(not kept)", out);
		break;
	}
}

static void put_event(const struct evidence *e, FILE *out, const struct event *event)
{
	char *text = NULL, *rest, *line;
	size_t len;
	FILE *what = open_memstream(&text, &len);

	if (!what)
		return;
	put_what(what, event);
	fclose(what);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		fprintf(out, "%10.3f ms ", (double)event->ns / 1e6);
		if (e->n_conns > 1 && event->conn > 0)
			fprintf(out, "#%u ", event->conn);
		fprintf(out, "%s %s\n", arrow(event), line);
	}
	free(text);
}

/* The index of the first of the last n events before end for which want() holds. */
static size_t first_of_last(const struct evidence *e, size_t end, size_t n,
			    bool (*want)(enum event_kind kind))
{
	size_t first = end;

	for (size_t i = end; i > 0 && n > 0; i--) {
		if (!want(e->events[i - 1].kind))
			continue;
		first = i - 1;
		n--;
	}
	return first;
}

static void put_events(const struct evidence *e, FILE *out)
{
	size_t first = first_of_last(e, e->n_events, EVIDENCE_KEEP, event_shown);

	if (e->n_shown == 0)
		return;
	fputs("messages: -> to the back-end, <- from it, => <= on its channel\n", out);
	if (e->n_shown > EVIDENCE_KEEP)
		fprintf(out, "%13s (%zu earlier ones are left out)\n", "",
			e->n_shown - EVIDENCE_KEEP);
	for (size_t i = first; i < e->n_events; i++)
		if (event_shown(e->events[i].kind))
			put_event(e, out, &e->events[i]);
}

/* Bytes. */

static void put_row(FILE *out, const uint8_t *bytes, size_t at, size_t n)
{
	fprintf(out, "  %04zx ", at);
	encode_hex(out, bytes + at, n);
	fputs("  |", out);
	encode_ascii(out, bytes + at, n);
	fputc('|', out);
}

static void put_rows(FILE *out, const uint8_t *bytes, size_t from, size_t to, const char *what)
{
	size_t end = min_size(to, from + DUMP_BYTES);

	for (size_t at = from; at < end; at += ENCODE_ROW) {
		put_row(out, bytes, at, min_size(ENCODE_ROW, end - at));
		fprintf(out, "%s%s\n", at == from && *what ? " " : "", at == from ? what : "");
	}
	if (end < to)
		fprintf(out, "  (and %zu bytes more)\n", to - end);
}

static void put_bytes(FILE *out, const struct event *event)
{
	size_t len = event->len;
	bool part = !event->text || *event->text == '(';

	fprintf(out, "bytes %s %.*s, %zu in all\n", arrow(event),
		part ? 17 : (int)strcspn(event->text, " \n"),
		part ? "part of a message" : event->text, len);
	if (part || len < VHU_HDR_LEN) {
		put_rows(out, event->bytes, 0, len, "");
		return;
	}
	put_rows(out, event->bytes, 0, VHU_HDR_LEN, "header: request, flags, size");
	if (len > VHU_HDR_LEN)
		put_rows(out, event->bytes, VHU_HDR_LEN, len, "payload");
}

static bool is_message(enum event_kind kind)
{
	return kind == EVENT_SENT || kind == EVENT_RECEIVED;
}

/* What came after the verdict, a ping perhaps, did not lead to it. */
static void put_last_bytes(const struct evidence *e, FILE *out)
{
	size_t end = e->judged > 0 ? e->judged : e->n_events;

	for (size_t i = first_of_last(e, end, DUMP_MESSAGES, is_message); i < end; i++)
		if (is_message(e->events[i].kind) && e->events[i].bytes)
			put_bytes(out, &e->events[i]);
}

char *evidence_text(const struct evidence *e)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	put_events(e, out);
	put_last_bytes(e, out);
	for (unsigned int i = 0; i < e->n_pictures; i++)
		fputs(e->pictures[i].text, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
