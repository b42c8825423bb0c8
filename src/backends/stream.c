/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	NOW_VECTORS = 1024, /* the kernel takes no more */
	REST_NS = 10 * 1000 * 1000,
	BULK_MIN = 4096,    /* bytes; with fewer, it is a person who types */
	NAP_MIN = 16384,    /* bytes; with as many, the peer goes on sending */
	NAP_NS = 60 * 1000, /* in which it sends about as much as a call is worth */
};

static bool closing(const struct stream *s)
{
	return scope_cancelling(&s->scope);
}

/* Nothing is being read or waited for, and may be. */
static bool may_read(const struct stream *s)
{
	return s->in_fd >= 0 && !s->input_over && !s->input_paused && !op_armed(&s->rd) &&
	       !op_armed(&s->nap.op) && !closing(s);
}

static void nap_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, nap.op);

	(void)res;
	loop_nap_over(s->scope.loop);
	if (!may_read(s))
		return;
	if (s->bulk)
		s->ops->readable(s);
	else
		stream_read(s);
}

/* A peer in full flow need not wake us for every piece. */
static void nap(struct stream *s)
{
	loop_nap(s->scope.loop);
	timer_arm(&s->nap, NAP_NS);
}

bool stream_writing(const struct stream *s)
{
	return op_armed(&s->wr) || op_armed(&s->rest.op);
}

static void read_on(struct stream *s, int res)
{
	bool polled = s->rd_polling;

	s->rd_polling = false;
	if (s->recorded && polled && res > 0 && !closing(s) && !s->input_paused) {
		res = (int)s->ops->recorded_read(s);
		polled = false;
	}
	/* What comes with the end is read, so that the end is seen. */
	s->bulk &= polled && res == POLLIN;
	if (s->bulk && !closing(s) && !s->input_paused) {
		s->ops->readable(s);
		return;
	}
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

static void read_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, rd);

	read_on(s, res);
	if (!s->halting || op_armed(&s->rd))
		return;
	s->halting = false;
	if (!closing(s))
		s->ops->halted(s);
}

void stream_read(struct stream *s)
{
	void *buf;
	size_t len;

	if (!may_read(s))
		return;
	len = s->ops->input_space(s, &buf);
	if (len == 0 || !may_read(s))
		return;
	if (!s->bulk && !s->recorded) {
		op_read(&s->rd, s->in_fd, buf, len);
		return;
	}
	s->rd_polling = true;
	op_poll(&s->rd, s->in_fd, POLLIN);
}

bool stream_halt(struct stream *s)
{
	if (op_armed(&s->nap.op))
		op_cancel(&s->nap.op);
	s->halting = op_armed(&s->rd);
	if (s->halting)
		op_cancel(&s->rd);
	return !s->halting;
}

void stream_pause(struct stream *s)
{
	s->input_paused = true;
	op_cancel(&s->rd);
	op_cancel(&s->nap.op);
}

void stream_resume(struct stream *s)
{
	s->input_paused = false;
	s->input_over = false;
	stream_read(s);
}

void stream_end_input(struct stream *s)
{
	s->input_over = true;
	op_cancel(&s->rd);
}

static void write_chunk(struct stream *s)
{
	if (s->recorded) {
		s->wr_polling = true;
		op_poll(&s->wr, s->out_fd, POLLOUT);
		return;
	}
	op_write(&s->wr, s->out_fd, s->out + s->out_done, s->out_len - s->out_done);
}

static void rest_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, rest.op);

	(void)res;
	if (!closing(s))
		write_chunk(s);
}

static void write_done(struct op *op, int res)
{
	struct stream *s = container_of(op, struct stream, wr);
	bool polled = s->wr_polling;

	s->wr_polling = false;
	/* A poll always tells this too, so it is no way to wait for room any more. */
	s->half_closed |= polled && res == POLLRDHUP;
	if (s->recorded && polled && res > 0 && !closing(s)) {
		res = (int)s->ops->recorded_write(s, s->out + s->out_done,
						  s->out_len - s->out_done);
		polled = false;
	}
	if (res > 0 && !polled)
		s->out_done += (size_t)res; /* a cancelled write may have written some, too */
	if (closing(s))
		return;
	if (!polled && res == -EAGAIN && s->half_closed) {
		timer_arm(&s->rest, REST_NS);
	} else if (!polled && res == -EAGAIN) {
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

/* A buffer that was filled may be too small; it is empty now. */
static void grow(struct stream *s)
{
	uint8_t *out;

	if (s->out_len < s->out_size || s->out_size == STREAM_OUT_SIZE)
		return;
	out = malloc(4 * s->out_size);
	if (!out)
		return; /* it will do */
	free(s->out);
	s->out = out;
	s->out_size *= 4;
}

/* Reading a port can make room for a guest that has more: it comes back here meanwhile. */
static void fill(struct stream *s)
{
	grow(s);
	s->filling = true;
	s->out_done = 0;
	do {
		s->refill = false;
		s->out_len = s->ops->output(s, s->out, s->out_size);
	} while (s->out_len == 0 && s->refill && !closing(s));
	s->filling = false;
}

void stream_write(struct stream *s)
{
	s->refill = true;
	if (s->output_over || stream_writing(s) || closing(s) || s->filling)
		return;
	fill(s);
	if (closing(s))
		return;
	if (s->out_len > 0)
		write_chunk(s);
	else
		s->ops->drained(s);
}

/* At once, past the stream's own buffer. */

/* seccomp: getsockopt */
bool stream_is_socket(const struct stream *s)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return s->in_fd == s->out_fd && s->in_fd >= 0 &&
	       getsockopt(s->in_fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static size_t iov_bytes(const struct iovec *iov, unsigned int n)
{
	size_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += iov[i].iov_len;
	return total;
}

static struct msghdr now_msg(const struct iovec *iov, unsigned int n)
{
	return (struct msghdr){
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = min_size(n, NOW_VECTORS),
	};
}

size_t stream_write_now(struct stream *s, const struct iovec *iov, unsigned int n)
{
	struct msghdr msg = now_msg(iov, n);
	int res;

	if (s->half_closed || s->output_over || stream_writing(s) || closing(s) || s->filling)
		return 0;
	res = loop_sendmsg_now(s->scope.loop, s->out_fd, &msg);
	if (res == -EFAULT)
		return 0; /* not the peer's fault: whoever reads those bytes finds out */
	if (res < 0 && res != -EAGAIN && res != -EINTR) {
		s->output_over = true;
		s->ops->output_failed(s, res);
	} else if (res < 0 || (size_t)res < iov_bytes(iov, n)) {
		s->out_len = s->out_done = 0;
		s->wr_polling = true;
		op_poll(&s->wr, s->out_fd, POLLOUT);
	}
	return res > 0 ? (size_t)res : 0;
}

size_t stream_read_now(struct stream *s, const struct iovec *iov, unsigned int n)
{
	struct msghdr msg = now_msg(iov, n);
	size_t wanted = iov_bytes(iov, (unsigned int)msg.msg_iovlen);
	int res;

	if (!may_read(s))
		return 0;
	res = loop_recvmsg_now(s->scope.loop, s->in_fd, &msg);
	s->bulk = res == -EAGAIN || res >= BULK_MIN;
	if (res < 0 && res != -EAGAIN && res != -EINTR && res != -EFAULT) {
		s->input_over = true; /* the kernel says it once */
		s->ops->input_ended(s, res);
		return 0;
	}
	if (res >= NAP_MIN && (size_t)res < wanted)
		nap(s);
	else if (res <= 0 || (size_t)res < wanted)
		stream_read(s);
	return res > 0 ? (size_t)res : 0;
}

/* Another process. */

enum { TAG_FLAGS = 1, TAG_OUT };
enum { FLAG_INPUT_OVER, FLAG_OUTPUT_OVER, FLAG_HALF_CLOSED, FLAG_INPUT_PAUSED, N_FLAGS };

void stream_save(const struct stream *s, struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	state_put_number(&out->state, TAG_FLAGS,
			 (uint64_t)s->input_over << FLAG_INPUT_OVER |
				 (uint64_t)s->output_over << FLAG_OUTPUT_OVER |
				 (uint64_t)s->half_closed << FLAG_HALF_CLOSED |
				 (uint64_t)s->input_paused << FLAG_INPUT_PAUSED);
	state_put_bytes(&out->state, TAG_OUT, s->out + s->out_done, s->out_len - s->out_done);
	state_end(&out->state);
}

/* A buffer that is large enough for what was on its way. */
static bool load_output(struct stream *s, const uint8_t *bytes, size_t len)
{
	if (len > s->out_size) {
		uint8_t *out = malloc(STREAM_OUT_SIZE);

		if (!out)
			return false;
		free(s->out);
		s->out = out;
		s->out_size = STREAM_OUT_SIZE;
	}
	if (len > 0)
		memcpy(s->out, bytes, len);
	s->out_len = len;
	s->out_done = 0;
	return true;
}

void stream_load(struct stream *s, struct handover_in *in, unsigned int tag)
{
	const uint8_t *bytes;
	uint64_t flags;
	size_t len;

	if (!state_enter(&in->state, tag, "stream"))
		return;
	flags = state_take_number(&in->state, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	s->input_over = flags & BIT(FLAG_INPUT_OVER);
	s->output_over = flags & BIT(FLAG_OUTPUT_OVER);
	s->half_closed = flags & BIT(FLAG_HALF_CLOSED);
	s->input_paused = flags & BIT(FLAG_INPUT_PAUSED);
	len = state_take_bytes(&in->state, TAG_OUT, "output", STREAM_OUT_SIZE, &bytes);
	if (!load_output(s, bytes, len))
		state_fail(&in->state, "no memory");
	state_leave(&in->state);
	if (!in->state.failed && len > 0 && !s->output_over)
		write_chunk(s);
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
	s->out_size = STREAM_OUT_MIN;
	s->out = malloc(s->out_size);
	if (!s->out)
		return -ENOMEM;
	s->output_over = out_fd < 0;
	scope_init(&s->scope, loop);
	op_init(&s->rd, &s->scope, read_done);
	op_init(&s->wr, &s->scope, write_done);
	timer_init(&s->rest, &s->scope, rest_done);
	timer_init(&s->nap, &s->scope, nap_done);
	return 0;
}
