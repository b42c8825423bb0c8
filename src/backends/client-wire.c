/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Telnet and TLS between a client's connection and its port. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
	tls_free(c->tls);
}

/* Input: from TLS, through telnet, to the client's buffer. */

static bool answers_pile_up(const struct client *c)
{
	return c->wire && c->wire->out_len > WIRE_SIZE / 2;
}

size_t wire_input_space(struct client *c, void **ret_buf)
{
	if (c->dropped || answers_pile_up(c))
		return 0; /* it does not read our answers: wire_output() reads again */
	if (c->tls)
		return c->stream.input_over ? 0 : tls_space(c->tls, ret_buf);
	*ret_buf = c->wire->raw;
	return sizeof(c->wire->raw);
}

void wire_input(struct client *c, size_t len)
{
	telnet_receive(c->wire->telnet, c->wire->raw, len);
	if (c->wire->out_len > 0)
		stream_write(&c->stream);
}

/* Plain bytes have come, to where telnet or the port takes them. */
static void take_plain(struct client *c, size_t len)
{
	c->n_received += len;
	c->in_len = c->wire ? 0 : len;
	if (c->wire)
		wire_input(c, len);
}

bool wire_decrypt(struct client *c)
{
	ssize_t n;

	if (!c->tls || c->dropped || c->stream.input_over || answers_pile_up(c))
		return false;
	c->in_at = 0;
	n = c->wire ? tls_read(c->tls, c->wire->raw, sizeof(c->wire->raw))
		    : tls_read(c->tls, c->in, CLIENT_INPUT_SIZE);
	if (n > 0) {
		take_plain(c, (size_t)n);
	} else if (n == 0) {
		stream_end_input(&c->stream);
		client_input_ended(c, 0);
	} else if (n != -EAGAIN) {
		client_drop(c, tls_why(c->tls));
	}
	if (tls_unsent(c->tls) > 0)
		stream_write(&c->stream); /* an answer of TLS itself */
	return n > 0 && !c->dropped;
}

/* Output: from the port, through telnet, to TLS. */

static size_t plain_output(struct client *c, void *buf, size_t cap)
{
	struct wire *w = c->wire;
	size_t n;

	if (!w)
		return port_read(&c->member, buf, cap);
	if (w->out_len == 0) {
		n = port_read(&c->member, w->plain, sizeof(w->plain));
		if (n > 0)
			telnet_output(w->telnet, w->plain, n);
	}
	n = min_size(w->out_len, cap);
	memcpy(buf, w->out + w->out_at, n);
	w->out_at += n;
	w->out_len -= n;
	return n;
}

/* One more record, while nothing is unsent. */
static void encrypt(struct client *c)
{
	struct sealed *sealed = &c->sealed;
	uint8_t record[TLS_RECORD_MAX];
	size_t n = plain_output(c, record, sizeof(record));

	if (n > 0 && tls_write(c->tls, record, n) < 0)
		client_drop(c, tls_why(c->tls));
	else if (n == 0 && c->finishing)
		tls_end(c->tls);
	if (n == 0)
		return;
	sealed->item[sealed->n].end = sealed->given + tls_unsent(c->tls);
	sealed->item[sealed->n].plain = n;
	sealed->n++;
}

/* As many records as fit: what of one has not gone out, the peer has no byte of. */
static size_t sealed_output(struct client *c, uint8_t *buf, size_t cap)
{
	struct sealed *sealed = &c->sealed;
	size_t n = 0, more;

	if (tls_unsent(c->tls) == 0)
		*sealed = (struct sealed){ .n = 0 };
	do {
		if (tls_unsent(c->tls) == 0)
			encrypt(c);
		if (c->dropped)
			return 0;
		more = tls_take(c->tls, buf + n, cap - n);
		sealed->given += more;
		n += more;
	} while (more > 0 && sealed->n < SEALED_MAX && tls_unsent(c->tls) == 0 &&
		 cap - n >= TLS_OUT_SIZE);
	return n;
}

size_t wire_output(struct client *c, void *buf, size_t cap)
{
	const size_t n = c->tls ? sealed_output(c, buf, cap) : plain_output(c, buf, cap);

	if (n > 0)
		stream_read(&c->stream); /* it may have stopped for the answers that are gone now */
	return n;
}

uint64_t wire_unwritten(const struct client *c)
{
	const struct sealed *sealed = &c->sealed;
	const size_t unwritten = c->stream.out_len - c->stream.out_done;
	uint64_t n = 0;

	if (!c->tls)
		return unwritten;
	for (unsigned int i = 0; i < sealed->n; i++)
		if (sealed->item[i].end > sealed->given - unwritten)
			n += sealed->item[i].plain;
	return n;
}

/* seccomp: sendto */
void wire_farewell(struct client *c)
{
	uint8_t bytes[TLS_OUT_SIZE];
	size_t len;

	/* Amid a record that waits for room there is no place for another. */
	if (!c->tls || stream_writing(&c->stream) || c->stream.output_over)
		return;
	tls_end(c->tls);
	len = tls_take(c->tls, bytes, sizeof(bytes));
	if (len > 0)
		(void)!send(c->stream.out_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
