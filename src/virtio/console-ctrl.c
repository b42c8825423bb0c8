/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-ctrl.h"

#include <string.h>

void console_ctrl_reset(struct console_ctrl *ctrl)
{
	for (unsigned int i = 0; i < ctrl->n_ports; i++) {
		struct console_port *p = &ctrl->ports[i];

		p->ready = false;
		p->guest_open = false;
		p->told_open = false;
		p->todo = 0;
	}
}

static void device_ready(struct console_ctrl *ctrl, bool ok)
{
	console_ctrl_reset(ctrl);
	if (!ok)
		return;
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		ctrl->ports[i].todo = BIT(CONSOLE_PORT_ADD);
}

static bool size_known(const struct console_ctrl *ctrl, const struct console_port *p)
{
	return ctrl->size && p->port->cols > 0 && p->port->rows > 0;
}

/*
 * A driver that comes back from hibernation says PORT_READY without
 * DEVICE_READY, and may say it twice: it is told everything each time.
 */
static void port_ready(struct console_ctrl *ctrl, struct console_port *p, bool ok)
{
	p->ready = ok;
	p->told_open = false;
	p->todo = 0;
	if (!ok) {
		p->guest_open = false;
		return;
	}
	p->todo = BIT(CONSOLE_CONSOLE_PORT);
	if (port_host_open(p->port))
		p->todo |= BIT(CONSOLE_PORT_OPEN);
	if (size_known(ctrl, p))
		p->todo |= BIT(CONSOLE_RESIZE);
}

void console_ctrl_receive(struct console_ctrl *ctrl, const void *msg, size_t len)
{
	uint32_t id;
	uint16_t event, value;
	struct console_port *p;

	if (len < CONSOLE_MSG_LEN)
		return;
	memcpy(&id, msg, sizeof(id));
	memcpy(&event, (const char *)msg + 4, sizeof(event));
	memcpy(&value, (const char *)msg + 6, sizeof(value));
	id = le32toh(id);
	event = le16toh(event);
	value = le16toh(value);

	if (event == CONSOLE_DEVICE_READY) {
		device_ready(ctrl, value == 1); /* its id says nothing */
		return;
	}
	if (id >= ctrl->n_ports)
		return;
	p = &ctrl->ports[id];
	if (event == CONSOLE_PORT_READY)
		port_ready(ctrl, p, value == 1);
	else if (event == CONSOLE_PORT_OPEN)
		p->guest_open = value != 0;
}

void console_ctrl_host_open_changed(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (!p->ready)
		return;
	if (port_host_open(p->port) == p->told_open)
		p->todo &= ~BIT(CONSOLE_PORT_OPEN);
	else
		p->todo |= BIT(CONSOLE_PORT_OPEN);
}

void console_ctrl_size_changed(struct console_ctrl *ctrl, unsigned int port_idx)
{
	struct console_port *p = &ctrl->ports[port_idx];

	if (p->ready && size_known(ctrl, p))
		p->todo |= BIT(CONSOLE_RESIZE);
	else
		p->todo &= ~BIT(CONSOLE_RESIZE); /* it was known when it was to be told */
}

/* The port whose turn it is, and its next event; lowest id first. */
static struct console_port *next_event(struct console_ctrl *ctrl, unsigned int *ret_event)
{
	/* RESIZE follows CONSOLE_PORT (4 < 5); Linux ignores it otherwise. */
	for (unsigned int i = 0; i < ctrl->n_ports; i++) {
		struct console_port *p = &ctrl->ports[i];

		if (p->todo) {
			*ret_event = (unsigned int)__builtin_ctzll(p->todo);
			return p;
		}
	}
	return NULL;
}

static void put_le16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

size_t console_ctrl_peek(struct console_ctrl *ctrl, void *buf)
{
	unsigned int event;
	const struct console_port *p = next_event(ctrl, &event);
	uint32_t id;
	uint8_t *msg = buf;
	uint16_t value = 1;

	if (!p)
		return 0;
	if (event == CONSOLE_PORT_OPEN)
		value = port_host_open(p->port);
	id = htole32((uint32_t)(p - ctrl->ports));
	memcpy(msg, &id, sizeof(id));
	put_le16(msg + 4, (uint16_t)event);
	put_le16(msg + 6, value);
	if (event != CONSOLE_RESIZE)
		return CONSOLE_MSG_LEN;
	put_le16(msg + 8, p->port->cols); /* columns first: virtio 1.x */
	put_le16(msg + 10, p->port->rows);
	return CONSOLE_MSG_LEN + 4;
}

void console_ctrl_sent(struct console_ctrl *ctrl)
{
	unsigned int event;
	struct console_port *p = next_event(ctrl, &event);

	if (!p)
		return;
	p->todo &= ~BIT(event);
	if (event == CONSOLE_PORT_OPEN)
		p->told_open = port_host_open(p->port);
}
