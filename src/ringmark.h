/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device has returned of a ring and not published yet, in numbers that a
 * journal can keep: the device that comes after a kill publishes it. The ring's
 * own code writes it and reads it; for all others it has no meaning.
 */
#ifndef VHU_RINGMARK_H
#define VHU_RINGMARK_H

#include <stdint.h>

struct ring_mark {
	uint16_t n;	/* places in the ring that it takes up; 0: nothing is to be done */
	uint16_t used;	/* the used index after it; packed: the place, wrap counter in bit 15 */
	uint16_t flags; /* packed: those that show the first, */
	uint16_t head, tail; /* and its chains in the in-flight record: the list's two ends */
};

#endif
