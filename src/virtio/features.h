/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Numbers of the feature bits that every virtio device shares, as
 * VIRTIO_F_<NAME>_BIT. They are bit numbers: a mask is BIT(VIRTIO_F_..._BIT).
 */
#ifndef VHU_VIRTIO_FEATURES_H
#define VHU_VIRTIO_FEATURES_H

enum virtio_feature {
#define VIRTIO_FEATURE(NAME, bit) VIRTIO_F_##NAME##_BIT = (bit),
#include "virtio/features.def"
};

#endif
