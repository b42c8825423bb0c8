/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One port of a device under test, from both ends: a guest's driver of its two
 * rings, and a client of its socket. Each sends the other bytes that follow from
 * their position, so that one that is lost, doubled or moved is seen.
 */
#ifndef VHU_TESTS_SIDE_H
#define VHU_TESTS_SIDE_H

#include "guest/guest.h"
#include "pattern.h"
#include "run.h"

enum {
	SIDE_PAGES = 16,   /* of a port in each direction, under way at once */
	SIDE_BUFS = 3,	   /* of a chain of output */
	SIDE_CHUNK = 8192, /* at most, of a client's */
};

/* One direction. */
struct line {
	struct pattern pattern;
	uint64_t sent, got;
};

struct side_page {
	struct driverq_buf buf;
	uint8_t *host;
	bool out;     /* the device has it */
	bool written; /* by the driver, since whoever looks after that has cleared it */
};

struct side {
	struct vhu_frontend *fe;
	unsigned int id;
	int fd;		 /* the client's connection, or -1 */
	struct line out; /* guest to client */
	struct line in;	 /* client to guest */
	struct side_page tx[SIDE_PAGES], rx[SIDE_PAGES];
	bool tx_written, rx_written; /* the rings, in the same way */
	/* What becomes of input; NULL: it must be what the client has sent. */
	void (*take)(struct side *s, const uint8_t *bytes, size_t len);
};

void side_init(struct side *s, struct vhu_frontend *fe, unsigned int id);

/* Bytes that have arrived on l, and must be those that are due; who says where. */
void side_compare(const struct side *s, struct line *l, const uint8_t *bytes, size_t len,
		  const char *who);

/* The guest: takes memory and opens the port. It must have been announced; g posts no buffers. */
void side_open(struct side *s, struct guest *g);

/* Takes back what the device has sent; then sends as much as it may, less at random. */
void side_collect(struct side *s);
void side_send(struct side *s);

/* Takes at most max pieces of input, and gives their buffers back to the device. */
void side_receive(struct side *s, unsigned int max);

/* Takes input that has come from a device that has stopped; offers nothing again. */
void side_drain(struct side *s);

/* The client: connects to the daemon; leaves, after it has read what is there. */
void side_connect(struct side *s, const struct run_daemon *d);
void side_leave(struct side *s);

/* Everything that is there; false: the daemon has closed the connection. */
bool side_client_receive(struct side *s);

/* The bytes that the client sends next, for whoever sends them himself. */
void side_input(const struct side *s, uint8_t *ret_bytes, size_t len);

/* At most SIDE_CHUNK bytes, as far as they are taken. */
void side_client_send(struct side *s);

/* Whether the daemon has read everything that the client has sent. */
bool side_all_read(const struct side *s);

#endif
