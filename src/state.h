/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * State as bytes: what one process writes for another that goes on in its
 * place, perhaps of another version, perhaps of another project, perhaps
 * hostile.
 *
 * A state is a header, fields, and a checksum; all numbers are little-endian:
 *
 *   "vhustate", kind u32, version u32     16 bytes
 *   fields
 *   FNV-1a of all before u64              8 bytes
 *
 *   field: tag u16, type u8, flags u8, length u32, then as many bytes
 *
 * Within a group (and at the top) the fields stand in the order of their tags,
 * the same tag any number of times. So a reader goes through once, and meets
 * what it does not know where it is: an optional field is passed over, a
 * required one ends it. No count is declared anywhere: there is as much as
 * there are bytes.
 */
#ifndef VHU_STATE_H
#define VHU_STATE_H

#include "base.h"

enum {
	STATE_HEADER_LEN = 16,
	STATE_FIELD_LEN = 8,  /* of a field's own header */
	STATE_CHECK_LEN = 8,  /* the checksum */
	STATE_DEPTH_MAX = 8,  /* of groups within groups */
	STATE_WHY_MAX = 192,  /* of a reader's sentence, with its NUL */
	STATE_OPTIONAL = 256, /* added to a tag when it is written: a reader may pass it over */
	STATE_TAG_MAX = 255,
};

enum state_type {
	STATE_NUMBER = 1, /* u64 */
	STATE_BYTES = 2,
	STATE_GROUP = 3, /* of fields */
};

struct state_writer {
	uint8_t *buf; /* the writer's, until it is taken */
	size_t len, cap;
	bool failed; /* no memory, or more than a field can hold */
	unsigned int depth;
	size_t group[STATE_DEPTH_MAX + 1]; /* where each open group's field begins */
	unsigned int tag[STATE_DEPTH_MAX + 1];
};

/*
 * Begins a state of this kind (four characters, say) and version. Without
 * memory nothing is written from then on, and state_finish() says so.
 */
void state_writer_init(struct state_writer *w, uint32_t kind, uint32_t version);
void state_writer_fini(struct state_writer *w);

/* tag: at most STATE_TAG_MAX, perhaps plus STATE_OPTIONAL; not below the one before. */
void state_put_number(struct state_writer *w, unsigned int tag, uint64_t value);
void state_put_bytes(struct state_writer *w, unsigned int tag, const void *data, size_t len);

/* A field of bytes in pieces: begin, any number of these, end. */
void state_begin_bytes(struct state_writer *w, unsigned int tag);
void state_add_bytes(struct state_writer *w, const void *data, size_t len);

/* Between these two, fields of a group. The second one ends begun bytes as well. */
void state_begin_group(struct state_writer *w, unsigned int tag);
void state_end(struct state_writer *w);

/* Adds the checksum: buf holds len bytes. 0 or -ENOMEM. */
int state_finish(struct state_writer *w);

/*
 * A reader goes through bytes that stay where they are. It remembers the first
 * thing that is wrong as a sentence; from then on it gives zeroes and nothing,
 * so that a caller may look once, at the end.
 */
struct state_reader {
	const uint8_t *buf;
	size_t at;
	unsigned int depth;
	size_t end[STATE_DEPTH_MAX + 1];
	const char *name[STATE_DEPTH_MAX + 1]; /* of the groups that were entered */
	uint32_t version;
	bool failed;
	char why[STATE_WHY_MAX]; /* "" while nothing is wrong */
};

/* Checks header and checksum. Versions 1 to max_version of this kind are read. */
void state_reader_init(struct state_reader *r, const void *buf, size_t len, uint32_t kind,
		       uint32_t max_version);

/*
 * The next field, which must have this tag; name is what a sentence calls it
 * (static). A number is at most max; bytes are at most max_len and stay in the
 * state's.
 */
uint64_t state_take_number(struct state_reader *r, unsigned int tag, const char *name,
			   uint64_t max);
bool state_take_flag(struct state_reader *r, unsigned int tag, const char *name);
size_t state_take_bytes(struct state_reader *r, unsigned int tag, const char *name, size_t max_len,
			const uint8_t **ret_bytes);

/* Whether the next field that is not passed over has this tag: for what may be there or not. */
bool state_has(struct state_reader *r, unsigned int tag);

/*
 * Enters a group: false if something is wrong with it. Leaving passes over
 * what is left of it, all of which must be optional.
 */
bool state_enter(struct state_reader *r, unsigned int tag, const char *name);
void state_leave(struct state_reader *r);

/* What was read makes no sense to the caller. The sentence gets its place in front. */
PRINTF_LIKE(2, 3)
void state_fail(struct state_reader *r, const char *fmt, ...);

/* Nothing required is left. 0, or -EINVAL with r->why. */
int state_end_of(struct state_reader *r);

#endif
