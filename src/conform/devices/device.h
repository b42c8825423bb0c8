/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the tester knows of a device type: requests that a device answers at
 * once, so that data flows through its rings. Rows are in devices.def.
 */
#ifndef VHU_CONFORM_DEVICE_H
#define VHU_CONFORM_DEVICE_H

#include "base.h"

struct trial;

enum { DEVICE_REQUEST_MAX = 4096 };

/* One request: bytes that the device reads, and room that it writes. */
struct device_request {
	uint64_t number;
	uint8_t out[DEVICE_REQUEST_MAX];
	size_t out_len;
	uint8_t in[DEVICE_REQUEST_MAX]; /* what the device wrote, once it is back */
	size_t in_len;
	uint32_t used_len; /* of the used entry */
};

struct device {
	const char *name;
	uint32_t virtio_id;
	unsigned int min_rings;
	unsigned int ring;   /* where requests go */
	uint64_t features;   /* mask of the device's own bits that are accepted if offered */
	uint32_t config_len; /* bytes of its configuration, as far as the tester knows it */
	uint32_t header_len; /* cut only where the layout of descriptors is what a case is about */
	/* After the rings run, before the first request: a handshake of the device's own. May be
	 * NULL. */
	int (*prepare)(struct trial *t);
	/* Fills out, out_len and in_len for request->number. */
	int (*request)(struct trial *t, struct device_request *request);
	/* Judges in and used_len: 0, or negative after trial_fail(). */
	int (*answered)(struct trial *t, const struct device_request *request);
};

extern const struct device devices[];
extern const size_t n_devices;

/* By name; NULL when there is none. */
const struct device *device_find(const char *name);

#endif
