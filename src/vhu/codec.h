/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bytes to messages and back (rst "Message Specification"). Numbers are in
 * native byte order. Everything copies; nothing is cast over the wire.
 */
#ifndef VHU_VHU_CODEC_H
#define VHU_VHU_CODEC_H

#include "vhu/proto.h"

/*
 * Reads id, flags and size; dir, payload and fds stay as they are. Zero, or
 * -EMSGSIZE when size exceeds VHU_MAX_PAYLOAD: the fields are set even then, so
 * that vhu_check_header() can name what is wrong, but the payload must not be
 * read.
 */
int vhu_header_parse(const uint8_t hdr[VHU_HDR_LEN], struct vhu_msg *m);

/* Writes the header of m. */
void vhu_header_pack(const struct vhu_msg *m, uint8_t hdr[VHU_HDR_LEN]);

/* An empty request of version 1: no flag, payload or descriptor. What m held is not looked at. */
void vhu_msg_init(struct vhu_msg *m, enum vhu_dir dir, uint32_t id);

/* An empty reply to request: its id, its direction, flags exactly VHU_REPLY_FLAGS. */
void vhu_msg_init_reply(struct vhu_msg *m, const struct vhu_msg *request);

/*
 * Replaces the payload by len bytes, at most VHU_MAX_PAYLOAD (asserted: the
 * length of what we send is ours).
 */
void vhu_msg_put(struct vhu_msg *m, const void *payload, size_t len);
void vhu_msg_put_u64(struct vhu_msg *m, uint64_t value);

/* How much of the payload there is: size, but never more than VHU_MAX_PAYLOAD. */
size_t vhu_msg_payload_len(const struct vhu_msg *m);

/* Copies len bytes of payload into *ret_struct; bytes that the payload lacks become zero. */
void vhu_msg_get(const struct vhu_msg *m, void *ret_struct, size_t len);

/* The first eight bytes of the payload as a number, missing ones being zero. */
uint64_t vhu_msg_u64(const struct vhu_msg *m);

/*
 * The ring that a request names, by its row: false when it names none or the
 * payload is too short. The index is as received, not checked.
 */
bool vhu_msg_ring(const struct vhu_msg *m, uint32_t *ret_ring);

/*
 * The payload length that the shape and the payload's own count ask for: fixed
 * shapes give their largest. False when the count is missing or above what the
 * shape allows.
 */
bool vhu_shape_expected_len(const struct vhu_shape *shape, const struct vhu_msg *m,
			    uint32_t *ret_len);

/*
 * A well-formed example of a request: a seed for testers and fuzzers. Values
 * satisfy vhu_check_request() wherever they do not depend on the session.
 * Returns how many descriptors are to be attached.
 */
unsigned int vhu_msg_init_sample(struct vhu_msg *m, const struct vhu_desc *desc);

/* Writes header and payload as they travel and returns their length. */
size_t vhu_msg_pack(const struct vhu_msg *m, uint8_t buf[VHU_HDR_LEN + VHU_MAX_PAYLOAD]);

/*
 * Makes messages of a byte stream that comes in arbitrary pieces. Descriptors
 * are not its business.
 */
struct vhu_assembler {
	uint8_t hdr[VHU_HDR_LEN];
	size_t n_hdr;	  /* header bytes so far */
	size_t n_payload; /* payload bytes so far */
	struct vhu_msg msg;
};

enum vhu_assembly {
	VHU_ASSEMBLY_MORE,    /* all bytes taken, the message is incomplete */
	VHU_ASSEMBLY_MESSAGE, /* msg is complete; it is good until the next feed */
	VHU_ASSEMBLY_BROKEN,  /* the size is absurd: msg has the header, framing is lost for good */
};

/* Starts with nothing; messages get direction dir. */
void vhu_assembler_init(struct vhu_assembler *a, enum vhu_dir dir);

/*
 * Takes bytes up to the end of one message and says in *ret_taken how many.
 * After BROKEN every feed takes nothing and says BROKEN again.
 */
enum vhu_assembly vhu_assembler_feed(struct vhu_assembler *a, const uint8_t *bytes, size_t len,
				     size_t *ret_taken);

/* Whether bytes of an incomplete message are held: end of stream now is a truncation. */
bool vhu_assembler_midway(const struct vhu_assembler *a);

#endif
