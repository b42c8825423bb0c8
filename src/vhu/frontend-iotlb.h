/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's IOMMU as a front-end plays it (vhost-user "IOMMU support"): a table
 * of translations, from which misses on the back-end's channel are answered. The
 * update goes out on the main channel, and is acknowledged, before the miss is
 * (VU-212); as in QEMU, never while another request awaits its reply.
 *
 * vhu_frontend.iova_shift, set before memory is used, is what the device's
 * addresses of rings and buffers are above guest addresses.
 */
#ifndef VHU_VHU_FRONTEND_IOTLB_H
#define VHU_VHU_FRONTEND_IOTLB_H

#include "vhu/frontend-rings.h"

enum {
	VHU_IOTLB_MAX = 64,	/* entries of the table */
	VHU_IOTLB_WAITING = 64, /* misses that come while a request awaits its reply */

	/* struct vhu_iotlb.perm and .type */
	VHU_IOTLB_READ = 1,
	VHU_IOTLB_WRITE = 2,
	VHU_IOTLB_MISS = 1,
	VHU_IOTLB_UPDATE = 2,
	VHU_IOTLB_INVALIDATE = 3,
	VHU_IOTLB_ACCESS_FAIL = 4,
};

struct vhu_frontend_translation {
	uint64_t iova;
	uint64_t size;	/* bytes */
	uint64_t uaddr; /* in the address space of the memory table's user addresses */
	uint8_t perm;
};

struct vhu_frontend_iotlb {
	struct vhu_frontend_translation entries[VHU_IOTLB_MAX];
	unsigned int n_entries;
	uint64_t granule; /* bytes that an update covers around a miss, a power of two; 0: all of
			     its entry */
	unsigned int n_misses, n_updates;
	unsigned int n_unknown; /* misses without an entry, or with too few rights: refused */
	unsigned int n_fails;	/* access failures that the back-end reported */
	struct vhu_iotlb last_miss;
	bool serving;
	struct vhu_frontend_miss {
		struct vhu_iotlb iotlb;
		bool due; /* an answer */
	} waiting[VHU_IOTLB_WAITING];
	unsigned int n_waiting;
};

/* An empty table that serves fe's misses from now on, over all connections, until fini. */
void vhu_frontend_iotlb_init(struct vhu_frontend *fe, struct vhu_frontend_iotlb *tlb);
void vhu_frontend_iotlb_fini(struct vhu_frontend *fe);

/* A message about it on the channel (frontend.c calls this). */
int vhu_frontend_iotlb_hear(struct vhu_frontend *fe, const struct vhu_msg *msg);

/* Serves the misses that wait, unless the main socket is in use. Does nothing without a table. */
int vhu_frontend_iotlb_serve(struct vhu_frontend *fe);

/* Adds an entry, which the back-end learns of when it misses it. -ENOSPC, or -EEXIST: overlaps. */
int vhu_frontend_iotlb_map(struct vhu_frontend *fe, const struct vhu_frontend_translation *entry);

/* The same for all of guest memory at fe->iova_shift. */
int vhu_frontend_iotlb_map_memory(struct vhu_frontend *fe, uint8_t perm);

/* Tells the back-end of an entry without being asked. */
int vhu_frontend_iotlb_update(struct vhu_frontend *fe,
			      const struct vhu_frontend_translation *entry);

/* Removes what lies in [iova, iova + size), parts of entries too, and tells the back-end. */
int vhu_frontend_iotlb_invalidate(struct vhu_frontend *fe, uint64_t iova, uint64_t size);

#endif
