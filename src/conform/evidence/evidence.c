/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/evidence/evidence.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "conform/evidence/evidence-events.h"
#include "vhu/format.h"
#include "vhu/frontend-rings.h"

/* A decoded message that is longer is cut. */
enum { LINE_MAX_LEN = 600 };

struct evidence *evidence_new(bool recording)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e) {
		e->recording = recording;
		e->start_ns = monotonic_ns();
	}
	return e;
}

static void event_fini(struct event *event)
{
	free(event->bytes);
	free(event->objects);
	free(event->text);
}

static void free_listeners(struct evidence *e)
{
	while (e->listeners) {
		struct listener *l = e->listeners;

		e->listeners = l->next;
		free(l);
	}
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_events; i++)
		event_fini(&e->events[i]);
	for (unsigned int i = 0; i < e->n_objects; i++)
		evidence_object_fini(&e->objects[i]);
	for (unsigned int i = 0; i < e->n_pictures; i++)
		free(e->pictures[i].text);
	free_listeners(e);
	free(e->events);
	free(e->objects);
	free(e);
}

/* Events. */

/* What is not recorded is forgotten when it will not be shown any more. */
static void forget_old(struct evidence *e)
{
	if (e->recording || e->n_events < 2 * EVIDENCE_KEEP)
		return;
	for (size_t i = 0; i < EVIDENCE_KEEP; i++)
		event_fini(&e->events[i]);
	e->n_events -= EVIDENCE_KEEP;
	e->judged -= min_size(e->judged, EVIDENCE_KEEP);
	memmove(e->events, e->events + EVIDENCE_KEEP, e->n_events * sizeof(*e->events));
}

static bool grow(struct evidence *e)
{
	size_t cap = e->cap_events > 0 ? 2 * e->cap_events : 2 * EVIDENCE_KEEP;
	struct event *events;

	if (e->n_events < e->cap_events)
		return true;
	events = reallocarray(e->events, cap, sizeof(*events));
	if (!events)
		return false;
	e->events = events;
	e->cap_events = cap;
	return true;
}

struct event *evidence_add(struct evidence *e, enum event_kind kind)
{
	struct event *event;

	forget_old(e);
	e->n_bytes += sizeof(*event);
	if (e->n_bytes > EVIDENCE_MAX_BYTES || !grow(e)) {
		e->lost = true;
		return NULL;
	}
	event = &e->events[e->n_events++];
	*event = (struct event){ .kind = kind, .ns = monotonic_ns() - e->start_ns };
	if (event_shown(kind))
		e->n_shown++;
	return event;
}

static void *copy_of(struct evidence *e, const void *bytes, size_t len)
{
	void *copy = malloc(len > 0 ? len : 1);

	if (!copy)
		e->lost = true;
	else if (len > 0)
		memcpy(copy, bytes, len);
	if (e->recording)
		e->n_bytes += len;
	return copy;
}

static struct event *add_of(struct listener *l, enum event_kind kind, bool channel)
{
	struct event *event = evidence_add(l->evidence, kind);

	if (event) {
		event->conn = l->conn;
		event->channel = channel;
	}
	return event;
}

/* Text of what is sent and received. */

/* " fds=m1(memfd),e1(eventfd)", or nothing. */
static void put_objects(const struct evidence *e, FILE *out, const unsigned int *objects,
			size_t n_objects)
{
	for (size_t i = 0; i < n_objects; i++) {
		const struct object *o;
		char name[16];

		if (objects[i] >= e->n_objects)
			continue;
		o = &e->objects[objects[i]];
		fprintf(out, "%s%s(%s%s%s)", i == 0 ? " fds=" : ",", object_name(o, name),
			object_kind_name(o->kind), o->kind == OBJECT_FILE ? " " : "",
			o->kind == OBJECT_FILE ? o->path : "");
	}
}

static void put_message(const struct evidence *e, FILE *out, const struct vhu_msg *msg,
			const unsigned int *objects, size_t n_objects)
{
	char line[LINE_MAX_LEN];
	struct vhu_msg bare = *msg;

	fdset_init(&bare.fds); /* they are told of by kind */
	if (vhu_format_line(line, sizeof(line), &bare) >= sizeof(line))
		memcpy(line + sizeof(line) - 4, "...", 4);
	fputs(line, out);
	put_objects(e, out, objects, n_objects);
}

/* Takes one piece of what was sent, up to the end of a message at most. */
static size_t put_piece(struct listener *l, FILE *out, struct stream *s, const uint8_t *bytes,
			size_t len)
{
	bool midway = vhu_assembler_midway(&s->assembler);
	size_t taken = len;

	switch (vhu_assembler_feed(&s->assembler, bytes, len, &taken)) {
	case VHU_ASSEMBLY_MORE:
		fprintf(out, "(%zu bytes, %s)", taken,
			midway ? "more of a message" : "part of a message");
		put_objects(l->evidence, out, s->objects, midway ? 0 : s->n_objects);
		return taken;
	case VHU_ASSEMBLY_MESSAGE:
		put_message(l->evidence, out, &s->assembler.msg, s->objects, s->n_objects);
		fputs(midway ? " (now complete)" : "", out);
		evidence_learn_sent(l, &s->assembler.msg, s->objects, s->n_objects);
		s->n_objects = 0;
		return taken;
	default:
		fprintf(out, "%s flags=0x%x size=%u and %zu bytes, with no telling where it ends",
			vhu_msg_name(s->assembler.msg.dir, s->assembler.msg.id),
			s->assembler.msg.flags, s->assembler.msg.size, len);
		put_objects(l->evidence, out, s->objects, s->n_objects);
		s->n_objects = 0;
		return len;
	}
}

static char *decode_sent(struct listener *l, struct stream *s, const uint8_t *bytes, size_t len,
			 size_t n_fds)
{
	char *text = NULL;
	size_t text_len;
	FILE *out = open_memstream(&text, &text_len);

	if (!out)
		return NULL;
	for (size_t done = 0; done < len;) {
		if (done > 0)
			fputc('\n', out);
		done += put_piece(l, out, s, bytes + done, len - done);
	}
	if (n_fds > FDSET_MAX)
		fprintf(out, " and %zu more descriptors", n_fds - FDSET_MAX);
	fclose(out);
	return text;
}

static char *decode_received(struct listener *l, const struct vhu_msg *msg,
			     const unsigned int *objects, size_t n_objects)
{
	char *text = NULL;
	size_t text_len;
	FILE *out = open_memstream(&text, &text_len);

	if (!out)
		return NULL;
	put_message(l->evidence, out, msg, objects, n_objects);
	fclose(out);
	return text;
}

/* Hearing. */

/* Silence that nobody listened to is none. */
static bool has_unread(const struct listener *l)
{
	struct pollfd fds[] = {
		{ .fd = l->fe->fd, .events = POLLIN },
		{ .fd = l->fe->channel_fd, .events = POLLIN },
	};

	return l->evidence->recording && poll(fds, ARRAY_SIZE(fds), 0) > 0;
}

static unsigned int *identify(struct evidence *e, const int *fds, size_t n_fds, bool received)
{
	unsigned int *objects = calloc(n_fds > 0 ? n_fds : 1, sizeof(*objects));

	if (!objects) {
		e->lost = true;
		return NULL;
	}
	for (size_t i = 0; i < n_fds; i++)
		objects[i] = evidence_object(e, fds[i], received);
	return objects;
}

static void hear_end(void *arg)
{
	struct listener *l = arg;

	if (!l->open)
		return;
	l->open = false;
	evidence_look(l->evidence);
	add_of(l, EVENT_ENDED, false);
	evidence_forget_rings(l->evidence, l->conn);
}

/* That it has closed is seen by a look, too: what is sent now would only fail. */
static void look_for_end(struct listener *l)
{
	char byte;

	if (l->open && l->fe->fd >= 0 &&
	    recv(l->fe->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0)
		hear_end(l);
}

static void hear_sent(void *arg, bool channel, const void *bytes, size_t len, const int *fds,
		      size_t n_fds)
{
	struct listener *l = arg;
	struct evidence *e = l->evidence;
	struct stream *s = channel ? &l->channel : &l->main;
	unsigned int *objects = identify(e, fds, n_fds, false);
	struct event *event;
	char *text;

	if (!objects)
		return;
	look_for_end(l);
	evidence_look(e);
	for (size_t i = 0; i < n_fds && s->n_objects < FDSET_MAX; i++)
		s->objects[s->n_objects++] = objects[i];
	event = add_of(l, EVENT_SENT, channel);
	if (!event) {
		free(objects);
		return;
	}
	event->objects = objects;
	event->n_objects = n_fds;
	event->unread = has_unread(l);
	event->bytes = copy_of(e, bytes, len);
	event->len = event->bytes ? len : 0;
	text = decode_sent(l, s, bytes, len, n_fds); /* adds no event */
	e->events[e->n_events - 1].text = text;
}

static void hear_received(void *arg, bool channel, const struct vhu_msg *msg)
{
	struct listener *l = arg;
	struct evidence *e = l->evidence;
	unsigned int *objects = identify(e, msg->fds.fd, msg->fds.n_fds, true);
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct event *event = objects ? add_of(l, EVENT_RECEIVED, channel) : NULL;

	if (!event) {
		free(objects);
		return;
	}
	event->objects = objects;
	event->n_objects = msg->fds.n_fds;
	event->text = decode_received(l, msg, objects, msg->fds.n_fds);
	event->len = vhu_msg_pack(msg, bytes);
	event->bytes = copy_of(e, bytes, event->len);
	if (!event->bytes)
		event->len = 0;
	evidence_learn_received(l, msg);
}

/* What is written to: of a pair the back-end has the other end, which is what can be named. */
static unsigned int kick_object(struct listener *l, unsigned int idx)
{
	struct evidence *e = l->evidence;
	unsigned int sent = idx < VHU_MAX_FD_RINGS ? l->kicks[idx] : 0;

	if (sent > 0 && e->objects[sent - 1].kind >= OBJECT_SOCKET &&
	    e->objects[sent - 1].kind <= OBJECT_PIPE_WRITE)
		return sent - 1;
	return evidence_object(e, l->fe->rings[idx].kick_fd, false);
}

/* A kick in-band is a message, and told of as such. */
static void add_kick(struct listener *l, unsigned int idx)
{
	struct evidence *e = l->evidence;
	struct event *last = e->n_events > 0 ? &e->events[e->n_events - 1] : NULL;
	unsigned int object;

	if (last && last->kind == EVENT_KICK && last->conn == l->conn && last->ring == idx) {
		last->n_more++;
		return;
	}
	evidence_ring(e, l->fe, idx, "at a kick");
	if (vhu_frontend_has_protocol(l->fe, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return;
	object = kick_object(l, idx);
	last = add_of(l, EVENT_KICK, false);
	if (last) {
		last->ring = idx;
		last->object = object;
		last->unread = has_unread(l);
	}
}

static void hear_kick(void *arg, unsigned int idx)
{
	struct listener *l = arg;

	if (idx >= l->fe->n_rings || idx >= VHU_MAX_RINGS)
		return;
	l->kicked[idx / 64] |= BIT(idx % 64);
	evidence_look(l->evidence);
	add_kick(l, idx);
}

/* A front-end that has a new connection has dropped the one before. */
static void close_former(struct evidence *e, const struct vhu_frontend *fe)
{
	for (struct listener *l = e->listeners; l; l = l->next) {
		if (l->fe != fe)
			continue;
		if (l->open)
			add_of(l, EVENT_CLOSE, false);
		l->open = false;
		l->fe = NULL;
		evidence_forget_rings(e, l->conn);
	}
}

void evidence_attach(struct evidence *e, struct vhu_frontend *fe)
{
	struct listener *l = calloc(1, sizeof(*l));

	close_former(e, fe);
	fe->ear = NULL;
	if (!l) {
		e->lost = true;
		return;
	}
	*l = (struct listener){
		.ear = { hear_sent, hear_received, hear_kick, hear_end, l },
		.evidence = e,
		.fe = fe,
		.conn = ++e->n_conns,
		.open = true,
		.next = e->listeners,
	};
	vhu_assembler_init(&l->main.assembler, VHU_FE);
	vhu_assembler_init(&l->channel.assembler, VHU_BE);
	e->listeners = l;
	fe->ear = &l->ear;
	evidence_look(e);
	add_of(l, EVENT_OPEN, false);
}

void evidence_shut(struct evidence *e, const struct vhu_frontend *fe)
{
	for (struct listener *l = e->listeners; l; l = l->next)
		if (l->fe == fe && l->open)
			add_of(l, EVENT_SHUT, false);
}

void evidence_note(struct evidence *e, const char *fmt, ...)
{
	struct event *event = evidence_add(e, EVENT_NOTE);
	va_list args;

	if (!event)
		return;
	va_start(args, fmt);
	if (vasprintf(&event->text, fmt, args) < 0)
		event->text = NULL;
	va_end(args);
}

void evidence_judged(struct evidence *e, const struct vhu_frontend *fe)
{
	e->judged = e->n_events;
	evidence_rings(e, fe, "when it was judged");
}

void evidence_rings(struct evidence *e, const struct vhu_frontend *fe, const char *when)
{
	for (const struct listener *l = e->listeners; l; l = l->next)
		for (unsigned int i = 0; l->fe == fe && i < fe->n_rings; i++)
			if (l->kicked[i / 64] & BIT(i % 64))
				evidence_ring(e, fe, i, when);
}
