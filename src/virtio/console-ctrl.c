/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-ctrl.h"

#include <string.h>

enum {
	WORD_BITS = 64,
	N_WORDS = ARRAY_SIZE(((struct console_ctrl *)NULL)->pending),
};

/*
 * What is told first of a port. A driver drops whatever it hears of a port
 * before PORT_ADD, and Linux drops RESIZE before CONSOLE_PORT (VC-028).
 */
static const uint8_t event_order[] = {
	CONSOLE_PORT_REMOVE, CONSOLE_PORT_ADD,	CONSOLE_CONSOLE_PORT,
	CONSOLE_PORT_NAME,   CONSOLE_PORT_OPEN, CONSOLE_RESIZE,
};

static unsigned int index_of(const struct console_ctrl *ctrl, const struct console_port *p)
{
	return (unsigned int)(p - ctrl->ports);
}

/* What may be sent now of what is to be told. */
static uint64_t sendable(const struct console_ctrl *ctrl, const struct console_port *p)
{
	if (p->remove_waits)
		return 0;
	return ctrl->size ? p->todo : p->todo & ~BIT(CONSOLE_RESIZE);
}

/* Follows every change of what sendable() looks at. */
static void update_pending(struct console_ctrl *ctrl, const struct console_port *p)
{
	unsigned int idx = index_of(ctrl, p);
	uint64_t bit = BIT(idx % WORD_BITS);

	if (sendable(ctrl, p))
		ctrl->pending[idx / WORD_BITS] |= bit;
	else
		ctrl->pending[idx / WORD_BITS] &= ~bit;
}

static void set_todo(struct console_ctrl *ctrl, struct console_port *p, uint64_t todo)
{
	p->todo = todo;
	update_pending(ctrl, p);
}

void console_ctrl_set_guest_open(struct console_port *p, bool open)
{
	p->guest_open = open;
	port_set_guest_open(p->port, open);
}

void console_ctrl_reset(struct console_ctrl *ctrl)
{
	ctrl->driver_ready = false;
	ctrl->next = 0;
	for (unsigned int i = 0; i < ctrl->n_ports; i++) {
		struct console_port *p = &ctrl->ports[i];

		p->known = false;
		p->ready = false;
		p->told_open = false;
		p->draining = false;
		p->remove_waits = false;
		set_todo(ctrl, p, 0);
		if (p->port)
			console_ctrl_set_guest_open(p, false);
	}
}

void console_ctrl_set_size(struct console_ctrl *ctrl, bool accepted)
{
	if (ctrl->size == accepted)
		return;
	ctrl->size = accepted;
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		update_pending(ctrl, &ctrl->ports[i]);
}

/* Messages of the driver. */

static void device_ready(struct console_ctrl *ctrl, bool ok)
{
	console_ctrl_reset(ctrl);
	if (!ok)
		return;
	ctrl->driver_ready = true;
	for (unsigned int i = 0; i < ctrl->limit; i++)
		if (ctrl->ports[i].port)
			set_todo(ctrl, &ctrl->ports[i], BIT(CONSOLE_PORT_ADD));
}

static bool size_known(const struct console_port *p)
{
	return p->port->console && p->port->cols > 0 && p->port->rows > 0;
}

/* Said of a port that was removed, before the driver could hear of the next one (VC-085). */
static bool ready_is_late(const struct console_port *p)
{
	uint64_t untold = BIT(CONSOLE_PORT_REMOVE);

	if (p->draining)
		untold |= BIT(CONSOLE_PORT_ADD);
	return p->todo & untold;
}

static void port_failed(struct console_ctrl *ctrl, struct console_port *p)
{
	p->ready = false;
	p->told_open = false;
	set_todo(ctrl, p, p->todo & BIT(CONSOLE_PORT_ADD));
	console_ctrl_set_guest_open(p, false);
}

/*
 * A driver that comes back from hibernation says PORT_READY without
 * DEVICE_READY, and may say it twice: it is told everything each time.
 */
static void port_ready(struct console_ctrl *ctrl, struct console_port *p)
{
	bool open = port_host_open(p->port);
	uint64_t todo = 0;

	ctrl->driver_ready = true;
	p->known = true;
	p->ready = true;
	p->draining = false;
	if (p->port->console)
		todo |= BIT(CONSOLE_CONSOLE_PORT);
	if (p->port->name[0])
		todo |= BIT(CONSOLE_PORT_NAME);
	if (open || p->told_open)
		todo |= BIT(CONSOLE_PORT_OPEN);
	if (size_known(p))
		todo |= BIT(CONSOLE_RESIZE);
	set_todo(ctrl, p, todo);
}

void console_ctrl_recall(struct console_ctrl *ctrl, unsigned int port_idx, bool known, bool ready,
			 bool guest_open)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (p->port && ready) {
		p->told_open = true; /* or not: said again either way */
		port_ready(ctrl, p);
	} else if (p->port) {
		set_todo(ctrl, p, BIT(CONSOLE_PORT_ADD));
	} else if (known) {
		p->known = true;
		p->draining = true;
		set_todo(ctrl, p, BIT(CONSOLE_PORT_REMOVE));
	}
	if (p->port)
		console_ctrl_set_guest_open(p, guest_open);
}

static void receive_port_event(struct console_ctrl *ctrl, struct console_port *p, uint16_t event,
			       uint16_t value)
{
	if (!p->port) {
		/* Back from hibernation, with a port that was removed meanwhile. */
		p->draining |= event == CONSOLE_PORT_READY && value == 1;
	} else if (event == CONSOLE_PORT_READY && !ready_is_late(p)) {
		if (value == 1)
			port_ready(ctrl, p);
		else
			port_failed(ctrl, p);
	} else if (event == CONSOLE_PORT_OPEN && !p->draining) {
		console_ctrl_set_guest_open(p, value != 0);
	}
}

struct console_port *console_ctrl_receive(struct console_ctrl *ctrl, const void *msg, size_t len)
{
	uint32_t id;
	uint16_t event, value;

	if (len < CONSOLE_MSG_LEN)
		return NULL;
	memcpy(&id, msg, sizeof(id));
	memcpy(&event, (const char *)msg + 4, sizeof(event));
	memcpy(&value, (const char *)msg + 6, sizeof(value));
	id = le32toh(id);
	event = le16toh(event);
	value = le16toh(value);

	if (event == CONSOLE_DEVICE_READY) {
		device_ready(ctrl, value == 1); /* its id says nothing */
		return NULL;
	}
	if (id >= ctrl->limit)
		return NULL;
	receive_port_event(ctrl, &ctrl->ports[id], event, value);
	return &ctrl->ports[id];
}

/* News from the host side. */

void console_ctrl_port_added(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (!ctrl->driver_ready)
		p->draining = false; /* no PORT_READY will end it */
	else if (port_idx < ctrl->limit)
		set_todo(ctrl, p, p->todo | BIT(CONSOLE_PORT_ADD));
}

void console_ctrl_port_removed(struct console_ctrl *ctrl, unsigned int port_idx, bool waits)
{
	struct console_port *p = &ctrl->ports[port_idx];

	/* A driver that nothing is known of was there before us, and may use any port. */
	if (p->known || !ctrl->driver_ready)
		p->draining = true;
	p->ready = false;
	p->told_open = false;
	p->remove_waits = waits && p->known;
	set_todo(ctrl, p, p->known ? BIT(CONSOLE_PORT_REMOVE) : 0);
	console_ctrl_set_guest_open(p, false);
	p->port = NULL;
}

void console_ctrl_drained(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	p->remove_waits = false;
	update_pending(ctrl, p);
}

void console_ctrl_restore_port(struct console_ctrl *ctrl, unsigned int port_idx,
			       const struct console_port *seen)
{
	struct console_port *p = &ctrl->ports[port_idx];

	p->known = seen->known;
	p->ready = seen->ready;
	p->told_open = seen->told_open;
	p->draining = seen->draining;
	p->remove_waits = false; /* queues that do not run are drained when they do */
	set_todo(ctrl, p, seen->todo);
	if (p->port)
		console_ctrl_set_guest_open(p, seen->guest_open);
}

void console_ctrl_host_open_changed(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (!p->ready)
		return;
	if (port_host_open(p->port) == p->told_open)
		set_todo(ctrl, p, p->todo & ~BIT(CONSOLE_PORT_OPEN));
	else
		set_todo(ctrl, p, p->todo | BIT(CONSOLE_PORT_OPEN));
}

void console_ctrl_size_changed(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (p->ready && size_known(p))
		set_todo(ctrl, p, p->todo | BIT(CONSOLE_RESIZE));
	else /* it was known when it was to be told */
		set_todo(ctrl, p, p->todo & ~BIT(CONSOLE_RESIZE));
}

/* Messages to the driver. */

/* One event for each port in turn, so that none keeps the others from being heard. */
static struct console_port *next_port(const struct console_ctrl *ctrl)
{
	unsigned int at = ctrl->next / WORD_BITS;
	uint64_t word = ctrl->pending[at] & (UINT64_MAX << (ctrl->next % WORD_BITS));

	for (unsigned int i = 0; i <= N_WORDS; i++) {
		if (word)
			return &ctrl->ports[at * WORD_BITS + (unsigned int)__builtin_ctzll(word)];
		at = (at + 1) % N_WORDS;
		word = ctrl->pending[at];
	}
	return NULL;
}

static unsigned int next_event(const struct console_ctrl *ctrl, const struct console_port *p)
{
	uint64_t todo = sendable(ctrl, p);
	size_t i = 0;

	while (!(todo & BIT(event_order[i])))
		i++;
	return event_order[i];
}

static void put_le16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

static size_t put_size(const struct console_ctrl *ctrl, const struct port *port, uint8_t *at)
{
	put_le16(at, ctrl->rows_first ? port->rows : port->cols); /* columns first: virtio 1.x */
	put_le16(at + 2, ctrl->rows_first ? port->cols : port->rows);
	return 4;
}

/* Without a NUL (VC-070). */
static size_t put_name(const struct port *port, uint8_t *at)
{
	size_t len = strnlen(port->name, PORT_NAME_MAX);

	memcpy(at, port->name, len);
	return len;
}

size_t console_ctrl_peek(const struct console_ctrl *ctrl, void *buf)
{
	const struct console_port *p = next_port(ctrl);
	unsigned int event;
	uint32_t id;
	uint8_t *msg = buf;
	uint16_t value = 1; /* Linux ignores CONSOLE_PORT with another */

	if (!p)
		return 0;
	event = next_event(ctrl, p);
	if (event == CONSOLE_PORT_OPEN)
		value = port_host_open(p->port);
	id = htole32(index_of(ctrl, p));
	memcpy(msg, &id, sizeof(id));
	put_le16(msg + 4, (uint16_t)event);
	put_le16(msg + 6, value);
	if (event == CONSOLE_RESIZE)
		return CONSOLE_MSG_LEN + put_size(ctrl, p->port, msg + CONSOLE_MSG_LEN);
	if (event == CONSOLE_PORT_NAME)
		return CONSOLE_MSG_LEN + put_name(p->port, msg + CONSOLE_MSG_LEN);
	return CONSOLE_MSG_LEN;
}

void console_ctrl_sent(struct console_ctrl *ctrl)
{
	struct console_port *p = next_port(ctrl);
	unsigned int event;

	if (!p)
		return;
	event = next_event(ctrl, p);
	if (event == CONSOLE_PORT_REMOVE)
		p->known = false;
	else if (event == CONSOLE_PORT_ADD)
		p->known = true;
	else if (event == CONSOLE_PORT_OPEN)
		p->told_open = port_host_open(p->port);
	set_todo(ctrl, p, p->todo & ~BIT(event));
	ctrl->next = index_of(ctrl, p) + 1;
}

void console_ctrl_postpone(struct console_ctrl *ctrl)
{
	const struct console_port *p = next_port(ctrl);

	if (p)
		ctrl->next = index_of(ctrl, p) + 1;
}

size_t console_ctrl_fit(const void *msg, size_t len, uint64_t room)
{
	const uint8_t *bytes = msg;

	if (len <= room)
		return len;
	if (room < CONSOLE_MSG_LEN || bytes[4] != CONSOLE_PORT_NAME)
		return 0;
	/* Not in the middle of a character: names are UTF-8. */
	len = (size_t)room;
	while (len > CONSOLE_MSG_LEN && (bytes[len] & 0xc0) == 0x80)
		len--;
	return len;
}
