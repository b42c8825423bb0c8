/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the cases about faults in rings share. */
#ifndef VHU_CONFORM_CASE_RING_FAULT_H
#define VHU_CONFORM_CASE_RING_FAULT_H

#include "conform/cases/case-ring-steps.h"

/*
 * Shows head, which leads to a faulty chain (h->q[0] is the request that it
 * would be), and expects the ring to stop as trial_ring_fault() says; that a
 * device gives the chain back unused is a remark or a warning.
 */
int fault_show(struct hand *h, uint16_t head, const char *what);

/*
 * The rest, once silence has shown that nothing comes back. A back-end that
 * ends the session has stopped the ring, too: a warning. That all else should
 * go on is what other cases are about.
 */
int fault_stopped(struct hand *h, const char *what);

#endif
