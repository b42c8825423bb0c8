/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The cases that are made for every row of messages.def: what is done to the row's request. */
#ifndef VHU_CONFORM_GENERATED_H
#define VHU_CONFORM_GENERATED_H

#include "conform/trial/trial.h"

enum row_kind {
	ROW_SHORT,
	ROW_LONG,
	ROW_PAYLOAD,  /* a payload where there is none */
	ROW_FD_EXTRA, /* one descriptor too many */
	ROW_FD_MISSING,
	ROW_GATE,	/* its feature was not negotiated */
	ROW_INDEX_NEXT, /* the first index that is no ring's */
	ROW_INDEX_255,
	ROW_INDEX_MAX,
	ROW_REPLY_BIT,
	ROW_VERSION,
	ROW_ACKED,    /* in order, acknowledgement asked for */
	ROW_UNASKED,  /* in order, no acknowledgement asked for */
	ROW_ANSWERED, /* has an answer of its own, and asks for an acknowledgement */
	ROW_N_KINDS,
};

/* What vhu_desc row number and kind are told by case_row.arg. */
static inline uint64_t row_arg(size_t row, enum row_kind kind)
{
	return (uint64_t)row << 8 | (uint64_t)kind;
}

static inline size_t row_of_arg(uint64_t arg)
{
	return (size_t)(arg >> 8);
}

static inline enum row_kind kind_of_arg(uint64_t arg)
{
	return (enum row_kind)(arg & 0xff);
}

/* Whether the request always has an answer of its own once its features are negotiated. */
bool row_has_answer(const struct vhu_desc *desc);

/* The case's function, in case-generated.c. */
int case_generated(struct trial *t);

#endif
