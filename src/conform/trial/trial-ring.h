/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring by hand: descriptors, available entries and indices as a case wants
 * them, right or wrong. Indices are the driver's own; t->fe.rings[idx].q is not
 * kept up to date, so a case uses either these or trial_offer() on one ring.
 */
#ifndef VHU_CONFORM_TRIAL_RING_H
#define VHU_CONFORM_TRIAL_RING_H

#include "conform/trial/trial.h"

/* Guest memory; zeroed. *ret_guest is its guest address. */
int trial_alloc(struct trial *t, size_t len, size_t align, void **ret_host, uint64_t *ret_guest);

/* The ring's layout, with the accessors of virtio/vring.h. */
struct vring *trial_vring(struct trial *t, unsigned int idx);

/* Descriptor i. */
void trial_desc(struct trial *t, unsigned int idx, uint16_t i, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next);

/* Entry i of a table elsewhere in guest memory (host address). */
void trial_table_desc(void *table, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
		      uint16_t next);

/* Adds head to the available ring and shows it to the device. */
void trial_avail(struct trial *t, unsigned int idx, uint16_t head);

/* Spoils the available index: it is one more than a ring's size ahead. */
void trial_jump(struct trial *t, unsigned int idx);

/* Kicks, whatever the device wants. */
int trial_kick(struct trial *t, unsigned int idx);

/* The same request that trial_offer() would make, but only its bytes: the descriptors are the
 * case's. */
int trial_make_request(struct trial *t, struct trial_request *ret_request);

/* Until the used index is at least n past that of the last look (modulo 2^16); then judges nothing.
 */
uint16_t trial_used_idx(struct trial *t, unsigned int idx);
int trial_await_used_idx(struct trial *t, unsigned int idx, uint16_t used_idx);

/* Entry at free-running index at. */
void trial_used_entry(struct trial *t, unsigned int idx, uint16_t at, uint32_t *ret_id,
		      uint32_t *ret_len);

/*
 * After a fault was put into ring idx and kicked: the used index does not move
 * (or, where lenient, the faulty head comes back with length 0), the process
 * neither ends nor spins, a ping is answered, GET_VRING_BASE is answered, and
 * after a fresh start of the ring requests are answered again. An err
 * descriptor that stays silent is a remark; see VU-136 for its own case.
 */
PRINTF_LIKE(4, 5)
int trial_ring_fault(struct trial *t, unsigned int idx, bool lenient, const char *fmt, ...);

/* The ring anew: GET_VRING_BASE, empty ring memory, NUM ... ENABLE. */
int trial_restart_ring(struct trial *t, unsigned int idx);

#endif
