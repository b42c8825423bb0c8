/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the forms share in which vhu-dump prints the description of the protocol. */
#ifndef VHU_VHU_DUMP_H
#define VHU_VHU_DUMP_H

#include "vhu/proto.h"
#include "vhu/rules.h"
#include "vhu/words.h"

enum { DUMP_WORDS = 128 };

/* "Bytes 0 to 3": where a field is. */
const char *dump_words_bytes(const struct vhu_field *f, char buf[DUMP_WORDS]);

/* Shape i in the order of shapes.def, or NULL: no more. */
const struct vhu_shape *dump_shape_at(size_t i);

/* The reference of all messages as one page. Zero. */
int dump_html(const char *arg);

#endif
