/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATE_KIND = 'v' | 'c' << 8 | 'o' << 16 | 'n' << 24,
	STATE_VERSION = 1,
};

enum {
	TAG_DRIVER_READY = 1,
	TAG_SINGLE, /* the driver has no control queues */
	TAG_ROWS_FIRST,
	TAG_LIMIT, /* max_nr_ports as the driver read it */
	TAG_NEXT,
	TAG_PORT, /* a group for each number that there is something to say of */
};

enum {
	TAG_PORT_NUMBER = 1,
	TAG_PORT_KNOWN,
	TAG_PORT_READY,
	TAG_PORT_GUEST_OPEN,
	TAG_PORT_TOLD_OPEN,
	TAG_PORT_DRAINING,
	TAG_PORT_TODO,
	TAG_PORT_OUT_DONE,
	TAG_PORT_OUT_BASE,
	TAG_PORT_CONTENTS, /* a group; absent where there is no port of that number */
};

/* All messages of the device that can be pending. */
static const uint64_t todo_mask = BIT(CONSOLE_PORT_ADD) | BIT(CONSOLE_PORT_REMOVE) |
				  BIT(CONSOLE_CONSOLE_PORT) | BIT(CONSOLE_RESIZE) |
				  BIT(CONSOLE_PORT_OPEN) | BIT(CONSOLE_PORT_NAME);

struct loaded_port {
	struct console_port seen; /* what the driver knows and has said */
	const struct port *port;  /* whose contents these are; NULL: there are none */
	struct port_state contents;
	bool there; /* the state told of this number */
};

struct console_loaded {
	uint8_t *bytes; /* of the state: contents are in them */
	enum port_state_how how;
	bool driver_ready, single;
	unsigned int limit, next;
	unsigned int n_ports;
	struct loaded_port ports[];
};

/* Writing */

static bool worth_telling(const struct console_port *p)
{
	return p->port || p->known || p->draining || p->todo;
}

static void save_port(struct console_port *p, unsigned int idx, struct state_writer *w,
		      enum port_state_how how)
{
	state_begin_group(w, TAG_PORT);
	state_put_number(w, TAG_PORT_NUMBER, idx);
	state_put_number(w, TAG_PORT_KNOWN, p->known);
	state_put_number(w, TAG_PORT_READY, p->ready);
	state_put_number(w, TAG_PORT_GUEST_OPEN, p->guest_open);
	state_put_number(w, TAG_PORT_TOLD_OPEN, p->told_open);
	state_put_number(w, TAG_PORT_DRAINING, p->draining);
	state_put_number(w, TAG_PORT_TODO, p->todo);
	state_put_number(w, TAG_PORT_OUT_DONE, p->out_done);
	state_put_number(w, TAG_PORT_OUT_BASE, p->out_base);
	if (p->port) {
		state_begin_group(w, TAG_PORT_CONTENTS);
		port_save(p->port, w, how);
		state_end(w);
	}
	state_end(w);
}

void console_save(struct console *con, struct state_writer *w, enum port_state_how how)
{
	struct console_ctrl *ctrl = &con->ctrl;

	state_put_number(w, TAG_DRIVER_READY, ctrl->driver_ready);
	state_put_number(w, TAG_SINGLE, con->single);
	state_put_number(w, TAG_ROWS_FIRST, ctrl->rows_first);
	state_put_number(w, TAG_LIMIT, ctrl->limit);
	state_put_number(w, TAG_NEXT, ctrl->next);
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		if (worth_telling(&ctrl->ports[i]))
			save_port(&ctrl->ports[i], i, w, how);
}

/* Reading */

static void free_loaded(struct console_loaded *l)
{
	if (!l)
		return;
	for (unsigned int i = 0; i < l->n_ports; i++)
		port_state_fini(&l->ports[i].contents);
	free(l->bytes);
	free(l);
}

static struct console_loaded *new_loaded(const struct console *con, const struct state_reader *r,
					 enum port_state_how how)
{
	size_t n = con->ctrl.n_ports, len = r->end[0];
	struct console_loaded *l = calloc(1, sizeof(*l) + n * sizeof(l->ports[0]));

	if (!l)
		return NULL;
	l->how = how;
	l->n_ports = (unsigned int)n;
	l->bytes = malloc(len);
	if (!l->bytes) {
		free(l);
		return NULL;
	}
	memcpy(l->bytes, r->buf, len);
	return l;
}

static void read_console(struct console_loaded *l, const struct console *con,
			 struct state_reader *r)
{
	unsigned int n_ports = con->ctrl.n_ports;

	l->driver_ready = state_take_flag(r, TAG_DRIVER_READY, "driver ready");
	l->single = state_take_flag(r, TAG_SINGLE, "single port");
	if (state_take_flag(r, TAG_ROWS_FIRST, "rows first") != con->ctrl.rows_first)
		state_fail(r, "sizes are told with %s first here: expected the same in the state",
			   con->ctrl.rows_first ? "rows" : "columns");
	l->limit = (unsigned int)state_take_number(r, TAG_LIMIT,
						   "number of ports that the driver read", n_ports);
	l->next = (unsigned int)state_take_number(r, TAG_NEXT, "next port to be told of", n_ports);
}

static void read_seen(struct console_port *p, struct state_reader *r)
{
	uint64_t todo;

	p->known = state_take_flag(r, TAG_PORT_KNOWN, "known");
	p->ready = state_take_flag(r, TAG_PORT_READY, "ready");
	p->guest_open = state_take_flag(r, TAG_PORT_GUEST_OPEN, "open in the guest");
	p->told_open = state_take_flag(r, TAG_PORT_TOLD_OPEN, "told as open");
	p->draining = state_take_flag(r, TAG_PORT_DRAINING, "draining");
	todo = state_take_number(r, TAG_PORT_TODO, "messages to be sent", UINT64_MAX);
	if (todo & ~todo_mask)
		state_fail(r, "messages to be sent are 0x%" PRIx64 ": expected bits of 0x%" PRIx64,
			   todo, todo_mask);
	p->todo = todo;
	p->out_done = state_take_number(r, TAG_PORT_OUT_DONE, "bytes taken of a chain", UINT32_MAX);
	p->out_base = (uint16_t)state_take_number(r, TAG_PORT_OUT_BASE, "index of that chain",
						  UINT16_MAX);
}

/* Without a port of that number only what is told of its going makes sense. */
static void check_portless(const struct console_port *p, struct state_reader *r)
{
	if (p->ready || p->guest_open || p->told_open || (p->todo & ~BIT(CONSOLE_PORT_REMOVE)))
		state_fail(r, "a port without contents is in use: expected it to be closed");
}

static int read_contents(struct loaded_port *lp, unsigned int idx, const struct console *con,
			 struct state_reader *r, enum port_state_how how)
{
	const struct port *port = con->ctrl.ports[idx].port;
	int err;

	if (!port) {
		state_fail(r, "there is no port %u here: expected a device with the same ports",
			   idx);
		return -EINVAL;
	}
	if (!state_enter(r, TAG_PORT_CONTENTS, "contents"))
		return -EINVAL;
	err = port_state_read(&lp->contents, port, r, how);
	if (err == 0)
		lp->port = port;
	state_leave(r);
	return err;
}

static int read_port(struct console_loaded *l, const struct console *con, struct state_reader *r,
		     unsigned int *next_idx)
{
	struct loaded_port *lp;
	unsigned int idx;
	int err = 0;

	if (!state_enter(r, TAG_PORT, "port"))
		return -EINVAL;
	idx = (unsigned int)state_take_number(r, TAG_PORT_NUMBER, "number", l->n_ports - 1);
	if (idx < *next_idx)
		state_fail(r, "port %u comes twice or too late: expected %u or more", idx,
			   *next_idx);
	if (!r->failed) {
		*next_idx = idx + 1;
		lp = &l->ports[idx];
		lp->there = true;
		read_seen(&lp->seen, r);
		if (state_has(r, TAG_PORT_CONTENTS))
			err = read_contents(lp, idx, con, r, l->how);
		else
			check_portless(&lp->seen, r);
	}
	state_leave(r);
	return err;
}

int console_load(struct console *con, struct state_reader *r, enum port_state_how how)
{
	struct console_loaded *l = new_loaded(con, r, how);
	unsigned int next_idx = 0;
	int err = 0;

	if (!l)
		return -ENOMEM;
	r->buf = l->bytes;
	read_console(l, con, r);
	while (err == 0 && state_has(r, TAG_PORT))
		err = read_port(l, con, r, &next_idx);
	if (err == 0)
		err = state_end_of(r);
	if (err < 0) {
		free_loaded(l);
		return err;
	}
	console_drop_loaded(con);
	con->loaded = l;
	return 0;
}

/* Putting in force */

/* What the host side is now, as opposed to what the driver was told where it came from. */
static void tell_differences(struct console_ctrl *ctrl, const struct loaded_port *lp,
			     unsigned int idx)
{
	const struct port *port = ctrl->ports[idx].port;

	if (!lp->port) {
		console_ctrl_port_added(ctrl, idx);
		return;
	}
	console_ctrl_host_open_changed(ctrl, idx);
	if (port->cols != lp->contents.cols || port->rows != lp->contents.rows)
		console_ctrl_size_changed(ctrl, idx);
}

/* The port was taken away since: the driver is told that, and first of all. */
static struct console_port seen_without_port(const struct console_port *seen)
{
	return (struct console_port){
		.known = seen->known,
		.draining = seen->known || seen->draining,
		.todo = seen->known ? BIT(CONSOLE_PORT_REMOVE) : 0,
	};
}

static void apply_port(struct console *con, struct loaded_port *lp, unsigned int idx)
{
	struct console_port *p = &con->ctrl.ports[idx];
	bool replaced = lp->port && p->port != lp->port;
	struct console_port seen = replaced ? seen_without_port(&lp->seen) : lp->seen;

	if (replaced)
		lp->port = NULL;
	if (lp->port)
		port_state_apply(&lp->contents, p->port);
	p->out_done = seen.out_done;
	p->out_base = seen.out_base;
	p->resumes = lp->there;
	console_ctrl_restore_port(&con->ctrl, idx, &seen);
	if (p->port)
		tell_differences(&con->ctrl, lp, idx);
}

void console_apply_loaded(struct console *con)
{
	struct console_loaded *l = con->loaded;

	if (!l)
		return;
	con->loaded = NULL;
	console_ctrl_reset(&con->ctrl);
	con->single = l->single;
	con->ctrl.driver_ready = l->driver_ready;
	con->ctrl.limit = l->limit;
	con->ctrl.next = l->next;
	con->ctrl_resumes = true;
	for (unsigned int i = 0; i < l->n_ports; i++)
		apply_port(con, &l->ports[i], i);
	for (unsigned int i = 0; i < l->n_ports; i++)
		if (l->ports[i].port)
			port_wake_all(con->ctrl.ports[i].port);
	free_loaded(l);
}

void console_drop_loaded(struct console *con)
{
	free_loaded(con->loaded);
	con->loaded = NULL;
}

/* The device as a whole */

static bool stands_still(const struct console *con)
{
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++) {
		const struct port *port = con->ctrl.ports[i].port;

		if (port && !port_is_frozen(port))
			return false;
	}
	return true;
}

static void tell_frozen(struct console *con)
{
	if (!con->freezing || !stands_still(con))
		return;
	con->freezing = false;
	if (con->vdev.frozen)
		con->vdev.frozen(con->vdev.carrier);
}

void console_port_frozen(struct port *port)
{
	struct console_port *p = port->dev;

	tell_frozen(p->con);
}

void console_freeze(struct vdev *dev)
{
	struct console *con = container_of(dev, struct console, vdev);

	con->frozen = true;
	con->freezing = true;
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		if (con->ctrl.ports[i].port)
			port_freeze(con->ctrl.ports[i].port);
	tell_frozen(con);
}

void console_thaw(struct vdev *dev, bool moved)
{
	struct console *con = container_of(dev, struct console, vdev);

	if (!con->frozen)
		return;
	con->frozen = false;
	con->freezing = false;
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++) {
		struct port *port = con->ctrl.ports[i].port;

		if (port && moved)
			port_forget(port);
		else if (port)
			port_thaw(port);
	}
	/* Its driver is elsewhere. The next one starts anew, whatever its first index. */
	if (moved)
		console_ctrl_reset(&con->ctrl);
}

int console_write_state(struct vdev *dev, struct state_writer *ret_state)
{
	state_writer_init(ret_state, STATE_KIND, STATE_VERSION);
	console_save(container_of(dev, struct console, vdev), ret_state, PORT_STATE_MOVED);
	return state_finish(ret_state);
}

int console_read_state(struct vdev *dev, const void *state, size_t len, char *ret_why,
		       size_t why_cap)
{
	struct state_reader r;
	int err;

	state_reader_init(&r, state, len, STATE_KIND, STATE_VERSION);
	err = r.failed
		      ? -EINVAL
		      : console_load(container_of(dev, struct console, vdev), &r, PORT_STATE_MOVED);
	if (err < 0)
		snprintf(ret_why, why_cap, "%s", r.failed ? r.why : strerror(-err));
	return err;
}
