/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the views share among each other. */
#ifndef VHU_TRACE_VIEWS_PRIVATE_H
#define VHU_TRACE_VIEWS_PRIVATE_H

#include "trace/views/views.h"
#include "vhu/fields.h"

/* A view that writes each record at once, so that readers of a pipe see it. */
struct view_stream {
	struct trace_view view;
	FILE *out;
	struct view_options options;
	bool many; /* there has been more than one session */
	int error; /* the first, negative; nothing is written after it */
	void (*compose)(struct view_stream *s, FILE *out, const struct trace_told *told);
};

/* NULL: no memory. */
struct trace_view *view_stream_new(FILE *out, const struct view_options *options,
				   void (*compose)(struct view_stream *s, FILE *out,
						   const struct trace_told *told));

/* Who sends in this direction: "front-end", "back-end". */
const char *view_sender(enum trace_dir dir);

/* A record as text, with all that the options ask for; many: with the session's number. */
void view_text_record(FILE *out, const struct trace_told *told, const struct view_options *options,
		      bool many);

/* An ANSI sequence, if the options want colours. */
#define VIEW_BOLD "1"
#define VIEW_DIM "2"
#define VIEW_RED "1;31"
#define VIEW_YELLOW "33"
#define VIEW_CYAN "36"
#define VIEW_PLAIN "0"
void view_paint(FILE *out, const struct view_options *options, const char *code);

/*
 * Prints text, from column at on, and ends the line; breaks it between words,
 * where it can before a group in braces, and goes on at column indent.
 */
void view_put_wrapped(FILE *out, const char *text, size_t at, size_t indent);

/* "84 us", with three digits. */
void view_put_ns(FILE *out, uint64_t ns);

/* Text of at most that many bytes in quotes, as C would write it. */
void view_put_excerpt(FILE *out, const uint8_t *bytes, size_t len, size_t most);

/*
 * Bytes in rows of width, each with its place; equal rows are a "*". A label,
 * which may be NULL, stands beside the first.
 */
struct view_dump {
	size_t at; /* place of the first byte */
	size_t width;
	bool ascii;
	const char *label;
};

void view_put_dump(FILE *out, const struct view_dump *dump, const uint8_t *bytes, size_t len,
		   int indent);

/* Whether a back-end offers a bit; not known, or not of interest, for the most part. */
enum view_offer { VIEW_OFFER_UNKNOWN, VIEW_OFFER_YES, VIEW_OFFER_NO };

struct view_bit {
	unsigned int number;
	const char *name; /* NULL: it has none */
	const char *text; /* what it is for, or NULL */
	bool set;
	enum view_offer offer;
};

/* What bits of a message are judged by. */
struct view_bits {
	const struct vhu_msg *msg;
	uint64_t offered;
	const char *device;
};

/*
 * The i-th bit (from 0) of a mask that is set or, where a front-end accepts, is
 * offered; false: no more, or f is no mask.
 */
bool view_bit_at(const struct view_bits *bits, const struct vhu_field_view *f, unsigned int i,
		 struct view_bit *ret_bit);

/* The number of a field of up to eight bytes. */
uint64_t view_field_number(const struct vhu_field_view *f);

/* One of the three areas of a ring, and where it lies. */
struct view_area {
	const char *what;
	uint64_t user, len;		   /* len 0: not known */
	const struct story_region *region; /* in which it begins; NULL: none */
	unsigned int region_idx;
	uint64_t guest, offset; /* of its first byte, if region */
	const char *fault;	/* what is wrong with that, or NULL */
};

enum { VIEW_N_AREAS = 3 };

/* False: the ring has no addresses. */
bool view_ring_areas(const struct story_session *session, uint32_t ring,
		     struct view_area ret_areas[VIEW_N_AREAS]);

/* The areas of one ring, a line each. */
void view_text_areas(FILE *out, const struct story_session *session, uint32_t ring, int indent);

/* A picture with its messages in words. */
void view_text_picture(FILE *out, const struct trace_told *told, const struct view_options *options,
		       int indent);

/* The message that a chain of a control queue carries, in words; 0: none is known. As snprintf().
 */
size_t view_chain_control(char *buf, size_t cap, const struct trace_told *told, size_t chain_idx,
			  const char *device);

/* Whether told ends its session: once for each. */
bool view_session_over(const struct trace_told *told);

/* What became of the chains of each ring, up to the end: what told is. */
void view_text_chains(FILE *out, const struct trace_told *told, int indent);

/* Rings whose chains wait in vain at that end, a line each. */
void view_text_hanging(FILE *out, const struct trace_told *told, const struct view_options *options,
		       int indent);

#endif
