/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-state.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "vhu/backend.h"
#include "vhu/codec.h"

enum {
	DIRECTION_LOAD = 1,
	READ_MIN = 64 * 1024,
	WHY_MAX = 256,
};

enum phase {
	IDLE,	  /* none has begun */
	FREEZING, /* save: what the host side has under way is waited for */
	MOVING,	  /* bytes go or come */
	GOOD,	  /* all of it went, or came and was taken */
	FAILED,
};

struct vhu_state {
	struct vhu_backend *b;
	struct scope scope;
	struct op op;
	struct op hang_up; /* of the front-end, which is not read from while it waits */
	enum phase phase;
	bool loads;
	bool polling; /* the op waits for readiness */
	bool awaited; /* CHECK_DEVICE_STATE waits for the outcome */
	bool told;    /* CHECK_DEVICE_STATE was answered with success */
	int fd;	      /* -1: none */
	uint8_t *buf;
	size_t len, done, cap; /* len: bytes there are; done: written of them */
};

static void free_bytes(struct vhu_state *t)
{
	free(t->buf);
	t->buf = NULL;
	t->len = t->done = t->cap = 0;
	t->fd = fd_close(t->fd);
}

/* The descriptor is closed first: its end tells the front-end as much as the answer does. */
static void finish(struct vhu_state *t, enum phase phase)
{
	struct vhu_backend *b = t->b;

	free_bytes(t);
	t->phase = phase;
	if (phase == FAILED && !t->loads)
		b->dev->ops->thaw(b->dev, false);
	if (!t->awaited)
		return;
	t->awaited = false;
	vhu_backend_act(b);
}

PRINTF_LIKE(2, 3)
static void fail(struct vhu_state *t, const char *fmt, ...)
{
	char why[WHY_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	vhu_backend_warn(t->b, t->b->who, "the device's state was not %s: %s",
			 t->loads ? "loaded" : "saved", why);
	finish(t, FAILED);
}

/* Moving bytes */

static void write_on(struct vhu_state *t)
{
	op_write(&t->op, t->fd, t->buf + t->done, t->len - t->done);
}

static void written(struct vhu_state *t, int res)
{
	if (res < 0) {
		fail(t, "cannot write it: %s", strerror(-res));
		return;
	}
	t->done += (size_t)res;
	if (t->done < t->len) {
		write_on(t);
		return;
	}
	log_debug(t->b->who, "state saved: %zu bytes", t->len);
	finish(t, GOOD);
}

/* One byte more than the limit is read, as the sign of too many. */
static bool make_room(struct vhu_state *t)
{
	size_t cap = t->cap < READ_MIN ? READ_MIN : 2 * t->cap;
	uint8_t *buf;

	if (t->len < t->cap)
		return true;
	cap = min_size(cap, VHU_STATE_MAX + 1);
	buf = realloc(t->buf, cap);
	if (!buf)
		return false;
	t->buf = buf;
	t->cap = cap;
	return true;
}

static void read_on(struct vhu_state *t)
{
	if (t->len > VHU_STATE_MAX)
		fail(t, "it is too long: expected %d bytes at most", VHU_STATE_MAX);
	else if (!make_room(t))
		fail(t, "no memory for more than %zu bytes", t->len);
	else
		op_read(&t->op, t->fd, t->buf + t->len, t->cap - t->len);
}

static void take(struct vhu_state *t)
{
	struct vhu_backend *b = t->b;
	char why[WHY_MAX] = "";

	if (b->dev->ops->load(b->dev, t->buf, t->len, why, sizeof(why)) < 0) {
		fail(t, "%s", why);
		return;
	}
	log_debug(b->who, "state loaded: %zu bytes", t->len);
	finish(t, GOOD);
}

static void have_read(struct vhu_state *t, int res)
{
	if (res < 0) {
		fail(t, "cannot read it: %s", strerror(-res));
	} else if (res == 0) {
		take(t);
	} else {
		t->len += (size_t)res;
		read_on(t);
	}
}

static void go_on(struct vhu_state *t)
{
	if (t->loads)
		read_on(t);
	else
		write_on(t);
}

static void moved_some(struct op *op, int res)
{
	struct vhu_state *t = container_of(op, struct vhu_state, op);
	bool polled = t->polling;

	t->polling = false;
	if (t->phase != MOVING || t->b->closing) {
		free_bytes(t); /* it was given up meanwhile */
	} else if (!polled && res == -EAGAIN) {
		t->polling = true;
		op_poll(op, t->fd, t->loads ? POLLIN : POLLOUT);
	} else if (polled || res == -EINTR || res == -ECANCELED) {
		go_on(t);
	} else if (t->loads) {
		have_read(t, res);
	} else {
		written(t, res);
	}
}

/* The device stands still. */
static void frozen(void *carrier)
{
	struct vhu_backend *b = carrier;
	struct vhu_state *t = b->state;
	struct state_writer w;
	int err;

	if (b->closing || t->phase != FREEZING)
		return;
	err = b->dev->ops->save(b->dev, &w);
	if (err < 0) {
		state_writer_fini(&w);
		fail(t, "%s", strerror(-err));
		return;
	}
	t->buf = w.buf;
	t->len = t->cap = w.len;
	t->phase = MOVING;
	write_on(t);
}

/* Messages */

static void hung_up(struct op *op, int res)
{
	struct vhu_state *t = container_of(op, struct vhu_state, hang_up);

	if (res > 0 && t->awaited)
		vhu_backend_close(t->b, LOG_LEVEL_INFO,
				  "the front-end is gone, and has not waited for the state");
}

/* The session's one; made when it is first needed. NULL without memory. */
static struct vhu_state *state_of(struct vhu_backend *b)
{
	struct vhu_state *t = b->state;

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->b = b;
	t->fd = -1;
	scope_init(&t->scope, b->loop);
	op_init(&t->op, &t->scope, moved_some);
	t->op.apart = true; /* whatever it is */
	op_init(&t->hang_up, &t->scope, hung_up);
	b->state = t;
	b->dev->frozen = frozen;
	return t;
}

static bool suspended(const struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].started)
			return false;
	return true;
}

/* Why a transfer cannot begin now, or NULL. */
static const char *obstacle(const struct vhu_backend *b)
{
	const struct vhu_state *t = b->state;

	if (!suspended(b))
		return "a ring runs: expected all to be stopped (VU-199)";
	if (t && (t->phase == FREEZING || t->phase == MOVING || op_armed(&t->op)))
		return "another transfer is under way: expected CHECK_DEVICE_STATE first";
	return NULL;
}

static void begin(struct vhu_state *t, bool loads, int fd)
{
	struct vhu_backend *b = t->b;

	t->loads = loads;
	t->told = false;
	t->fd = fd;
	if (loads) {
		t->phase = MOVING;
		read_on(t);
	} else {
		t->phase = FREEZING;
		b->dev->ops->freeze(b->dev);
	}
}

/* Values were checked. The state goes over the front-end's own descriptor: none is given back. */
enum vhu_outcome vhu_on_SET_DEVICE_STATE_FD(struct vhu_backend *b, struct vhu_msg *msg,
					    struct vhu_msg *reply)
{
	const char *why = obstacle(b);
	struct vhu_state *t = why ? NULL : state_of(b);
	struct vhu_device_state wanted;

	vhu_msg_get(msg, &wanted, sizeof(wanted));
	if (!t) {
		vhu_backend_refuse(b, "the device's state cannot be moved: %s",
				   why ? why : "no memory");
		vhu_msg_put_u64(reply, VHU_DEVICE_STATE_NOFD | VHU_STATE_FAILED);
		return VHU_DONE;
	}
	begin(t, wanted.direction == DIRECTION_LOAD, fdset_take(&msg->fds, 0));
	vhu_msg_put_u64(reply, VHU_DEVICE_STATE_NOFD);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_CHECK_DEVICE_STATE(struct vhu_backend *b, struct vhu_msg *msg,
					   struct vhu_msg *reply)
{
	struct vhu_state *t = b->state;

	(void)msg;
	if (t && (t->phase == FREEZING || t->phase == MOVING)) {
		t->awaited = true;
		if (!op_armed(&t->hang_up))
			op_poll(&t->hang_up, b->conn.fd, POLLRDHUP);
		return VHU_LATER;
	}
	if (t && op_armed(&t->hang_up))
		op_cancel(&t->hang_up);
	if (!t || t->phase == IDLE)
		vhu_backend_refuse(b, "CHECK_DEVICE_STATE: expected SET_DEVICE_STATE_FD before");
	else
		t->told = t->phase == GOOD;
	vhu_msg_put_u64(reply, t && t->phase == GOOD ? 0 : VHU_STATE_FAILED);
	return VHU_DONE;
}

/* Its life */

static void give_up(struct vhu_state *t)
{
	t->phase = FAILED;
	if (op_armed(&t->op))
		op_cancel(&t->op); /* and moved_some() lets go */
	else
		free_bytes(t);
}

bool vhu_state_moves(const struct vhu_backend *b)
{
	return b->state && (b->state->phase == FREEZING || b->state->phase == MOVING);
}

void vhu_state_ring_started(struct vhu_backend *b)
{
	struct vhu_state *t = b->state;

	if (!t)
		return;
	t->told = false;
	if (t->phase != FREEZING && t->phase != MOVING)
		return;
	vhu_backend_warn(b, b->who, "the device's state was not %s: a ring was started meanwhile",
			 t->loads ? "loaded" : "saved");
	give_up(t);
}

void vhu_state_reset(struct vhu_backend *b)
{
	struct vhu_state *t = b->state;

	if (!t)
		return;
	give_up(t);
	t->phase = IDLE;
	t->told = false;
}

static void closed(struct scope *scope)
{
	vhu_backend_part_closed(container_of(scope, struct vhu_state, scope)->b);
}

bool vhu_state_close(struct vhu_backend *b)
{
	if (!b->state)
		return false;
	scope_cancel(&b->state->scope, closed);
	return true;
}

void vhu_state_release(struct vhu_backend *b)
{
	struct vhu_state *t = b->state;

	if (!t)
		return;
	b->dev->frozen = NULL;
	b->dev->ops->thaw(b->dev, !t->loads && t->told);
	scope_fini(&t->scope);
	free_bytes(t);
	free(t);
	b->state = NULL;
}
