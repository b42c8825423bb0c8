/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where the areas of a ring lie, and translations of an IOMMU (vhost-user text,
 * "IOMMU support"). Once ACCESS_PLATFORM is accepted, rings and descriptors name
 * I/O virtual addresses. What is not known of them is asked for on the back-end
 * channel, and the ring waits; the answer is an update on the main socket, never
 * the acknowledgement.
 */
#ifndef VHU_VHU_BACKEND_IOMMU_H
#define VHU_VHU_BACKEND_IOMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "handover.h"
#include "list.h"

struct vhu_backend;
struct vqio;

/* What a ring lacks, and what the front-end is told of it. */
struct vqio_lack {
	bool waits;   /* the ring cannot go on before iova is translated */
	bool said;    /* the front-end was told */
	bool unacked; /* and has not acknowledged yet: nothing else is said of this ring */
	uint8_t perm; /* IOTLB_READ or IOTLB_WRITE: what for */
	uint8_t type; /* VHU_IOTLB_MISS or VHU_IOTLB_ACCESS_FAIL */
	uint64_t iova;
	struct list_node due; /* in b->lacks: it is to be told */
};

/*
 * Where the area of a ring lies whose address the front-end gave as addr; NULL:
 * nowhere, or not known yet. The front-end is asked then, and vqio_remap() comes.
 */
void *vhu_iommu_area(struct vqio *v, uint64_t addr, uint64_t len, uint8_t perm);

/*
 * Where writes to the ring itself belong in the dirty log: where the front-end
 * says. Behind an IOMMU front-ends say an I/O virtual address (QEMU, as vhost in
 * Linux takes it), so it is where the used ring lies in guest memory then.
 */
uint64_t vhu_iommu_log_addr(const struct vqio *v);

/*
 * The driver's choice is about to be in force. False: no memory for translations.
 * They begin anew unless a ring is started: a front-end tells what has become
 * invalid only while one is.
 */
bool vhu_iommu_set_features(struct vhu_backend *b, uint64_t features);

/* A turn of the ring is over. True: it lacks a translation, so it waits. */
bool vhu_iommu_lacks(struct vqio *v);

/* The ring has stopped; it was started before. */
void vhu_iommu_ring_stopped(struct vqio *v);

/* Tells what is due, as far as the channel takes it. */
void vhu_iommu_flush(struct vhu_backend *b);

/* Ring idx: what it was told of is acknowledged, or refused. */
void vhu_iommu_acknowledged(struct vhu_backend *b, uint32_t idx, bool refused);

/* There is another channel, which has heard nothing yet. */
void vhu_iommu_channel_opened(struct vhu_backend *b);

/*
 * For a hand-over: translations, if addresses are translated, before any ring is
 * loaded; and what a ring waits for, as a group.
 */
void vhu_iommu_save(const struct vhu_backend *b, struct state_writer *w, unsigned int tag);
void vhu_iommu_load(struct vhu_backend *b, struct state_reader *r, unsigned int tag);
void vhu_iommu_save_lack(const struct vqio *v, struct state_writer *w, unsigned int tag);
void vhu_iommu_load_lack(struct vqio *v, struct state_reader *r, unsigned int tag);

/* Frees what the session knows. Its rings are stopped. */
void vhu_iommu_fini(struct vhu_backend *b);

#endif
