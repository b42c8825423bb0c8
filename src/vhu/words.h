/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Columns of the lists in words. Pure. */
#ifndef VHU_VHU_WORDS_H
#define VHU_VHU_WORDS_H

#include "vhu/proto.h"
#include "vhu/rules.h"

enum { VHU_WORDS = 128 };

/* The result is in buf if it names a feature, else static. */
const char *vhu_words_fds(const struct vhu_fd_rule *rule, char buf[VHU_WORDS]);
const char *vhu_words_replied(const struct vhu_reply_rule *rule, char buf[VHU_WORDS]);
const char *vhu_words_gate(const struct vhu_gate *gate, char buf[VHU_WORDS]); /* "": none */
const char *vhu_words_quiesce(enum vhu_quiesce quiesce);

/* "noted", "refused", "closed". */
const char *vhu_words_severity(enum vhu_severity severity);

#endif
