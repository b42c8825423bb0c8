/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where fields are, in words; shapes in their order. */
#include <stdio.h>

#include "vhu-dump.h"

const char *dump_words_bytes(const struct vhu_field *f, char buf[DUMP_WORDS])
{
	unsigned int last = f->offset + f->width - 1U;

	if (f->n > 1 && f->inner)
		snprintf(buf, DUMP_WORDS, "From byte %u, up to %u %ss of %u bytes", f->offset, f->n,
			 f->inner->name, f->width);
	else if (f->n > 1 && f->width > 1)
		snprintf(buf, DUMP_WORDS, "From byte %u, %u numbers of %u bytes", f->offset, f->n,
			 f->width);
	else if (f->style == VHU_STYLE_BYTES)
		snprintf(buf, DUMP_WORDS, "From byte %u, at most %u bytes", f->offset, f->n);
	else if (last + f->n - 1U > f->offset)
		snprintf(buf, DUMP_WORDS, "Bytes %u to %u", f->offset, last + f->n - 1U);
	else
		snprintf(buf, DUMP_WORDS, "Byte %u", f->offset);
	return buf;
}

const struct vhu_shape *dump_shape_at(size_t i)
{
	static const char *const names[] = {
#define SHAPE(shape, min, max) #shape,
#include "vhu/shapes.def"
	};

	return i < ARRAY_SIZE(names) ? vhu_shape_find(names[i]) : NULL;
}
