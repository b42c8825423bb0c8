/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Telnet between a client's connection and its port. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/client-private.h"

static void telnet_input(void *arg, const void *data, size_t len)
{
	struct client *c = arg;

	/* RAW_SIZE at a time, into an empty buffer that is much larger. */
	assert(len <= CLIENT_INPUT_SIZE - c->in_len);
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
}

static void telnet_send(void *arg, const void *data, size_t len)
{
	struct client *c = arg;
	struct wire *w = c->wire;

	if (w->out_at > 0) {
		memmove(w->out, w->out + w->out_at, w->out_len);
		w->out_at = 0;
	}
	/* A chunk of output into an empty buffer, or the answers to RAW_SIZE bytes into half of it.
	 */
	assert(len <= sizeof(w->out) - w->out_len);
	memcpy(w->out + w->out_len, data, len);
	w->out_len += len;
}

static void telnet_resized(void *arg, uint16_t cols, uint16_t rows)
{
	client_resize(arg, cols, rows);
}

static void telnet_failed(void *arg, const char *why)
{
	client_drop(arg, why);
}

static const struct telnet_ops telnet_ops = {
	.input = telnet_input,
	.send = telnet_send,
	.resized = telnet_resized,
	.failed = telnet_failed,
};

int wire_new(struct client *c)
{
	struct wire *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	c->wire = w;
	err = telnet_new(&telnet_ops, c, &w->telnet); /* sends already */
	if (err < 0) {
		c->wire = NULL;
		free(w);
	}
	return err;
}

void wire_free(struct client *c)
{
	if (c->wire)
		telnet_end(c->wire->telnet);
	free(c->wire);
}

size_t wire_input_space(struct client *c, void **ret_buf)
{
	if (c->wire->out_len > WIRE_SIZE / 2)
		return 0; /* it does not read our answers: wire_output() reads again */
	*ret_buf = c->wire->raw;
	return sizeof(c->wire->raw);
}

void wire_input(struct client *c, size_t len)
{
	telnet_receive(c->wire->telnet, c->wire->raw, len);
	if (c->wire->out_len > 0)
		stream_write(&c->stream);
}

size_t wire_output(struct client *c, void *buf, size_t cap)
{
	struct wire *w = c->wire;
	size_t n;

	if (w->out_len == 0) {
		n = port_read(&c->member, w->plain, sizeof(w->plain));
		if (n > 0)
			telnet_output(w->telnet, w->plain, n);
	}
	n = min_size(w->out_len, cap);
	memcpy(buf, w->out + w->out_at, n);
	w->out_at += n;
	w->out_len -= n;
	if (n > 0)
		stream_read(&c->stream); /* it may have stopped for the answers that are gone now */
	return n;
}
