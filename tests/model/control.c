/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver's control queues: what it hears of ports, and what it answers. */
#include <string.h>

#include "model.h"

static void post_kept(struct model *m)
{
	struct driverq *q = model_q(m, MODEL_CTRL_RX);

	while (m->n_ctrl_kept > 0) {
		uint8_t *host = m->ctrl_kept[m->n_ctrl_kept - 1];
		struct driverq_buf buf = { .len = MODEL_CTRL_BUF_LEN };

		for (unsigned int i = 0; i < m->n_ctrl_in; i++)
			if (m->ctrl_in[i] == host)
				buf.addr = m->ctrl_in_addr[i];
		if (driverq_add(q, &buf, 0, 1, false, host) < 0)
			break;
		m->n_ctrl_kept--;
	}
	if (driverq_publish(q))
		driver_kick(m, MODEL_CTRL_RX);
}

/* The rings are fresh; memory for messages is there. */
void control_begin(struct model *m)
{
	m->n_tells = m->n_told = 0;
	m->ctrl_withheld = false;
	m->n_ctrl_kept = m->n_ctrl_in;
	memcpy(m->ctrl_kept, m->ctrl_in, sizeof(m->ctrl_kept));
	for (unsigned int i = 0; i < MODEL_NUMBERS; i++) {
		struct model_number *num = &m->numbers[i];

		*num = (struct model_number){ .port = num->port };
	}
	if (!model_multiport(m))
		return;
	post_kept(m);
	control_tell(m, 0, CONSOLE_DEVICE_READY, 1);
}

bool control_tell(struct model *m, uint32_t id, uint16_t event, uint16_t value)
{
	if (m->n_tells == MODEL_TELL_MAX)
		return false;
	m->tells[m->n_tells++] = (struct model_tell){ id, event, value };
	if (event == CONSOLE_PORT_OPEN) {
		m->numbers[id].open = value;
		m->numbers[id].maybe_open |= value;
	}
	return true;
}

static void drop_tell(struct model *m, unsigned int i)
{
	m->n_tells--;
	memmove(&m->tells[i], &m->tells[i + 1], (m->n_tells - i) * sizeof(m->tells[0]));
}

/* What was to be said of a port that is gone is not said. */
static void forget_number(struct model *m, unsigned int id)
{
	struct model_number *num = &m->numbers[id];

	*num = (struct model_number){
		.port = num->port,
		.bound = num->bound,
		.owed_remove = num->owed_remove,
	};
	for (unsigned int i = m->n_tells; i-- > m->n_told;)
		if (m->tells[i].id == id)
			drop_tell(m, i);
}

static uint16_t le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static void hear(struct model *m, const uint8_t *msg, uint32_t len)
{
	uint32_t id = le16(msg) | (uint32_t)le16(msg + 2) << 16;
	uint16_t event = le16(msg + 4), value = le16(msg + 6);
	struct model_number *num = id < m->n_numbers ? &m->numbers[id] : NULL;

	model_say(m, "driver hears: port %u, event %u, value %u", id, event, value);
	model_expect(m, num && len >= CONSOLE_MSG_LEN, "a message for a port there is, not %u", id);
	model_expect(m, num->added == (event != CONSOLE_PORT_ADD),
		     "no message %u for port %u, which was %s", event, id,
		     num->added ? "added" : "not added");
	switch (event) {
	case CONSOLE_PORT_ADD:
		forget_number(m, id);
		num->added = true;
		num->wants_ready = true;
		break;
	case CONSOLE_PORT_REMOVE:
		forget_number(m, id);
		num->owed_remove = false;
		break;
	case CONSOLE_CONSOLE_PORT:
		num->is_console = true;
		control_tell(m, id, CONSOLE_PORT_OPEN, 1);
		break;
	case CONSOLE_PORT_OPEN:
		num->host_open = value;
		break;
	case CONSOLE_RESIZE:
		model_expect(m, len == CONSOLE_MSG_LEN + 4, "a whole size, not %u bytes", len);
		num->cols = le16(msg + 8);
		num->rows = le16(msg + 10);
		break;
	case CONSOLE_PORT_NAME:
		memcpy(num->name, msg + CONSOLE_MSG_LEN,
		       min_size(len - CONSOLE_MSG_LEN, PORT_NAME_MAX));
		break;
	default:
		model_fail(m, "no message %u from a device", event);
	}
}

static bool hear_all(struct model *m)
{
	enum driverq_result result;
	bool any = false;
	uint32_t len;
	void *token;

	while ((result = driverq_get(model_q(m, MODEL_CTRL_RX), &token, &len)) == DRIVERQ_USED) {
		hear(m, token, len);
		m->ctrl_kept[m->n_ctrl_kept++] = token;
		any = true;
	}
	model_expect(m, result == DRIVERQ_EMPTY, "the control queue to be kept: %s",
		     driverq_result_text(result));
	if (m->ctrl_withheld || m->n_ctrl_kept == 0)
		return any;
	post_kept(m);
	return true;
}

static bool will_open(const struct model *m, uint32_t id)
{
	for (unsigned int i = 0; i < m->n_tells; i++)
		if (m->tells[i].id == id && m->tells[i].event == CONSOLE_PORT_OPEN &&
		    m->tells[i].value)
			return true;
	return false;
}

/* What the device has taken: it knows now. */
static void note_told(struct model *m, const struct model_tell *t)
{
	struct model_number *num = &m->numbers[t->id];

	if (t->event == CONSOLE_PORT_READY)
		num->ready = num->added;
	if (t->event == CONSOLE_PORT_OPEN && !t->value) {
		driver_collect(m, model_rx(t->id)); /* what came before it knew */
		num->maybe_open = will_open(m, t->id);
	}
}

static bool tell_some(struct model *m)
{
	struct driverq *q = model_q(m, MODEL_CTRL_TX);
	enum driverq_result result;
	bool any = false;
	uint32_t len;
	void *token;

	while ((result = driverq_get(q, &token, &len)) == DRIVERQ_USED) {
		struct model_tell t = m->tells[0];

		model_expect(m, len == 0 && m->n_told > 0, "a message to be taken");
		drop_tell(m, 0);
		m->n_told--;
		note_told(m, &t);
		any = true;
	}
	model_expect(m, result == DRIVERQ_EMPTY, "the control queue to be kept: %s",
		     driverq_result_text(result));
	/* One at a time, in the one buffer there is for them. */
	if (m->n_told == 0 && m->n_tells > 0) {
		struct driverq_buf buf = { .addr = m->ctrl_out_addr, .len = CONSOLE_MSG_LEN };
		const struct model_tell *t = &m->tells[0];
		uint32_t id = htole32(t->id);
		uint16_t words[2] = { htole16(t->event), htole16(t->value) };

		memcpy(m->ctrl_out, &id, sizeof(id));
		memcpy(m->ctrl_out + 4, words, sizeof(words));
		if (driverq_add(q, &buf, 1, 0, false, m) < 0)
			model_fail(m, "room for a message");
		m->n_told = 1;
		model_say(m, "driver tells: port %u, event %u, value %u", t->id, t->event,
			  t->value);
		if (driverq_publish(q))
			driver_kick(m, MODEL_CTRL_TX);
		any = true;
	}
	return any;
}

/* A port is ready when what was meant for the one before has come back. */
static bool greet_ports(struct model *m)
{
	bool any = false;

	for (unsigned int i = 0; i < m->n_numbers; i++) {
		struct model_number *num = &m->numbers[i];
		unsigned int tx = model_rx(i) + 1;

		if (!num->wants_ready)
			continue;
		if (m->rings[tx].n_shown < m->rings[tx].n)
			driver_publish(m, tx);
		driver_collect(m, tx);
		if (m->rings[tx].n == 0 && control_tell(m, i, CONSOLE_PORT_READY, 1)) {
			num->wants_ready = false;
			any = true;
		}
	}
	return any;
}

bool control_poll(struct model *m)
{
	bool any;

	if (!m->booted || !model_multiport(m))
		return false;
	any = hear_all(m);
	any |= greet_ports(m);
	any |= tell_some(m);
	return any;
}

static void check_number(struct model *m, unsigned int i)
{
	const struct model_number *num = &m->numbers[i];
	const struct model_port *p = num->port;
	const struct port *port = p ? &p->port : NULL;

	model_expect(m, num->added == (p != NULL), "number %u: the driver to know that port %s", i,
		     p ? "is there" : "is gone");
	model_expect(m, !num->owed_remove, "number %u: the driver to know that a port was removed",
		     i);
	if (!p || !num->ready)
		return;
	model_expect(m, strcmp(num->name, port->name) == 0, "number %u: the name %s, not %s", i,
		     port->name, num->name);
	model_expect(m, num->is_console == port->console, "number %u: whether it is a console", i);
	model_expect(m, num->host_open == host_is_open(p),
		     "number %u: the driver to know that it is %s", i,
		     host_is_open(p) ? "open" : "closed");
	model_expect(m, port->guest_open == num->open, "number %u: the guest's side to be %s", i,
		     num->open ? "open" : "closed");
	if (port->console && port->cols > 0 && (m->features & BIT(CONSOLE_F_SIZE_BIT)))
		model_expect(m, num->cols == port->cols && num->rows == port->rows,
			     "number %u: size %ux%u, not %ux%u", i, port->cols, port->rows,
			     num->cols, num->rows);
}

/* Everything is at rest: the driver knows all, if it can be told. */
void control_check(struct model *m)
{
	if (!model_multiport(m) || !driver_ring_runs(m, MODEL_CTRL_RX) ||
	    !driver_ring_runs(m, MODEL_CTRL_TX) || m->ctrl_withheld || m->n_tells > 0)
		return;
	for (unsigned int i = 0; i < m->n_numbers; i++)
		check_number(m, i);
	for (unsigned int i = 0; i < m->n_numbers; i++) {
		struct model_number *num = &m->numbers[i];

		num->bound = num->ready && num->port;
	}
}
