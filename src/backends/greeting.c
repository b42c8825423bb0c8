/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/greeting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/stream.h"

enum state {
	SHAKING, /* flights come and go */
	LEAVING, /* it is over; the last flight, or an alert, goes out */
	CLOSING,
};

struct greeting {
	struct greeting_args args;
	struct stream stream;
	struct scope timer_scope;
	struct timer deadline;
	struct tls *tls;
	enum state state;
	char why[TLS_WHY_MAX]; /* "": no reason to end */
};

static struct greeting *from_stream(struct stream *s)
{
	return container_of(s, struct greeting, stream);
}

static void timer_idle(struct scope *scope)
{
	struct greeting *g = container_of(scope, struct greeting, timer_scope);
	struct tls *tls = g->why[0] ? NULL : g->tls;

	g->args.done(g->args.arg, tls, g->why);
	if (!tls)
		tls_free(g->tls);
	free(g);
}

static void closed(struct stream *s)
{
	scope_cancel(&from_stream(s)->timer_scope, timer_idle);
}

static void end(struct greeting *g)
{
	if (g->state == CLOSING)
		return;
	g->state = CLOSING;
	stream_close(&g->stream, closed);
}

static void set_why(struct greeting *g, const char *why)
{
	if (!g->why[0])
		snprintf(g->why, sizeof(g->why), "%s", why);
}

void greeting_drop(struct greeting *g, const char *why)
{
	set_why(g, why);
	end(g);
}

bool greeting_failed(const struct greeting *g)
{
	return g->why[0] != '\0';
}

static void deadline_over(struct op *op, int res)
{
	struct greeting *g = container_of(op, struct greeting, deadline.op);
	char why[TLS_WHY_MAX];

	if (res != -ETIME || g->state == CLOSING)
		return;
	snprintf(why, sizeof(why),
		 "the handshake was not over after %" PRIu64 " ms; does it speak TLS?",
		 g->args.timeout_ms);
	greeting_drop(g, why);
}

static void go_on(struct greeting *g)
{
	int err = tls_handshake(g->tls);

	if (err == -EPROTO)
		set_why(g, tls_why(g->tls));
	if (err != -EAGAIN)
		g->state = LEAVING;
}

/* The stream */

static size_t input_space(struct stream *s, void **ret_buf)
{
	struct greeting *g = from_stream(s);

	/* What comes after the handshake is the client's to read. */
	return g->state == SHAKING ? tls_space(g->tls, ret_buf) : 0;
}

static void input(struct stream *s, size_t len)
{
	struct greeting *g = from_stream(s);

	tls_came(g->tls, len);
	if (g->state != SHAKING)
		return; /* a read that was taken back had some: the client finds it */
	go_on(g);
	stream_write(s);
}

static void input_ended(struct stream *s, int err)
{
	struct greeting *g = from_stream(s);

	if (g->state == SHAKING)
		greeting_drop(g, err < 0 ? strerror(-err)
					 : "it closed the connection in its TLS handshake");
}

static size_t output(struct stream *s, void *buf, size_t cap)
{
	struct greeting *g = from_stream(s);

	/* A flight may be larger than what is kept of it at once. */
	if (g->state == SHAKING && tls_unsent(g->tls) == 0) {
		go_on(g);
		stream_read(s);
	}
	return tls_take(g->tls, buf, cap);
}

static void output_failed(struct stream *s, int err)
{
	greeting_drop(from_stream(s), strerror(-err));
}

static void drained(struct stream *s)
{
	struct greeting *g = from_stream(s);

	if (g->state == LEAVING)
		end(g);
}

static const struct stream_ops stream_ops = {
	.input_space = input_space,
	.input = input,
	.input_ended = input_ended,
	.output = output,
	.output_failed = output_failed,
	.drained = drained,
};

int greeting_new(const struct greeting_args *args, struct greeting **ret_greeting)
{
	struct greeting *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->args = *args;
	err = tls_new(args->creds, &g->tls);
	if (err == 0)
		err = stream_init(&g->stream, args->loop, args->fd, args->fd, &stream_ops);
	if (err < 0) {
		tls_free(g->tls);
		free(g);
		return err;
	}
	scope_init(&g->timer_scope, args->loop);
	timer_init(&g->deadline, &g->timer_scope, deadline_over);
	timer_arm(&g->deadline, args->timeout_ms * UINT64_C(1000000));
	*ret_greeting = g;
	stream_write(&g->stream); /* one who connects speaks first */
	stream_read(&g->stream);
	return 0;
}
