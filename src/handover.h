/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a daemon hands over to the program that goes on in its place, in the
 * same process: a state (state.h) that names open descriptors by number. Each
 * object has a function that writes it down and one that makes it from that.
 * All loops are parked (loop_park()) at both times.
 */
#ifndef VHU_HANDOVER_H
#define VHU_HANDOVER_H

#include "state.h"

enum {
	HANDOVER_KIND = 0x70557668, /* "hvUp" */
	HANDOVER_VERSION = 1,
	HANDOVER_BYTES_MAX = 1 << 30, /* of one field */
	HANDOVER_FD_MAX = 1 << 20,
};

struct handover_out {
	struct state_writer state;
	int *fds; /* lent: those that the state names */
	size_t n_fds, cap_fds;
	bool failed;  /* no memory */
	char why[96]; /* what cannot be handed over at present; "": nothing */
};

void handover_out_init(struct handover_out *out);
void handover_out_fini(struct handover_out *out);

/* Names a descriptor, which stays the caller's; negative: none. */
void handover_put_fd(struct handover_out *out, unsigned int tag, int fd);

/*
 * A descriptor that was passed to the daemon and stays open under its number
 * for whoever asks for it later; nothing if it is another thing by now.
 */
void handover_keep_fd(struct handover_out *out, int fd);

/* Something is on its way that has to end first. The first sentence stays. */
PRINTF_LIKE(2, 3)
void handover_busy(struct handover_out *out, const char *fmt, ...);

struct handover_in {
	struct state_reader state;
	uint8_t *taken; /* by number: whether it is taken, or kept */
	int n_taken;
};

/* buf stays until fini. 0 or -ENOMEM; what is wrong with the bytes is the reader's to say. */
int handover_in_init(struct handover_in *in, const void *buf, size_t len);
void handover_in_fini(struct handover_in *in);

/*
 * The descriptor, which is the caller's then and close-on-exec; -1: there is
 * none, which is an error if it is needed.
 */
int handover_take_fd(struct handover_in *in, unsigned int tag, const char *name, bool needed);

/* The other side of handover_keep_fd(). */
void handover_kept_fd(struct handover_in *in, int fd);

/* Whether the number was taken or kept. */
bool handover_taken(const struct handover_in *in, int fd);

/* Bytes of exactly this length into buf. */
void handover_take_exact(struct handover_in *in, unsigned int tag, const char *name, void *buf,
			 size_t len);

/* Text of less than cap bytes into buf, with a NUL. */
void handover_take_text(struct handover_in *in, unsigned int tag, const char *name, char *buf,
			size_t cap);

/* A text of any length, for the caller to free; NULL if something is wrong. */
char *handover_dup_text(struct handover_in *in, unsigned int tag, const char *name);

static inline void handover_put_text(struct handover_out *out, unsigned int tag, const char *text)
{
	state_put_bytes(&out->state, tag, text, __builtin_strlen(text));
}

#endif
