/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A log: a client that only listens, and does not make the host side open. It
 * writes what it has got before it reads more, so a crash loses no more than
 * the write in flight. When writing fails, output goes on being read and is
 * counted: a full disk never holds the guest up.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/log-file-private.h"
#include "log.h"

static struct log_file *to_log(struct attachment *a)
{
	return container_of(a, struct log_file, base);
}

static struct log_file *from_client(struct port_client *c)
{
	return container_of(c, struct log_file, client);
}

/* seccomp: clock_gettime */
static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Events */

int log_file_add_event(struct log_file *l, uint64_t pos, uint64_t ms, bool typed, const void *text,
		       size_t len)
{
	struct event *e = malloc(sizeof(*e) + len + 1);

	if (!e)
		return -ENOMEM;
	*e = (struct event){ .pos = pos, .ms = ms, .typed = typed };
	e->len = len;
	if (len > 0)
		memcpy(e->text, text, len);
	e->text[len] = '\0';
	l->events_len += len;
	list_append(&l->events, &e->link);
	return 0;
}

static void push_event(struct log_file *l, uint64_t ms, bool typed, const char *text, size_t len)
{
	if (l->events_len + len > EVENTS_MAX ||
	    log_file_add_event(l, l->client.port->out.head, ms, typed, text, len) < 0)
		l->n_lost += len;
}

static void drop_event(struct log_file *l, struct event *e)
{
	list_remove(&e->link);
	l->events_len -= e->len;
	free(e);
}

static void end_typed_line(struct log_file *l)
{
	push_event(l, l->typed_ms, true, l->typed, l->n_typed);
	l->n_typed = 0;
}

static void add_typed(struct log_file *l, char key)
{
	bool after_cr = l->typed_cr;

	l->typed_cr = key == '\r';
	if (key == '\n' && after_cr)
		return;
	if (l->n_typed == 0)
		l->typed_ms = now_ms();
	if (key == '\r' || key == '\n') {
		end_typed_line(l);
		return;
	}
	l->typed[l->n_typed++] = key;
	if (l->n_typed == sizeof(l->typed))
		end_typed_line(l);
}

/* Text: events and output, in the order in which they came. */

static void read_output(struct log_file *l)
{
	size_t n = 0;

	l->reading = true;
	do {
		l->again = false;
		n = port_read(&l->client, l->raw, sizeof(l->raw));
	} while (n == 0 && l->again);
	l->reading = false;
	l->n_lost += l->client.n_lost - l->n_lost_seen;
	l->n_lost_seen = l->client.n_lost;
	l->raw_at = 0;
	l->raw_len = n;
	l->raw_pos = l->client.pos - n;
}

static void put_event(struct log_file *l, struct event *e)
{
	char *out = l->text + l->text_len;

	if (e->typed)
		l->text_len += log_text_input(&l->format, e->ms, e->text, e->len, out);
	else
		l->text_len += log_text_line(&l->format, e->ms, e->text, out);
	drop_event(l, e);
}

static void put_loss(struct log_file *l)
{
	char line[64];

	snprintf(line, sizeof(line), "[%" PRIu64 " bytes lost]", l->n_lost);
	l->n_marked = l->n_lost;
	l->n_lost = 0;
	l->text_len += log_text_line(&l->format, now_ms(), line, l->text + l->text_len);
	l->marker_len = l->text_len;
}

/* Puts output up to the event, or the end of raw; false when there is no room for more. */
static bool put_output(struct log_file *l, const struct event *next)
{
	size_t len = l->raw_len, written, used;

	if (next && next->pos < l->raw_pos + len)
		len = (size_t)(next->pos - l->raw_pos);
	used = log_text_output(&l->format, now_ms(), l->raw + l->raw_at, len, l->text + l->text_len,
			       sizeof(l->text) - l->text_len, &written);
	l->text_len += written;
	l->raw_at += used;
	l->raw_len -= used;
	l->raw_pos += used;
	return used == len;
}

static struct event *first_event(struct log_file *l)
{
	return list_empty(&l->events) ? NULL : list_first(&l->events, struct event, link);
}

static bool event_is_due(const struct log_file *l, const struct event *e)
{
	if (!e)
		return false;
	if (l->record == RECORD_INPUT)
		return true;
	return e->pos <= (l->raw_len > 0 ? l->raw_pos : l->client.pos);
}

/* With the next text, and once at the end; by itself it would be tried for ever. */
static bool tells_loss(struct log_file *l)
{
	bool at_end = l->closing && !l->told_at_end;

	if (l->n_lost == 0)
		return false;
	if (at_end)
		l->told_at_end = true;
	return at_end || l->raw_len > 0 || event_is_due(l, first_event(l));
}

/* One read of the port at most, and what is left of the one before. */
static void fill_text(struct log_file *l)
{
	l->text_at = 0;
	l->text_len = 0;
	l->marker_len = 0;
	l->n_marked = 0;
	l->inside_before = l->format.inside_line;
	if (l->raw_len == 0 && l->joined && l->record != RECORD_INPUT)
		read_output(l);
	if (tells_loss(l))
		put_loss(l);
	while (sizeof(l->text) - l->text_len >= LOG_TEXT_LINE_MAX) {
		struct event *e = first_event(l);

		if (event_is_due(l, e))
			put_event(l, e);
		else if (l->raw_len == 0 || !put_output(l, e))
			break;
	}
}

/* Writing */

static void scope_is_idle(struct scope *scope)
{
	struct log_file *l = container_of(scope, struct log_file, files.file.scope);

	task_cancel(&l->more);
	if (l->joined)
		port_leave(&l->client);
	while (!list_empty(&l->events))
		drop_event(l, first_event(l));
	log_files_close(&l->files);
	attachment_end(&l->base);
}

static void let_go(struct log_file *l)
{
	if (l->gone)
		return;
	l->gone = true;
	scope_cancel(&l->files.file.scope, scope_is_idle);
}

/* What could not be written is counted, the lines that told of a loss as that loss. */
static void lose_text(struct log_file *l, size_t n_written)
{
	size_t kept = n_written > l->marker_len ? n_written : l->marker_len;

	if (n_written < l->marker_len)
		l->n_lost += l->n_marked;
	l->n_lost += l->text_len - kept;
	l->format.inside_line = n_written > 0 ? l->text[n_written - 1] != '\n' : l->inside_before;
	l->text_at = 0;
	l->text_len = 0;
}

static void open_anew(struct log_file *l)
{
	char why[256];

	l->wants_reopen = false;
	if (log_files_reopen(&l->files, why, sizeof(why)) < 0)
		attachment_log(&l->base, LOG_LEVEL_WARNING, "%s; the old file is written on", why);
}

static void failed(struct log_file *l, int err, size_t n_written)
{
	if (l->files.err == 0)
		attachment_log(&l->base, LOG_LEVEL_WARNING,
			       "cannot write the log %s: %s; what is lost is counted",
			       l->base.args.options->address, strerror(-err));
	l->files.err = err;
	lose_text(l, n_written);
}

static void worked(struct log_file *l)
{
	if (l->files.err == 0)
		return;
	l->files.err = 0;
	attachment_log(&l->base, LOG_LEVEL_INFO, "the log %s is written again",
		       l->base.args.options->address);
}

/* Starts the next piece; false when there is nothing to write. */
static bool write_piece(struct log_file *l)
{
	size_t len;
	int err;

	if (l->text_at == l->text_len)
		fill_text(l);
	if (l->text_len == 0)
		return false;
	err = log_files_make_room(
		&l->files, l->text + l->text_at, l->text_len - l->text_at,
		l->text_at > 0 ? l->text[l->text_at - 1] != '\n' : l->inside_before, &len);
	if (err < 0)
		failed(l, err, l->text_at);
	else
		outfile_write(&l->files.file, l->text + l->text_at, len);
	return true;
}

static void write_more(struct log_file *l)
{
	l->again = true;
	if (l->reading || l->gone || outfile_busy(&l->files.file))
		return;
	if (!write_piece(l)) {
		if (l->closing)
			let_go(l);
	} else if (!outfile_busy(&l->files.file)) {
		/* It failed at once. The guest's next output must not keep the loop here. */
		loop_defer(l->base.args.loop, &l->more);
	}
}

static void more_run(struct task *task)
{
	write_more(container_of(task, struct log_file, more));
}

static void written(struct outfile *file, int err)
{
	struct log_file *l = container_of(file, struct log_file, files.file);

	if (err < 0 && err != -ECANCELED) {
		failed(l, err, l->text_at + file->done);
	} else {
		l->text_at += file->done;
		worked(l);
	}
	if (l->wants_reopen)
		open_anew(l);
	write_more(l);
}

/* The port's side */

static void output_ready(struct port_client *c)
{
	struct log_file *l = from_client(c);

	if (l->record != RECORD_INPUT)
		write_more(l);
}

static void guest_changed(struct port_client *c)
{
	struct log_file *l = from_client(c);
	char when[LOG_TEXT_TIME_MAX], line[96];
	bool dated = l->base.args.options->timestamps; /* as every line is */
	uint64_t ms = now_ms();
	int len;

	if (c->port->present == l->present)
		return;
	l->present = c->port->present;
	if (l->n_typed > 0)
		end_typed_line(l);
	log_text_time(ms, when);
	len = snprintf(line, sizeof(line), "--- front-end %s%s%s ---",
		       l->present ? "connected" : "disconnected", dated ? "" : " ",
		       dated ? "" : when);
	push_event(l, ms, false, line, (size_t)len);
	write_more(l);
}

static void input_seen(struct port_client *c, const void *data, size_t len)
{
	struct log_file *l = from_client(c);
	const char *keys = data;

	for (size_t i = 0; i < len; i++)
		add_typed(l, keys[i]);
	write_more(l);
}

static void disconnect(struct port_client *c, const char *why)
{
	struct log_file *l = from_client(c);

	if (l->closing)
		return;
	attachment_log(&l->base, LOG_LEVEL_INFO, "the log %s pauses until it is opened anew: %s",
		       l->base.args.options->address, why);
	if (l->n_typed > 0)
		end_typed_line(l);
	l->joined = false;
	port_leave(c);
}

/* Input is not seen at all unless it was asked for. */
static const struct port_client_ops output_ops = {
	.output_ready = output_ready,
	.guest_changed = guest_changed,
	.disconnect = disconnect,
};

static const struct port_client_ops input_ops = {
	.output_ready = output_ready,
	.guest_changed = guest_changed,
	.input_seen = input_seen,
	.disconnect = disconnect,
};

const struct port_client_ops *log_file_client_ops(const struct log_file *l)
{
	return l->record == RECORD_OUTPUT ? &output_ops : &input_ops;
}

static void join(struct log_file *l)
{
	struct port *port = l->base.args.port;
	char what[PATH_SHOWN_MAX + 8];
	/* What came before is in the file already, or was not to be. */
	const struct port_client_options options = {
		.passive = true,
		.holds = l->record != RECORD_INPUT,
		.what = what,
	};

	snprintf(what, sizeof(what), "log %.*s", PATH_SHOWN_MAX, l->base.args.options->address);
	l->joined = true;
	l->present = port->present;
	l->n_lost_seen = 0;
	port_join(port, &l->client, log_file_client_ops(l), &options);
}

static int log_open(const struct attachment_args *args, struct attachment **ret_attachment,
		    char *ret_why, size_t why_cap)
{
	const struct attachment_options *o = args->options;
	struct log_file *l = calloc(1, sizeof(*l));
	int err;

	if (!l) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	l->base.ops = &attachment_log_file;
	l->base.args = *args;
	l->record = (enum log_record)o->record;
	l->format =
		(struct log_text){ .timestamps = o->timestamps, .marks = l->record == RECORD_BOTH };
	list_init(&l->events);
	task_init(&l->more, more_run);
	outfile_init(&l->files.file, args->loop, written);
	*ret_attachment = &l->base;
	if (args->from) {
		log_file_load(l, args->from);
		return 0;
	}
	err = log_files_open(&l->files, o, ret_why, why_cap);
	if (err < 0) {
		free(l);
		return err;
	}
	l->format.inside_line = l->files.inside_line;
	join(l);
	return 0;
}

static void log_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct log_file *l = container_of(a, const struct log_file, base);

	snprintf(buf, cap, "log %s%s%s%s", a->args.options->address, l->joined ? "" : ", paused",
		 l->files.err ? ", failing: " : "", l->files.err ? strerror(-l->files.err) : "");
}

static void log_close(struct attachment *a)
{
	struct log_file *l = to_log(a);

	l->closing = true;
	l->wants_reopen = false;
	if (l->n_typed > 0)
		end_typed_line(l);
	if (l->hurried)
		let_go(l);
	else
		write_more(l);
}

static void log_hurry(struct attachment *a)
{
	struct log_file *l = to_log(a);

	l->hurried = true;
	if (l->closing)
		let_go(l);
}

static void log_reopen(struct attachment *a)
{
	struct log_file *l = to_log(a);

	if (l->closing)
		return;
	if (outfile_busy(&l->files.file)) {
		l->wants_reopen = true;
		outfile_interrupt(&l->files.file);
	} else {
		open_anew(l);
	}
	if (!l->joined)
		join(l);
}

const struct attachment_ops attachment_log_file = {
	.open = log_open,
	.describe = log_describe,
	.close = log_close,
	.hurry = log_hurry,
	.save = log_file_save,
	.reopen = log_reopen,
};
