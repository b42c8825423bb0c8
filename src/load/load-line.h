/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One port of a guest and its peer, and what flows between them: the driver's
 * two rings on one side, a stream socket on the other. Every byte that comes
 * out on either side is compared with what was put in. Nothing here waits.
 *
 * Functions that can fail return a negative errno after a sentence on standard
 * error.
 */
#ifndef VHU_LOAD_LOAD_LINE_H
#define VHU_LOAD_LOAD_LINE_H

#include "load/load-pattern.h"
#include "vhu/frontend-rings.h"

/* How buffers are offered. */
struct load_shape {
	uint32_t chunk;	    /* bytes of a chain of output */
	uint32_t rx_chunk;  /* bytes of a chain for input */
	unsigned int chain; /* descriptors of each, if it has as many bytes */
	bool indirect;
	unsigned int n_rx; /* chains for input at once; 0: as many as the ring holds */
};

/* A chain of output, by driverq_next_id(). */
struct load_slot {
	uint64_t at_ns; /* when it was offered */
};

struct load_line {
	const char *name; /* for messages */
	struct vhu_frontend *fe;
	unsigned int tx_ring, rx_ring;
	struct driverq *tx, *rx;
	int peer; /* ours */
	const struct load_pattern *pattern;
	struct load_shape shape;
	unsigned int n_slots; /* chains of output that the ring holds */

	struct load_slot *slots;
	uint64_t out_addr, out_area_len; /* a multiple of the pattern's period */
	uint64_t out_next;		 /* where in it the next chunk is */
	uint64_t in_addr;
	uint8_t *in_host;
	bool full; /* the peer's socket took no more when we last wrote */

	/* Positions in the two streams: what went in, what came out and was right. */
	uint64_t out_offered, out_seen;
	uint64_t in_sent, in_seen;
	unsigned int n_out; /* chains of output that the device has */

	uint64_t n_kicks, n_calls, n_violations;
};

/* Guest memory that a line takes of its front-end, for rings of ring entries. */
uint64_t load_line_memory(const struct load_shape *shape, unsigned int ring, size_t period);

/*
 * On rings tx_ring and tx_ring - 1 of fe, which are set up. Takes peer. fini is
 * allowed either way.
 */
int load_line_init(struct load_line *l, struct vhu_frontend *fe, unsigned int tx_ring, int peer,
		   const struct load_shape *shape, const struct load_pattern *pattern);
void load_line_fini(struct load_line *l);

/* Posts the chains for input; once. */
int load_line_post(struct load_line *l);

/* Whether there is room for another chain of output. */
static inline bool load_line_has_room(const struct load_line *l)
{
	return l->n_out < l->n_slots;
}

/* Offers the next chunk, which the device does not see before it is shown. There is room. */
int load_line_offer(struct load_line *l, uint64_t at_ns);

/* Shows what was offered, and kicks if the device wants that. */
int load_line_show(struct load_line *l);

/* Takes one chain of output back: 1 and when it was offered, or 0 if none has come back. */
int load_line_reap(struct load_line *l, uint64_t *ret_at_ns);

/* Takes and checks all input there is and posts its chains again. Returns how many chains. */
int load_line_take(struct load_line *l);

/* Reads once what the peer has got, and checks it. Returns how many bytes; 0: nothing there. */
int load_line_read(struct load_line *l);

/* Has the peer send up to len bytes of its stream. Returns how many; 0: it takes none now. */
int load_line_send(struct load_line *l, size_t len);

/* Asks for calls, or not to be called. True: there is something already. */
bool load_line_calls_on(struct load_line *l, bool out, bool in);
void load_line_calls_off(struct load_line *l);

/* Takes and counts the calls that have come. */
void load_line_take_calls(struct load_line *l);

/* Everything that went in has come out, and the device has no output of ours. */
static inline bool load_line_idle(const struct load_line *l)
{
	return l->n_out == 0 && l->out_seen == l->out_offered && l->in_seen == l->in_sent;
}

#endif
