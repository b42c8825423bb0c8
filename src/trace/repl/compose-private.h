/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Shared by the files of compose.h. */
#ifndef VHU_TRACE_COMPOSE_PRIVATE_H
#define VHU_TRACE_COMPOSE_PRIVATE_H

#include "trace/repl/compose.h"

enum { COMPOSE_TOKEN = 2 * VHU_MAX_PAYLOAD + 4 };

/* Text that becomes a message. */
struct composing {
	const char *at; /* what is left */
	struct composed *c;
	const struct vhu_shape *shape;
	size_t extent;	/* the end of the last field that was given */
	size_t missing; /* bytes that the payload is to lack */
	uint8_t extra[VHU_MAX_PAYLOAD];
	size_t n_extra;
	char token[COMPOSE_TOKEN];
	char *error; /* 256 bytes */
};

/* -EINVAL, with a sentence in p->error. */
PRINTF_LIKE(2, 3) int compose_fail(struct composing *p, const char *fmt, ...);

/* What stands at p->at up to a blank or one of stops, which is left there; good until the next. */
const char *compose_token(struct composing *p, const char *stops);

/* A field by its path: where it is in the payload. */
struct compose_place {
	const struct vhu_field *field;
	size_t offset;
	size_t n; /* elements from there on that are meant */
};

bool compose_place(const struct vhu_shape *shape, size_t base, const char *path,
		   struct compose_place *ret_place);

/* "X has no field Y; its fields are ..." */
int compose_no_field(struct composing *p, const struct vhu_shape *shape, const char *name);

/* The field whose bits have names, or that alone makes the payload; NULL. */
const struct vhu_field *compose_bare_field(const struct vhu_shape *shape);
bool compose_is_mask(const struct vhu_field *f);

/* The value at p->at becomes the field's. */
int compose_value(struct composing *p, const struct compose_place *place);

/* "NAME|bit3|0x10" of the field's bits: they alone are set, and count as given. */
int compose_add_bits(struct composing *p, const struct vhu_field *f, const char *text);

/* The ring's number, or bits besides number and flag, of a word that names a ring. */
int compose_ring_part(struct composing *p, const struct vhu_field *f, bool reserved);
void compose_set(struct composing *p, size_t offset, size_t width, uint64_t value, uint64_t mask);

/* Fields up to the end of the text, or to close. */
int compose_items(struct composing *p, const struct vhu_shape *shape, size_t base, char close);

#endif
