/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The functions of every device in devices.def, and what they share. */
#ifndef VHU_CONFORM_DEVICE_LIST_H
#define VHU_CONFORM_DEVICE_LIST_H

#include "conform/devices/device.h"

#define DEVICE(name, ...)                                                                          \
	int device_##name##_prepare(struct trial *t);                                              \
	int device_##name##_request(struct trial *t, struct device_request *request);              \
	int device_##name##_answered(struct trial *t, const struct device_request *request);
#include "conform/devices/devices.def"

/*
 * One chain on a ring that runs, and back: out_len bytes that the device reads,
 * in_len that it may write, into in. *ret_used: the used length.
 */
int device_io(struct trial *t, unsigned int ring, const void *out, size_t out_len, void *in,
	      size_t in_len, uint32_t *ret_used);

/* A chain that the device only reads should come back with used length 0. */
int device_nothing_written(struct trial *t, const struct device_request *request);

#endif
