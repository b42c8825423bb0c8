/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's console driver over a front-end, after the example of Linux's: it
 * fills the receive queues with pages, answers what the control queue says and
 * writes one buffer at a time on each port. What it is told that makes no sense
 * is an error.
 */
#ifndef VHU_GUEST_GUEST_H
#define VHU_GUEST_GUEST_H

#include "vhu/frontend-style.h"

enum {
	GUEST_RX = 0, /* port 0's */
	GUEST_TX = 1,
	GUEST_CTRL_RX = 2,
	GUEST_CTRL_TX = 3,
	GUEST_N_RINGS = 4, /* of one port; two more for each further port */
	GUEST_PAGE = 4096,
	GUEST_MAX_PAGES = 64,  /* posted at once on port 0's and the control ring */
	GUEST_PORT_PAGES = 16, /* the same for further ports */
	GUEST_NAME_MAX = 128,
};

/* The rings of a device with n ports, and of one of them. */
#define GUEST_RINGS(n) (2 * ((n) + 1))
#define GUEST_PORT_RX(id) ((id) == 0 ? 0 : 2 * (id) + 2)
#define GUEST_PORT_TX(id) (GUEST_PORT_RX(id) + 1)

/* A control message from the device, in order of arrival. */
struct guest_event {
	uint32_t id;
	uint16_t event;
	uint16_t value;
	uint16_t cols, rows; /* of RESIZE */
	uint32_t len;
	char name[GUEST_NAME_MAX + 1]; /* of PORT_NAME */
};

struct guest_page {
	uint64_t addr;
	uint8_t *host;
};

struct guest_port {
	bool added;	/* and not removed since */
	bool announced; /* PORT_ADD came since the last DEVICE_READY */
	bool is_console, host_open, guest_open;
	char name[GUEST_NAME_MAX + 1];
	uint16_t cols, rows; /* 0: never told */

	struct guest_page pages[GUEST_MAX_PAGES]; /* of the receive ring, from when the port came */
	unsigned int n_pages;
	bool posted;	       /* they are the device's; they stay when a port goes */
	struct guest_page out; /* one page, for what is sent */
	bool sending;	       /* the device has it */

	uint8_t *input; /* received and not read yet */
	size_t input_len, input_cap;
	unsigned int n_chunks; /* used entries they came in */
	uint32_t last_chunk;   /* bytes of the latest */
};

struct guest {
	struct vhu_frontend *fe;
	bool multiport;
	bool answers;	   /* PORT_ADD with READY, CONSOLE_PORT with OPEN */
	bool caller_posts; /* buffers on the ports' receive rings are the caller's affair */
	struct guest_port *ports;
	unsigned int n_ports; /* that the rings suffice for */
	struct guest_page ctrl_pages[GUEST_MAX_PAGES];
	unsigned int n_ctrl_pages;
	struct guest_page ctrl_out;
	struct guest_event *events;
	unsigned int n_events, events_cap;
	unsigned int n_heard; /* of them, passed on by guest_attend() */
};

/*
 * Takes memory for the driver from fe, whose rings are set up: all of them with
 * F_MULTIPORT, else 0 and 1. Zero or -ENOMEM; guest_fini() is allowed either way.
 */
int guest_init(struct guest *g, struct vhu_frontend *fe, uint64_t features);
void guest_fini(struct guest *g);

/* Forgets what the device said and posts its pages: after the rings were made or reset. */
int guest_begin(struct guest *g);

/* Begins and, with F_MULTIPORT, says DEVICE_READY. */
int guest_hello(struct guest *g);

/* As hello, and shakes hands until port 0 is an open console. */
int guest_start(struct guest *g, int timeout_ms);

/* A control message to the device; returns when its buffer came back. */
int guest_tell(struct guest *g, uint32_t id, uint16_t event, uint16_t value);

/* Opens or closes our side of a port, as a program does; input that was not read goes. */
int guest_open_port(struct guest *g, unsigned int id, bool open);

/* Takes what is there on the receive rings; waits for nothing. Returns how many entries. */
int guest_poll(struct guest *g);

/* The control messages alone: input waits. */
int guest_poll_control(struct guest *g);

/*
 * Answers control messages until fd is readable. heard (or NULL) is called for
 * each message that has come, those before this call included if they are new
 * to it.
 */
int guest_attend(struct guest *g, int fd, void (*heard)(const struct guest_event *e));

/* As poll, but returns 0; if nothing is there, waits for a call of any ring. */
int guest_wait(struct guest *g, int timeout_ms);

/* Until at least n control messages have come. */
int guest_await_events(struct guest *g, unsigned int n, int timeout_ms);

/* Until no control message has come for quiet_ms. */
int guest_settle(struct guest *g, int quiet_ms);

/* Until the port is there; until there is none. */
int guest_await_port(struct guest *g, unsigned int id, int timeout_ms);
int guest_await_no_port(struct guest *g, unsigned int id, int timeout_ms);

/* Until there is a port of that name. */
int guest_await_name(struct guest *g, const char *name, int timeout_ms, unsigned int *ret_id);

/* Until the host side is open (or closed). */
int guest_await_port_host_open(struct guest *g, unsigned int id, bool open, int timeout_ms);

/* Writes all bytes, a page at a time, each taken before the next. */
int guest_write_port(struct guest *g, unsigned int id, const void *bytes, size_t len,
		     int timeout_ms);

/*
 * Writes up to a page and does not wait until it is taken. Returns how many
 * bytes, or -EAGAIN while the device has the page of the last write.
 */
int guest_try_write_port(struct guest *g, unsigned int id, const void *bytes, size_t len);

/* Until the device has taken the last try. */
int guest_await_taken(struct guest *g, unsigned int id, int timeout_ms);

/* Exactly len bytes of input. */
int guest_read_port(struct guest *g, unsigned int id, void *buf, size_t len, int timeout_ms);

/* Whatever input there is, at least one byte; returns how many. */
int guest_read_some_port(struct guest *g, unsigned int id, void *buf, size_t cap, int timeout_ms);

/* The same for port 0. */
int guest_await_host_open(struct guest *g, bool open, int timeout_ms);
int guest_write(struct guest *g, const void *bytes, size_t len, int timeout_ms);
int guest_read(struct guest *g, void *buf, size_t len, int timeout_ms);
int guest_read_some(struct guest *g, void *buf, size_t cap, int timeout_ms);

#endif
