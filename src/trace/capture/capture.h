/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Captures: records in a pcapng file that Wireshark opens, too.
 *
 * Interface 0 has messages and what surrounds them, interface 1 pictures of
 * rings. If it is known what device it is, interface 0 has the description
 * "device NAME", with a name of --device. Both have link type WIRESHARK_UPPER_PDU, whose tags name
 *the dissector "vhost_user". What follows the tags is an envelope, little-endian but for the bytes
 *of a message, which are as they were:
 *
 *	u8 version (1), u8 kind (enum trace_kind), u8 direction (0 to the
 *	back-end), u8 channel, u32 session, u32 ring, u8 cause, u8 0, u16 n_fds
 *	n_fds times: u8 kind (enum fd_kind), u8 flags (1 read-only, 2 non-blocking),
 *		u16 length of path, u32 seals, u64 size, u64 inode (eventfds: their id), path
 *	and the rest: bytes of a message, text, or a packed picture (picture.h)
 *
 * Every packet has its line of text as comment. What somebody sent has its
 * direction in epb_flags, too: inbound is to the back-end. Times are in
 * nanoseconds.
 */
#ifndef VHU_TRACE_CAPTURE_H
#define VHU_TRACE_CAPTURE_H

#include <stdio.h>

#include "trace/record.h"

enum {
	CAPTURE_VERSION = 1,
	CAPTURE_ENVELOPE = 16,
	CAPTURE_MAX_PACKET = 2 << 20,
	CAPTURE_MAX_DEVICE = 32, /* letters of its name */
};

struct capture_writer;

/*
 * Writes to fd (taken), each packet with one write, so that a reader that comes
 * too early finds whole ones. device: its name, or NULL; left out if it
 * is none. NULL with errno: the header could not be written.
 */
struct capture_writer *capture_writer_new(int fd, const char *device);

/* comment: the text, or NULL; it becomes one line. */
void capture_write(struct capture_writer *w, const struct trace_record *record,
		   const char *comment);

/* 0, or the first error there was. Frees w. */
int capture_writer_finish(struct capture_writer *w);

/* What was found besides records. */
struct capture_about {
	unsigned int n_foreign; /* packets that are not ours, or damaged: passed over */
	/* As the file says before its first record, small letters, digits and "-"; or "". */
	char device[CAPTURE_MAX_DEVICE + 1];
};

/*
 * Every record of in to sink, *ret_about filled meanwhile. Files that others have made or cut: 0,
 * or a negative errno with a sentence and the place in error (-EINVAL: not such a file; -ENODATA:
 * it ends within a block, what came before has been told). All that records lend is as record.h
 * says; text may have controls.
 */
int capture_read(FILE *in, struct trace_sink *sink, struct capture_about *ret_about,
		 char error[256]);

#endif
