/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control queue's state machine with ports of its own, without queues. */
#ifndef VHU_TESTS_CONSOLE_CTRL_RIG_H
#define VHU_TESTS_CONSOLE_CTRL_RIG_H

#include "unit.h"

#include <endian.h>
#include <string.h>

#include "virtio/console-ctrl.h"

enum { N_PORTS = 3 };

struct rig {
	struct port ports[N_PORTS];
	struct console_port console[N_PORTS];
	struct console_ctrl ctrl;
	struct port_client client;
};

static struct rig rig;
static const struct port_client_ops deaf = { .output_ready = NULL };

/* Consoles as the device has them; nobody connected, no name, no size. */
static inline void begin(unsigned int n_ports)
{
	memset(&rig, 0, sizeof(rig));
	for (unsigned int i = 0; i < n_ports; i++) {
		list_init(&rig.ports[i].clients);
		rig.ports[i].console = true;
		rig.console[i].port = &rig.ports[i];
	}
	rig.ctrl = (struct console_ctrl){
		.ports = rig.console, .n_ports = n_ports, .limit = n_ports, .size = true
	};
}

static inline void tell(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[CONSOLE_MSG_LEN] = {
		(uint8_t)id,	(uint8_t)(id >> 8),    (uint8_t)(id >> 16), (uint8_t)(id >> 24),
		(uint8_t)event, (uint8_t)(event >> 8), (uint8_t)value,	    (uint8_t)(value >> 8),
	};

	console_ctrl_receive(&rig.ctrl, msg, sizeof(msg));
}

static inline void expect_nothing(void)
{
	uint8_t msg[CONSOLE_MSG_MAX];

	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), 0);
}

/* The next message is this one; it is taken. */
static inline void expect(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[CONSOLE_MSG_MAX], again[CONSOLE_MSG_MAX];
	size_t len = CONSOLE_MSG_LEN;

	if (event == CONSOLE_RESIZE)
		len += 4;
	else if (event == CONSOLE_PORT_NAME)
		len += strlen(rig.ports[id].name);
	memset(msg, 0, sizeof(msg));
	memset(again, 0, sizeof(again));
	assert_int_equal(console_ctrl_peek(&rig.ctrl, msg), len);
	assert_int_equal(console_ctrl_peek(&rig.ctrl, again), len);
	assert_memory_equal(msg, again, sizeof(msg));
	assert_int_equal(msg[0] | msg[1] << 8 | msg[2] << 16, id);
	assert_int_equal(msg[4] | msg[5] << 8, event);
	assert_int_equal(msg[6] | msg[7] << 8, value);
	console_ctrl_sent(&rig.ctrl);
}

static inline void adds(unsigned int idx)
{
	rig.console[idx].port = &rig.ports[idx];
	console_ctrl_port_added(&rig.ctrl, idx);
}

static inline void removes(unsigned int idx)
{
	console_ctrl_port_removed(&rig.ctrl, idx, false);
}

static inline void host_opens(unsigned int port)
{
	static const struct port_client_options options = { .writes = true };

	port_join(&rig.ports[port], &rig.client, &deaf, &options);
	console_ctrl_host_open_changed(&rig.ctrl, port);
}

static inline void host_closes(unsigned int port)
{
	port_leave(&rig.client);
	console_ctrl_host_open_changed(&rig.ctrl, port);
}

static inline void resize(unsigned int port, uint16_t cols, uint16_t rows)
{
	port_resize(&rig.ports[port], cols, rows);
	console_ctrl_size_changed(&rig.ctrl, port);
}

/* Until the driver knows port 0 as a console; the host side is closed. */
static inline void shake_hands(void)
{
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect(0, CONSOLE_PORT_ADD, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	tell(0, CONSOLE_PORT_OPEN, 1);
	expect_nothing();
}

/* A driver that knows all ports. */
static inline void begin_known(void)
{
	begin(N_PORTS);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (uint32_t p = 0; p < N_PORTS; p++)
		expect(p, CONSOLE_PORT_ADD, 1);
	for (uint32_t p = 0; p < N_PORTS; p++) {
		tell(p, CONSOLE_PORT_READY, 1);
		expect(p, CONSOLE_CONSOLE_PORT, 1);
		tell(p, CONSOLE_PORT_OPEN, 1);
	}
	expect_nothing();
}

#endif
