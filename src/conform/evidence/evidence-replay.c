/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The recording as a text that script/script.h describes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conform/cases/cases.h"
#include "conform/evidence/evidence-events.h"

enum {
	LINE_BYTES = 32,
	PAUSE_MS = 20,	     /* shorter ones are not told */
	PAUSE_KICK_MS = 5,   /* what a kick leads to may come before the next message */
	PAUSE_LAST_MS = 200, /* at the end, for what should not come */
};

static void put_comment(FILE *out, const char *text)
{
	fputs("# ", out);
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\n# ", out);
		else
			fputc(*text, out);
	}
	fputc('\n', out);
}

static void put_head(FILE *out, const struct case_row *row, const char *reason)
{
	fputs("vhu-replay 1\n", out);
	fprintf(out, "# case %s: %s\n# clauses: %s\n", row->id, row->title, row->clauses);
	if (reason && *reason)
		put_comment(out, reason);
}

/* Digits, with an escape into the next line wherever one is full. */
static void put_hex(FILE *out, const uint8_t *bytes, size_t len, size_t first)
{
	for (size_t i = 0; i < len; i++) {
		if (i == first || (i > first && (i - first) % LINE_BYTES == 0))
			fputs(len - first > LINE_BYTES ? " \\\n\t" : " ", out);
		fprintf(out, "%02x", bytes[i]);
	}
	fputc('\n', out);
}

static void put_names(const struct evidence *e, FILE *out, const struct event *event)
{
	for (size_t i = 0; i < event->n_objects; i++) {
		char name[16];

		if (event->objects[i] >= e->n_objects)
			continue;
		fprintf(out, "%s%s", i == 0 ? " fds=" : ",",
			object_name(&e->objects[event->objects[i]], name));
	}
}

static void put_message(const struct evidence *e, FILE *out, const struct event *event)
{
	if (event->text)
		put_comment(out, event->text);
	fprintf(out, "%s%s %u", event->kind == EVENT_SENT ? "send" : "recv",
		event->channel ? "-channel" : "", event->conn);
	put_names(e, out, event);
	fputc(' ', out);
	put_hex(out, event->bytes, event->len, event->len >= VHU_HDR_LEN ? VHU_HDR_LEN : SIZE_MAX);
}

static void put_object(const struct evidence *e, FILE *out, const struct event *event)
{
	const struct object *o = &e->objects[event->object];
	char name[16], other[16];

	object_name(o, name);
	if (o->same_as >= 0) {
		fprintf(out, "reopen %s %s%s\n", name, object_name(&e->objects[o->same_as], other),
			o->readonly ? " readonly" : "");
		return;
	}
	switch (o->kind) {
	case OBJECT_MEMORY:
		fprintf(out, "memory %s %" PRIu64, name, event->value);
		if (o->seals)
			fprintf(out, " seals=%u", o->seals);
		fputs(o->readonly ? " readonly\n" : "\n", out);
		break;
	case OBJECT_EVENTFD:
		fprintf(out, "eventfd %s%s\n", name, o->nonblock ? " nonblock" : "");
		break;
	case OBJECT_SOCKET:
		fprintf(out, "socket %s\n", name);
		break;
	case OBJECT_PIPE_READ:
	case OBJECT_PIPE_WRITE:
		fprintf(out, "pipe-%s %s\n", o->kind == OBJECT_PIPE_READ ? "read" : "write", name);
		break;
	default:
		fprintf(out, "file %s %s%s\n", name, o->path[0] == '/' ? o->path : "/dev/null",
			o->readonly ? "" : " write");
		break;
	}
}

static void put_write(const struct evidence *e, FILE *out, const struct event *event)
{
	char name[16];

	fprintf(out, "write %s 0x%" PRIx64 " ", object_name(&e->objects[event->object], name),
		event->at);
	put_hex(out, event->bytes, event->len, event->len > LINE_BYTES ? 0 : SIZE_MAX);
}

static void put_index(const struct evidence *e, FILE *out, const char *verb, const struct owned *w,
		      uint64_t value)
{
	char name[16];

	fprintf(out, "# used index of ring %u\n%s %s 0x%" PRIx64 " %" PRIu64 "\n", w->ring, verb,
		object_name(&e->objects[w->object], name), w->at, value);
}

static void put_await(const struct evidence *e, FILE *out, const struct event *event)
{
	const struct owned idx = { .ring = event->ring, .object = event->object, .at = event->at };

	put_index(e, out, "await16", &idx, event->value);
}

static void put_kicks(const struct evidence *e, FILE *out, const struct event *event)
{
	char name[16];

	fprintf(out, "# kick of ring %u\n", event->ring);
	for (unsigned int i = 0; event->object < e->n_objects && i <= event->n_more; i++)
		fprintf(out, "kick %s\n", object_name(&e->objects[event->object], name));
}

static void put_event(const struct evidence *e, FILE *out, const struct event *event)
{
	char name[16];

	switch (event->kind) {
	case EVENT_OPEN:
		fprintf(out, "connect %u\n", event->conn);
		break;
	case EVENT_CLOSE:
		fprintf(out, "close %u\n", event->conn);
		break;
	case EVENT_SHUT:
		fprintf(out, "shutdown %u\n", event->conn);
		break;
	case EVENT_ENDED:
		fprintf(out, "closed %u\n", event->conn);
		break;
	case EVENT_SENT:
	case EVENT_RECEIVED:
		put_message(e, out, event);
		break;
	case EVENT_KICK:
		put_kicks(e, out, event);
		break;
	case EVENT_NOTE:
		if (event->text)
			put_comment(out, event->text);
		break;
	case EVENT_OBJECT:
		put_object(e, out, event);
		break;
	case EVENT_RESIZE:
		fprintf(out, "resize %s %" PRIu64 "\n",
			object_name(&e->objects[event->object], name), event->value);
		break;
	case EVENT_WRITE:
		put_write(e, out, event);
		break;
	case EVENT_NUDGE:
		fprintf(out, "# ring %u was looked at without a kick\nkick %s\n", event->ring,
			object_name(&e->objects[event->object], name));
		break;
	case EVENT_AWAIT:
		put_await(e, out, event);
		break;
	}
}

static bool is_ours(enum event_kind kind)
{
	return kind == EVENT_SENT || kind == EVENT_KICK || kind == EVENT_OPEN ||
	       kind == EVENT_CLOSE || kind == EVENT_SHUT;
}

static bool is_theirs(enum event_kind kind)
{
	return kind == EVENT_RECEIVED || kind == EVENT_ENDED || kind == EVENT_AWAIT;
}

/* What we do after a while in which nothing came is done after a while again. */
static void put_gap(const struct evidence *e, FILE *out, const struct event *event, uint64_t ms,
		    bool kicked)
{
	if (kicked && event->kind == EVENT_SENT && ms < PAUSE_KICK_MS)
		ms = PAUSE_KICK_MS;
	if (is_ours(event->kind) && (ms >= PAUSE_MS || (kicked && event->kind == EVENT_SENT)))
		fprintf(out, "%s %" PRIu64 "\n", event->unread ? "wait" : "pause", ms);
	/* What a packed ring has become is written again: not before the back-end is done. */
	else if (event->kind == EVENT_WRITE && e->packed && kicked)
		fprintf(out, "wait %" PRIu64 "\n", ms >= PAUSE_MS ? ms : PAUSE_MS);
}

static void put_events(const struct evidence *e, FILE *out)
{
	uint64_t before = 0;
	bool kicked = false;

	for (size_t i = 0; i < e->n_events; i++) {
		const struct event *event = &e->events[i];

		if (i > 0)
			put_gap(e, out, event, (event->ns - before) / 1000000, kicked);
		put_event(e, out, event);
		if (is_ours(event->kind) || is_theirs(event->kind))
			before = event->ns;
		if (event->kind != EVENT_NOTE)
			kicked = event->kind == EVENT_KICK;
	}
}

/* Where used rings have come to. */
static void put_indices(const struct evidence *e, FILE *out, const char *verb, bool all)
{
	for (size_t i = 0; i < EVIDENCE_OWNED; i++) {
		struct owned w = e->owned[i];
		uint16_t idx;

		w.at += 2;
		if (w.active && !w.last && object_peek16(&e->objects[w.object], w.at, &idx) &&
		    (all || idx != w.seen))
			put_index(e, out, verb, &w, idx);
	}
}

/* Whether the last word was ours: then what was wrong may be that nothing came. */
static bool ends_in_silence(const struct evidence *e)
{
	for (size_t i = e->n_events; i > 0; i--) {
		enum event_kind kind = e->events[i - 1].kind;

		if (is_ours(kind) || is_theirs(kind))
			return kind == EVENT_SENT || kind == EVENT_KICK;
	}
	return false;
}

static void put_end(const struct evidence *e, FILE *out)
{
	put_indices(e, out, "await16", false);
	if (!ends_in_silence(e))
		return;
	fprintf(out, "pause %d\n", PAUSE_LAST_MS);
	put_indices(e, out, "check16", true);
}

int evidence_write_replay(const struct evidence *e, const char *path, const struct case_row *row,
			  const char *reason)
{
	FILE *out;
	int err;

	if (!e->recording)
		return -ENODATA;
	if (e->lost)
		return -EOVERFLOW;
	out = fopen(path, "we");
	if (!out)
		return -errno;
	put_head(out, row, reason);
	put_events(e, out);
	put_end(e, out);
	err = ferror(out) ? -EIO : 0;
	if (fclose(out) != 0 && err == 0)
		err = -errno;
	return err;
}
