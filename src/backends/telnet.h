/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The telnet protocol of one client, by libtelnet: bytes of the wire on one
 * side, the console's on the other. It asks for character mode (ECHO, SGA),
 * eight-bit bytes (BINARY) and the window's size (NAWS). A break becomes the
 * byte 0x0f, by which Linux's hvc consoles begin a Magic SysRq; the other keys
 * that telnet has commands for (interrupt, erase, ...) the usual control
 * characters. Until the peer agrees to BINARY, an end of line is one CR for the
 * guest, and a CR alone is CR NUL on the wire (RFC 854).
 */
#ifndef VHU_BACKENDS_TELNET_H
#define VHU_BACKENDS_TELNET_H

#include "handover.h"

struct telnet;

enum {
	TELNET_ANSWER_MAX = 16, /* see telnet_receive() */
	TELNET_SUBNEGOTIATION_MAX = 8 * 1024,
};

/* What it calls, with the arg of telnet_new(). None may call telnet_end(). */
struct telnet_ops {
	/* Bytes for the guest: never more, all in all, than were received. */
	void (*input)(void *arg, const void *data, size_t len);
	/* Bytes for the wire. */
	void (*send)(void *arg, const void *data, size_t len);
	/* 0: the peer does not say. */
	void (*resized)(void *arg, uint16_t cols, uint16_t rows);
	/*
	 * The peer breaks the protocol beyond repair: one sentence, lent for the
	 * call. Told once; nothing is received after it.
	 */
	void (*failed)(void *arg, const char *why);
};

/* False when this build is without libtelnet: telnet_new() is -EOPNOTSUPP then. */
bool telnet_available(void);

/*
 * Calls send with the opening negotiation, at once. Zero, -ENOMEM or
 * -EOPNOTSUPP. ops and arg are lent until telnet_end().
 */
int telnet_new(const struct telnet_ops *ops, void *arg, struct telnet **ret_telnet);
void telnet_end(struct telnet *t);

/*
 * For a hand-over, as a group: what the peer has agreed to and what it is in
 * the middle of. Loaded into one that is new, whose opening is not to be sent.
 */
void telnet_save(const struct telnet *t, struct handover_out *out, unsigned int tag);
void telnet_load(struct telnet *t, struct handover_in *in, unsigned int tag);

/*
 * Bytes came from the wire. Calls input, send, resized, failed; send with at
 * most len + TELNET_ANSWER_MAX bytes all in all.
 */
void telnet_receive(struct telnet *t, const void *data, size_t len);

/* The console's output: calls send, with at most 2 * len bytes all in all. */
void telnet_output(struct telnet *t, const void *data, size_t len);

#endif
