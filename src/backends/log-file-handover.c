/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A log and another program in the daemon's place. */
#include <string.h>

#include "backends/log-file-private.h"
#include "backends/port-handover.h"

enum log_tag {
	TAG_FILE = 1,
	TAG_FLAGS, /* BIT(enum log_flag) */
	TAG_ERROR,
	TAG_RAW, /* output that is not formatted yet */
	TAG_RAW_POS,
	TAG_TEXT, /* formatted, and not written */
	TAG_MARKER_LEN,
	TAG_N_MARKED,
	TAG_N_LOST,
	TAG_N_LOST_SEEN,
	TAG_EVENT,
	TAG_TYPED,
	TAG_TYPED_MS,
	TAG_CLIENT,
};

enum log_flag {
	FLAG_PRESENT,
	FLAG_INSIDE_LINE,   /* at the end of text */
	FLAG_INSIDE_BEFORE, /* at its start */
	FLAG_FILE_INSIDE,
	FLAG_TYPED_CR,
	N_FLAGS,
};

enum event_tag { EVENT_POS = 1, EVENT_MS, EVENT_TYPED, EVENT_TEXT };

/* How much of text has been written, the write under way included. */
static size_t written(const struct log_file *l)
{
	return l->text_at + (outfile_busy(&l->files.file) ? l->files.file.done : 0);
}

static uint64_t flags_of(const struct log_file *l)
{
	size_t at = written(l);
	bool inside = at > 0 ? l->text[at - 1] != '\n' : l->inside_before;

	return (uint64_t)l->present << FLAG_PRESENT |
	       (uint64_t)l->format.inside_line << FLAG_INSIDE_LINE |
	       (uint64_t)inside << FLAG_INSIDE_BEFORE |
	       (uint64_t)l->files.inside_line << FLAG_FILE_INSIDE |
	       (uint64_t)l->typed_cr << FLAG_TYPED_CR;
}

static void save_events(const struct log_file *l, struct state_writer *w)
{
	for (const struct list_node *node = l->events.next; node != &l->events; node = node->next) {
		const struct event *e = list_entry(node, const struct event, link);

		state_begin_group(w, TAG_EVENT);
		state_put_number(w, EVENT_POS, e->pos);
		state_put_number(w, EVENT_MS, e->ms);
		state_put_number(w, EVENT_TYPED, e->typed);
		state_put_bytes(w, EVENT_TEXT, e->text, e->len);
		state_end(w);
	}
}

void log_file_save(const struct attachment *a, struct handover_out *out)
{
	const struct log_file *l = container_of(a, const struct log_file, base);
	struct state_writer *w = &out->state;
	size_t at = written(l);

	if (l->closing || l->wants_reopen)
		handover_busy(out, "log %s is being closed", a->args.options->address);
	outfile_save(&l->files.file, out, TAG_FILE);
	state_put_number(w, TAG_FLAGS, flags_of(l));
	state_put_number(w, TAG_ERROR, (uint64_t)-l->files.err);
	state_put_bytes(w, TAG_RAW, l->raw + l->raw_at, l->raw_len);
	state_put_number(w, TAG_RAW_POS, l->raw_pos);
	state_put_bytes(w, TAG_TEXT, l->text + at, l->text_len - at);
	state_put_number(w, TAG_MARKER_LEN, l->marker_len > at ? l->marker_len - at : 0);
	state_put_number(w, TAG_N_MARKED, l->n_marked);
	state_put_number(w, TAG_N_LOST, l->n_lost);
	state_put_number(w, TAG_N_LOST_SEEN, l->n_lost_seen);
	save_events(l, w);
	state_put_bytes(w, TAG_TYPED, l->typed, l->n_typed);
	state_put_number(w, TAG_TYPED_MS, l->typed_ms);
	if (l->joined)
		port_client_save(&l->client, out, TAG_CLIENT);
}

static void load_event(struct log_file *l, struct state_reader *r)
{
	const uint8_t *text;
	uint64_t pos, ms;
	bool typed;
	size_t len;

	if (!state_enter(r, TAG_EVENT, "event"))
		return;
	pos = state_take_number(r, EVENT_POS, "position", UINT64_MAX);
	ms = state_take_number(r, EVENT_MS, "time", UINT64_MAX);
	typed = state_take_flag(r, EVENT_TYPED, "typed");
	len = state_take_bytes(r, EVENT_TEXT, "text", LOG_TEXT_LINE_MAX, &text);
	if (log_file_add_event(l, pos, ms, typed, text, len) < 0)
		state_fail(r, "no memory");
	state_leave(r);
}

static void load_flags(struct log_file *l, uint64_t flags)
{
	l->present = flags & BIT(FLAG_PRESENT);
	l->format.inside_line = flags & BIT(FLAG_INSIDE_LINE);
	l->inside_before = flags & BIT(FLAG_INSIDE_BEFORE);
	l->files.inside_line = flags & BIT(FLAG_FILE_INSIDE);
	l->typed_cr = flags & BIT(FLAG_TYPED_CR);
}

static size_t take_into(struct state_reader *r, unsigned int tag, const char *name, void *buf,
			size_t cap)
{
	const uint8_t *bytes;
	size_t len = state_take_bytes(r, tag, name, cap, &bytes);

	if (len > 0)
		memcpy(buf, bytes, len);
	return len;
}

/* Nothing is written before all is loaded: that could change files. */
void log_file_load(struct log_file *l, struct handover_in *in)
{
	struct state_reader *r = &in->state;

	log_files_adopt(&l->files, l->base.args.options);
	outfile_load(&l->files.file, in, TAG_FILE);
	load_flags(l, state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1));
	l->files.err = -(int)state_take_number(r, TAG_ERROR, "error", INT16_MAX);
	l->raw_len = take_into(r, TAG_RAW, "output", l->raw, sizeof(l->raw));
	l->raw_pos = state_take_number(r, TAG_RAW_POS, "position", UINT64_MAX);
	l->text_len = take_into(r, TAG_TEXT, "text", l->text, sizeof(l->text));
	l->marker_len = (size_t)state_take_number(r, TAG_MARKER_LEN, "marker", l->text_len);
	l->n_marked = state_take_number(r, TAG_N_MARKED, "marked", UINT64_MAX);
	l->n_lost = state_take_number(r, TAG_N_LOST, "lost", UINT64_MAX);
	l->n_lost_seen = state_take_number(r, TAG_N_LOST_SEEN, "lost", UINT64_MAX);
	while (state_has(r, TAG_EVENT))
		load_event(l, r);
	l->n_typed = take_into(r, TAG_TYPED, "typed", l->typed, sizeof(l->typed) - 1);
	l->typed_ms = state_take_number(r, TAG_TYPED_MS, "time", UINT64_MAX);
	if (state_has(r, TAG_CLIENT))
		l->joined = port_client_load(l->base.args.port, &l->client, log_file_client_ops(l),
					     in, TAG_CLIENT);
	loop_defer_parked(l->base.args.loop, &l->more);
}
