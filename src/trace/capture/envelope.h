/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A record as the bytes of a packet, as capture.h describes them, and back. */
#ifndef VHU_TRACE_ENVELOPE_H
#define VHU_TRACE_ENVELOPE_H

#include <stdio.h>

#include "trace/record.h"

/* The name by which Wireshark finds the dissector. */
#define ENVELOPE_DISSECTOR "vhost_user"

/*
 * The bytes of the packet, a new string of *ret_len bytes; NULL: no memory.
 * Text is cut at TRACE_MAX_TEXT, descriptors at TRACE_MAX_FDS, bytes at
 * TRACE_MAX_RAW.
 */
uint8_t *envelope_pack(const struct trace_record *record, size_t *ret_len);

/* A record and what it lends. */
struct envelope {
	struct trace_record record; /* its time is not in the packet: 0 */
	struct fd_about fds[TRACE_MAX_FDS];
	char text[TRACE_MAX_TEXT];
	struct ring_picture *picture;
};

/*
 * From foreign bytes, which stay as long as the record is used. False unless it
 * is such a packet and all in it is as record.h says; nothing is to be released
 * then.
 */
bool envelope_unpack(struct envelope *e, const uint8_t *bytes, size_t len);
void envelope_release(struct envelope *e);

#endif
