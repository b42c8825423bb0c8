/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

static bool closing(const struct stream *s)
{
	return scope_cancelling(&s->scope);
}

static void read_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, rd);
	bool polled = s->rd_polling;

	s->rd_polling = false;
	if (res > 0 && !polled)
		s->ops->input(s, (size_t)res); /* a cancelled read may have got bytes: they count */
	if (closing(s))
		return;
	if (polled || res > 0 || res == -ECANCELED || res == -EINTR) {
		stream_read(s);
	} else if (res == -EAGAIN) {
		s->rd_polling = true;
		op_poll(&s->rd, s->in_fd, POLLIN);
	} else {
		s->input_over = true;
		s->ops->input_ended(s, res);
	}
}

void stream_read(struct stream *s)
{
	void *buf;
	size_t len;

	if (s->in_fd < 0 || s->input_over || s->input_paused || op_armed(&s->rd) || closing(s))
		return;
	len = s->ops->input_space(s, &buf);
	if (len > 0 && !closing(s))
		op_read(&s->rd, s->in_fd, buf, len);
}

void stream_pause(struct stream *s)
{
	s->input_paused = true;
	op_cancel(&s->rd);
}

void stream_resume(struct stream *s)
{
	s->input_paused = false;
	s->input_over = false;
	stream_read(s);
}

static void write_chunk(struct stream *s)
{
	op_write(&s->wr, s->out_fd, s->out + s->out_done, s->out_len - s->out_done);
}

static void write_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, wr);
	bool polled = s->wr_polling;

	s->wr_polling = false;
	if (res > 0 && !polled)
		s->out_done += (size_t)res; /* a cancelled write may have written some, too */
	if (closing(s))
		return;
	if (!polled && res == -EAGAIN) {
		s->wr_polling = true;
		op_poll(&s->wr, s->out_fd, POLLOUT);
	} else if (!polled && res < 0 && res != -EINTR) {
		s->output_over = true;
		s->ops->output_failed(s, res);
	} else if (s->out_done < s->out_len) {
		write_chunk(s);
	} else {
		stream_write(s);
	}
}

/* Reading a port can make room for a guest that has more: it comes back here meanwhile. */
static void fill(struct stream *s)
{
	s->filling = true;
	s->out_done = 0;
	do {
		s->refill = false;
		s->out_len = s->ops->output(s, s->out, STREAM_OUT_SIZE);
	} while (s->out_len == 0 && s->refill && !closing(s));
	s->filling = false;
}

void stream_write(struct stream *s)
{
	s->refill = true;
	if (s->output_over || op_armed(&s->wr) || closing(s) || s->filling)
		return;
	fill(s);
	if (closing(s))
		return;
	if (s->out_len > 0)
		write_chunk(s);
	else
		s->ops->drained(s);
}

static void scope_is_idle(struct scope *scope)
{
	struct stream *s = container_of(scope, struct stream, scope);

	free(s->out);
	s->out = NULL;
	s->closed(s);
}

void stream_close(struct stream *s, void (*closed)(struct stream *s))
{
	s->closed = closed;
	scope_cancel(&s->scope, scope_is_idle);
}

int stream_init(struct stream *s, struct loop *loop, int in_fd, int out_fd,
		const struct stream_ops *ops)
{
	*s = (struct stream){ .ops = ops, .in_fd = in_fd, .out_fd = out_fd };
	s->out = malloc(STREAM_OUT_SIZE);
	if (!s->out)
		return -ENOMEM;
	s->output_over = out_fd < 0;
	scope_init(&s->scope, loop);
	op_init(&s->rd, &s->scope, read_done);
	op_init(&s->wr, &s->scope, write_done);
	return 0;
}
