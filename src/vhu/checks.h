/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Judgement of the values in a payload, row by row: the part of rules that is
 * not the same for every message. Sizes, counts, descriptors and the ring index
 * have been checked before.
 */
#ifndef VHU_VHU_CHECKS_H
#define VHU_VHU_CHECKS_H

#include "vhu/rules.h"

/* The values of a request: VHU_OK or the rule that they break. */
enum vhu_rule vhu_check_values(const struct vhu_nego *n, const struct vhu_msg *m);

/* The values of a reply of the row's own kind. */
enum vhu_rule vhu_check_reply_values(const struct vhu_nego *n, const struct vhu_msg *request,
				     const struct vhu_msg *reply);

#endif
