/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest's console driver over a front-end, after the example of Linux's: it
 * fills the receive queues with pages, answers what the control queue says and
 * writes one buffer at a time. What it is told that makes no sense is an error.
 */
#ifndef VHU_TESTS_GUEST_H
#define VHU_TESTS_GUEST_H

#include "vhu/frontend-style.h"

enum {
	GUEST_RX = 0,
	GUEST_TX = 1,
	GUEST_CTRL_RX = 2,
	GUEST_CTRL_TX = 3,
	GUEST_N_RINGS = 4,
	GUEST_PAGE = 4096,
	GUEST_MAX_PAGES = 64, /* posted at once on one ring */
	GUEST_MAX_EVENTS = 64,
};

/* A control message from the device, in order of arrival. */
struct guest_event {
	uint32_t id;
	uint16_t event;
	uint16_t value;
	uint16_t cols, rows; /* of RESIZE */
	uint32_t len;
};

struct guest_page {
	uint64_t addr;
	uint8_t *host;
};

struct guest {
	struct vhu_frontend *fe;
	bool multiport;
	struct guest_page pages[2][GUEST_MAX_PAGES]; /* of the receive rings: data, control */
	struct guest_page out;			     /* one page, for what is sent */
	unsigned int n_pages;

	bool added, is_console, host_open;
	bool answers; /* PORT_ADD with READY, CONSOLE_PORT with OPEN */
	struct guest_event events[GUEST_MAX_EVENTS];
	unsigned int n_events;

	uint8_t *input; /* received and not read yet */
	size_t input_len, input_cap;
	unsigned int n_chunks; /* used entries they came in */
	uint32_t last_chunk;   /* bytes of the latest */
};

/*
 * Takes memory for the driver from fe, whose rings 0 and 1 (and 2 and 3, with
 * F_MULTIPORT) are set up. Zero or -ENOMEM.
 */
int guest_init(struct guest *g, struct vhu_frontend *fe, uint64_t features);
void guest_fini(struct guest *g);

/* Forgets what the device said and posts its pages: after the rings were made or reset. */
int guest_begin(struct guest *g);

/* Begins and, with F_MULTIPORT, shakes hands until the port is an open console. */
int guest_start(struct guest *g, int timeout_ms);

/* A control message to the device; returns when its buffer came back. */
int guest_tell(struct guest *g, uint32_t id, uint16_t event, uint16_t value);

/* Takes what is there on the receive rings; waits for nothing. Returns how many entries. */
int guest_poll(struct guest *g);

/* As poll, but returns 0; if nothing is there, waits for a call of any ring. */
int guest_wait(struct guest *g, int timeout_ms);

/* Until at least n control messages have come. */
int guest_await_events(struct guest *g, unsigned int n, int timeout_ms);

/* Until the host side is open (or closed). */
int guest_await_host_open(struct guest *g, bool open, int timeout_ms);

/* Writes all bytes, a page at a time, each taken before the next. */
int guest_write(struct guest *g, const void *bytes, size_t len, int timeout_ms);

/* Exactly len bytes of input. */
int guest_read(struct guest *g, void *buf, size_t len, int timeout_ms);

/* Whatever input there is, at least one byte; returns how many. */
int guest_read_some(struct guest *g, void *buf, size_t cap, int timeout_ms);

#endif
