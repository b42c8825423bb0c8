/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vhu-conform info: what a back-end offers, by name. */
#ifndef VHU_CONFORM_INFO_H
#define VHU_CONFORM_INFO_H

#include <stdio.h>

#include "conform/conform-command.h"
#include "conform/devices/device.h"
#include "conform/target/target.h"

/* An exit status: 0; with --has 1 when it is not offered; 2, 3 as of a test. */
int info_run(const struct info_options *o);

/* device: NULL when it is not known. */
void info_print(FILE *out, const struct target_info *info, const struct device *device);
void info_print_json(FILE *out, const struct target_info *info, const struct device *device);

/*
 * Whether it offers a feature, by its name, with or without VIRTIO_F_,
 * VHOST_USER_PROTOCOL_F_ and the like: -ENOENT for a name that is none.
 */
int info_find(const struct target_info *info, const struct device *device, const char *name,
	      bool *ret_offered);

#endif
