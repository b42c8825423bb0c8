/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The habits of known front-ends: which messages, in which order, with which
 * payloads and acknowledgements. One table; see frontend-style.c.
 */
#ifndef VHU_VHU_FRONTEND_STYLE_H
#define VHU_VHU_FRONTEND_STYLE_H

#include "vhu/frontend-rings.h"

enum vhu_frontend_style {
	VHU_STYLE_UML,
	VHU_STYLE_QEMU,
	VHU_STYLE_CROSVM,
	VHU_STYLE_CLOUD_HYPERVISOR,
	VHU_STYLE_LIBKRUN,
	VHU_STYLE_DPDK,
	VHU_STYLE_SPDK,
	VHU_STYLE_LIBBLKIO,
	VHU_N_STYLES,
};

/*
 * What is asked for; a mask of 0 means all that the style takes. RING_PACKED, IN_ORDER,
 * ACCESS_PLATFORM, ORDER_PLATFORM and RING_RESET are taken only if features names them.
 */
struct vhu_frontend_plan {
	enum vhu_frontend_style style;
	uint64_t features;	 /* the guest's: taken only where offered */
	uint64_t protocol;	 /* taken only where offered and the style knows them */
	uint64_t extra_protocol; /* taken where offered, whatever the style knows */
	unsigned int n_set_up;	 /* rings 0 to n - 1 are the guest's */
	unsigned int n_rings;	 /* of the device as configured; 0: n_set_up */
};

const char *vhu_style_name(enum vhu_frontend_style style);

/* By name ("uml", "cloud-hypervisor"); false when there is none. */
bool vhu_style_find(const char *name, enum vhu_frontend_style *ret_style);

/* How such a front-end's guest lays out its memory: the largest ring it uses, its calls. */
unsigned int vhu_style_queue_size(enum vhu_frontend_style style);
enum vhu_call_kind vhu_style_call_kind(enum vhu_frontend_style style);
/* Whether ring addresses are guest addresses in it. */
bool vhu_style_flat(enum vhu_frontend_style style);
/* Whether it does without descriptors, and so with more than VHU_MAX_FD_RINGS rings. */
bool vhu_style_inband(enum vhu_frontend_style style);

/* The features that will be accepted of those offered. After GET_FEATURES. */
uint64_t vhu_style_features(const struct vhu_frontend *fe, const struct vhu_frontend_plan *plan);

/* From the first message to the last one before the guest's driver starts. */
int vhu_style_negotiate(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan);

/* The driver is ready: features, memory, rings. Rings 0 to n_set_up - 1 must be made. */
int vhu_style_start(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan);

/* The driver or the machine stops. What a style says nothing for is not said. */
int vhu_style_stop(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan);

/* Makes descriptors for the rings unless there are some, and negotiates. */
int vhu_style_begin(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan);

/*
 * Makes rings 0 to n_set_up - 1 of size entries (0: the style's) and, unless
 * there is some, memory; then starts. n_set_up may have changed since begin.
 */
int vhu_style_boot(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan,
		   unsigned int size);

/* The whole handshake: begins, then boots. */
int vhu_style_setup(struct vhu_frontend *fe, const struct vhu_frontend_plan *plan,
		    unsigned int size);

#endif
