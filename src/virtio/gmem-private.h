/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of guest memory know of each other. */
#ifndef VHU_GMEM_PRIVATE_H
#define VHU_GMEM_PRIVATE_H

#include "base.h"
#include "virtio/gmem.h"

struct gmem_region {
	struct gmem_desc desc;
	unsigned char *host; /* of the region's first byte */
	void *map;	     /* page aligned, at or below host */
	size_t map_len;
	int prot;
	int fd; /* of the file, our own; -1: none was to be had */
	unsigned int n_refs;
	bool faulted;		  /* the fault guard put zero pages here */
	struct gmem_region *next; /* in the fault registry */
};

/* A region that is complete is guarded until the other call, which may wait for a moment. */
void gmem_guard_add(struct gmem_region *region);
void gmem_guard_remove(struct gmem_region *region);

#endif
