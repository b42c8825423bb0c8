/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What happened while a case ran: every message both ways on either socket,
 * kicks, calls, and what the driver wrote into memory. For the report of a
 * failure, and for a file that replays the case alone.
 */
#ifndef VHU_CONFORM_EVIDENCE_H
#define VHU_CONFORM_EVIDENCE_H

#include <stdio.h>

#include "vhu/frontend.h"

struct case_row;
struct evidence;

/* One per case. recording: also memory, so that evidence_write_replay() works. NULL: no memory. */
struct evidence *evidence_new(bool recording);
void evidence_free(struct evidence *e);

/* Hears what fe sends and receives from now on. fe is a new connection of the case. */
void evidence_attach(struct evidence *e, struct vhu_frontend *fe);

/* The case has shut down its side of fe's connection for sending. */
void evidence_shut(struct evidence *e, const struct vhu_frontend *fe);

/* A line of the tester's own among the messages: "the ring is kicked". */
PRINTF_LIKE(2, 3) void evidence_note(struct evidence *e, const char *fmt, ...);

/*
 * Keeps a picture of ring idx (indices, flags, the chains between them) to show
 * later. Of each ring the first and the last are shown; a kick is reason enough
 * for one.
 */
void evidence_ring(struct evidence *e, const struct vhu_frontend *fe, unsigned int idx,
		   const char *when);

/* The same of every ring of fe that was kicked: when something has gone wrong, before fe goes. */
void evidence_rings(struct evidence *e, const struct vhu_frontend *fe, const char *when);

/* The case has been judged: the bytes that are shown are of the messages before, and so are rings.
 */
void evidence_judged(struct evidence *e, const struct vhu_frontend *fe);

/* The last messages decoded, hexdump of the last two, ring pictures. A new string, or NULL. */
char *evidence_text(const struct evidence *e);

/*
 * Writes a file that does the same again without the case (script/script.h). 0 or a
 * negative errno; -ENODATA when nothing was recorded, -EOVERFLOW when it was
 * too much to be kept.
 */
int evidence_write_replay(const struct evidence *e, const char *path, const struct case_row *row,
			  const char *reason);

#endif
