/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console's configuration space; rows of its vdev_ops. */
#ifndef VHU_VIRTIO_CONSOLE_CONFIG_H
#define VHU_VIRTIO_CONSOLE_CONFIG_H

#include "virtio/console.h"

/* As many as the front-end has queues for, if that is known (VC-012). */
unsigned int console_max_nr_ports(const struct console *con);

void console_config_read(const struct vdev *dev, uint32_t off, void *buf, uint32_t len);
int console_config_write(struct vdev *dev, uint32_t off, const void *buf, uint32_t len);

#endif
