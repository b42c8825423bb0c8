/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console's control queue without the queue: what a driver says, what
 * happens on the host side, and what the driver is told, beside a model of what
 * it knows. Input: steps, each
 *
 *	1 byte	what happens: an enum step in the low four bits, the port in the rest
 *	n bytes	what the step needs; see there
 */
#include "fuzz.h"

#include "virtio/console-ctrl.h"

enum { N_PORTS = 4, HISTORY = 256 };

enum step {
	STEP_SAY,	/* 4 bytes: event, value; the port as the id */
	STEP_SAY_BYTES, /* 1 byte: how many, then they: a message as it comes */
	STEP_ADD,
	STEP_REMOVE, /* its queue has to be drained first */
	STEP_DRAINED,
	STEP_JOIN,
	STEP_LEAVE,
	STEP_RESIZE, /* 4 bytes: columns, rows */
	STEP_TELL,   /* 1 byte: room in the driver's buffer */
	STEP_F_SIZE, /* 1 byte: odd on, even off */
	STEP_RESET,
	STEP_RECALL, /* 1 byte: known, ready, open */
	STEP_FORGET,
	STEP_NAME, /* 1 byte: how many, then they; while there is no port */
	STEP_LIMIT,
	N_STEPS,
};

struct fuzz {
	struct console_ctrl ctrl;
	struct console_port console[N_PORTS];
	struct port ports[N_PORTS];
	struct port_client clients[N_PORTS];
	bool joined[N_PORTS];
	bool knows[N_PORTS]; /* the driver */
};

static const struct port_client_ops deaf = { .output_ready = NULL };

static void init(struct fuzz *f)
{
	memset(f, 0, sizeof(*f));
	for (unsigned int i = 0; i < N_PORTS; i++) {
		must(port_init(&f->ports[i], HISTORY) == 0);
		f->ports[i].console = i % 2 == 0;
		if (i < 2)
			f->console[i].port = &f->ports[i];
	}
	f->ctrl = (struct console_ctrl){
		.ports = f->console, .n_ports = N_PORTS, .limit = N_PORTS, .size = true
	};
}

static void leave(struct fuzz *f, unsigned int i)
{
	if (!f->joined[i])
		return;
	port_leave(&f->clients[i]);
	f->joined[i] = false;
}

static void fini(struct fuzz *f)
{
	for (unsigned int i = 0; i < N_PORTS; i++) {
		leave(f, i);
		port_fini(&f->ports[i]);
	}
}

/* A driver that says READY of a port knows it, as one does that comes back from hibernation. */
static void say(struct fuzz *f, const uint8_t *msg, size_t len)
{
	struct console_port *p = console_ctrl_receive(&f->ctrl, msg, len);
	uint16_t event = 0, value = 0;

	if (len < CONSOLE_MSG_LEN) {
		must(p == NULL);
		return;
	}
	memcpy(&event, msg + 4, sizeof(event));
	memcpy(&value, msg + 6, sizeof(value));
	event = le16toh(event);
	value = le16toh(value);
	if (event == CONSOLE_DEVICE_READY)
		memset(f->knows, 0, sizeof(f->knows));
	must(!p || (size_t)(p - f->console) < f->ctrl.limit);
	if (p && event == CONSOLE_PORT_READY && value == 1)
		f->knows[p - f->console] = true;
}

static void say_event(struct fuzz *f, unsigned int id, struct input *in)
{
	uint8_t msg[CONSOLE_MSG_LEN] = { (uint8_t)id };

	input_copy(in, msg + 4, 4);
	msg[4] &= 0xf;
	msg[5] = 0;
	say(f, msg, sizeof(msg));
}

static void say_bytes(struct fuzz *f, struct input *in)
{
	size_t len;
	const uint8_t *msg = input_take(in, input_u8(in), &len);

	say(f, msg, len);
}

/* What is told makes sense to a driver that keeps to the text. */
static void check_told(struct fuzz *f, const uint8_t *msg, size_t len)
{
	unsigned int id = msg[0], event = msg[4], value = msg[6];
	const struct port *port;

	must(id < N_PORTS && msg[1] == 0 && msg[2] == 0 && msg[3] == 0);
	port = f->console[id].port;
	must(event == CONSOLE_PORT_OPEN || value == 1);
	switch (event) {
	case CONSOLE_PORT_ADD:
		must(port && len == CONSOLE_MSG_LEN);
		f->knows[id] = true;
		return;
	case CONSOLE_PORT_REMOVE:
		must(f->knows[id] && len == CONSOLE_MSG_LEN);
		f->knows[id] = false;
		return;
	case CONSOLE_PORT_NAME:
		must(port && len <= CONSOLE_MSG_LEN + strlen(port->name));
		break;
	case CONSOLE_RESIZE:
		must(port && port->console && f->ctrl.size && len == CONSOLE_MSG_LEN + 4);
		break;
	case CONSOLE_PORT_OPEN:
		must(port && value == port_host_open(port));
		break;
	default:
		must(port && event == CONSOLE_CONSOLE_PORT && port->console);
	}
	must(f->knows[id]); /* VC-028 */
}

/* As the device does it. Whether there was something. */
static bool tell(struct fuzz *f, uint64_t room)
{
	uint8_t msg[CONSOLE_MSG_MAX], again[CONSOLE_MSG_MAX];
	size_t len = console_ctrl_peek(&f->ctrl, msg);
	size_t fits;

	must(len <= sizeof(msg) && console_ctrl_peek(&f->ctrl, again) == len);
	must(memcmp(msg, again, len) == 0);
	if (len == 0)
		return false;
	fits = console_ctrl_fit(msg, len, room);
	must(fits <= len && fits <= room && (fits == 0 || fits >= CONSOLE_MSG_LEN));
	if (fits == 0) {
		console_ctrl_postpone(&f->ctrl);
		return true;
	}
	check_told(f, msg, fits);
	console_ctrl_sent(&f->ctrl);
	return true;
}

static void add(struct fuzz *f, unsigned int i)
{
	if (f->console[i].port)
		return;
	f->console[i].port = &f->ports[i];
	console_ctrl_port_added(&f->ctrl, i);
}

static void take_away(struct fuzz *f, unsigned int i, bool waits)
{
	if (!f->console[i].port)
		return;
	leave(f, i);
	console_ctrl_port_removed(&f->ctrl, i, waits);
}

static void join(struct fuzz *f, unsigned int i)
{
	static const struct port_client_options options = { .writes = true };

	if (f->joined[i] || !f->console[i].port)
		return;
	port_join(&f->ports[i], &f->clients[i], &deaf, &options);
	f->joined[i] = true;
	console_ctrl_host_open_changed(&f->ctrl, i);
}

static void part(struct fuzz *f, unsigned int i)
{
	if (!f->joined[i])
		return;
	leave(f, i);
	if (f->console[i].port)
		console_ctrl_host_open_changed(&f->ctrl, i);
}

static void resize(struct fuzz *f, unsigned int i, struct input *in)
{
	uint16_t cols = input_u16(in), rows = input_u16(in);

	if (!f->console[i].port)
		return;
	port_resize(&f->ports[i], cols, rows);
	console_ctrl_size_changed(&f->ctrl, i);
}

static void name(struct fuzz *f, unsigned int i, struct input *in)
{
	size_t len;
	const uint8_t *text = input_take(in, input_u8(in) % (PORT_NAME_MAX + 1), &len);

	if (f->console[i].port)
		return;
	memset(f->ports[i].name, 0, sizeof(f->ports[i].name));
	for (size_t n = 0; n < len; n++)
		f->ports[i].name[n] = (char)(text[n] ? text[n] : 'x');
}

static void recall(struct fuzz *f, unsigned int i, uint8_t bits)
{
	bool known = bits & 1, ready = bits & 2;

	console_ctrl_recall(&f->ctrl, i, known, ready, bits & 4);
	if (f->console[i].port ? ready : known)
		f->knows[i] = true;
}

static void do_step(struct fuzz *f, enum step step, unsigned int i, struct input *in)
{
	switch (step) {
	case STEP_SAY:
		say_event(f, i, in);
		break;
	case STEP_SAY_BYTES:
		say_bytes(f, in);
		break;
	case STEP_ADD:
		add(f, i);
		break;
	case STEP_REMOVE:
		take_away(f, i, input_u8(in) & 1);
		break;
	case STEP_DRAINED:
		console_ctrl_drained(&f->ctrl, i);
		break;
	case STEP_JOIN:
		join(f, i);
		break;
	case STEP_LEAVE:
		part(f, i);
		break;
	case STEP_RESIZE:
		resize(f, i, in);
		break;
	case STEP_TELL:
		tell(f, input_u8(in));
		break;
	case STEP_F_SIZE:
		console_ctrl_set_size(&f->ctrl, input_u8(in) & 1);
		break;
	case STEP_RESET:
		console_ctrl_reset(&f->ctrl);
		memset(f->knows, 0, sizeof(f->knows));
		break;
	case STEP_RECALL:
		recall(f, i, input_u8(in));
		break;
	case STEP_FORGET:
		if (!f->console[i].port && f->knows[i])
			console_ctrl_forget(&f->ctrl, i);
		break;
	case STEP_NAME:
		name(f, i, in);
		break;
	case STEP_LIMIT:
		f->ctrl.limit = f->ctrl.driver_ready ? f->ctrl.limit : 1 + i;
		break;
	case N_STEPS:
		break;
	}
}

/* However it came about, what is to be told comes to an end. */
static void tell_all(struct fuzz *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_PORTS; i++)
		console_ctrl_drained(&f->ctrl, i);
	while (tell(f, CONSOLE_MSG_MAX))
		must(n++ < 8 * N_PORTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fuzz f;

	init(&f);
	while (in.left > 0) {
		uint8_t head = input_u8(&in);

		do_step(&f, (head & 0xf) % N_STEPS, (head >> 4) % N_PORTS, &in);
	}
	tell_all(&f);
	fini(&f);
	return 0;
}
