/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user protocol as data: numbers, names, payload structs and one
 * descriptor per request, all expanded from the lists beside this file. Pure:
 * no I/O, no state.
 *
 * Structs describe the wire (native byte order) but are never laid over
 * received bytes: codec copies into them.
 */
#ifndef VHU_VHU_PROTO_H
#define VHU_VHU_PROTO_H

#include "base.h"
#include "fd.h"
#include "virtio/features.h"

/* Sizes in bytes, limits as counts. */
#define VHU_HDR_LEN 12
#define VHU_VERSION 1
#define VHU_MAX_PAYLOAD 4096
#define VHU_MAX_REGIONS 8
#define VHU_MAX_SHMEM 256
#define VHU_MAX_CONFIG (VHU_MAX_PAYLOAD - VHU_HDR_LEN)
#define VHU_MAX_RINGS 1024
/* Rings whose index fits beside a descriptor; those after them have none (in-band only). */
#define VHU_MAX_FD_RINGS 256
#define VHU_MAX_QUEUE_SIZE 32768

/* Masks of the header's flags word (rst "Header"). */
#define VHU_FLAG_VERSION_MASK UINT32_C(0x3)
#define VHU_FLAG_REPLY UINT32_C(0x4)
#define VHU_FLAG_NEED_REPLY UINT32_C(0x8)
#define VHU_FLAG_RESERVED_MASK (~UINT32_C(0xf))
/* Front-ends compare the flags of a reply with exactly this word. */
#define VHU_REPLY_FLAGS UINT32_C(0x5)

/* Masks of the word that names a ring and says whether a descriptor comes with it. */
#define VHU_VRING_IDX_MASK UINT64_C(0xff)
#define VHU_VRING_NOFD UINT64_C(0x100)
/* Mask of struct vhu_vring_addr.flags: writes to the used ring are logged. */
#define VHU_VRING_F_LOG UINT32_C(0x1)
/* Values of struct vhu_config.flags. */
#define VHU_CONFIG_GUEST 0
#define VHU_CONFIG_MIGRATION 1
/* Mask of the SET_DEVICE_STATE_FD reply: no descriptor comes with it. */
#define VHU_DEVICE_STATE_NOFD UINT64_C(0x100)

/* Who sends the request; a reply keeps the direction of its request. */
enum vhu_dir { VHU_FE, VHU_BE };

/* VHU_FE_<NAME>: ids of front-end requests. */
enum vhu_fe_id {
#define FE(NAME, id, ...) VHU_FE_##NAME = (id),
#include "vhu/messages.def"
};

/* VHU_BE_<NAME>: ids of back-end requests, without the text's BACKEND_ prefix. */
enum vhu_be_id {
#define BE(NAME, id, ...) VHU_BE_##NAME = (id),
#include "vhu/messages.def"
};

/* VHU_PF_<NAME>_BIT: bit numbers of the protocol features word. */
enum vhu_protocol_feature {
#define PF(NAME, bit, ...) VHU_PF_##NAME##_BIT = (bit),
#include "vhu/features.def"
};

/* VHOST_F_LOG_ALL_BIT and VHU_F_PROTOCOL_FEATURES_BIT, in the features word. */
enum vhu_feature {
#define VHOST_FEATURE(PREFIX, NAME, bit) PREFIX##_##NAME##_BIT = (bit),
#include "vhu/features.def"
};

/* struct vhu_<shape> for every payload. */
#define SHAPE(shape, min, max) struct vhu_##shape {
#define FIELD(shape, type, name, at, style, text) type name;
#define PAD(shape, type, name, at, text) type name;
#define BYTES(shape, name, at, n, style, text) uint8_t name[n];
#define WORDS(shape, name, at, n, text) uint64_t name[n];
#define NEST(shape, inner, name, at, text) struct vhu_##inner name;
#define NESTS(shape, inner, name, at, n, text) struct vhu_##inner name[n];
/* The formatter would make a block of the brace. */
/* clang-format off */
#define SHAPE_END(shape, size) };
/* clang-format on */
#include "vhu/shapes.def"

/*
 * One message with its descriptors, which it owns. size may exceed the payload
 * only between parsing a header and vhu_check_header(), which refuses that.
 */
struct vhu_msg {
	enum vhu_dir dir;
	uint32_t id;
	uint32_t flags;
	uint32_t size;
	uint8_t payload[VHU_MAX_PAYLOAD] __attribute__((aligned(8)));
	struct fdset fds;
};

/* How a field is printed. */
enum vhu_style {
	VHU_STYLE_DEC,
	VHU_STYLE_HEX,
	VHU_STYLE_FEATURES,  /* virtio and vhost feature bits by name */
	VHU_STYLE_PROTOCOL,  /* protocol feature bits by name */
	VHU_STYLE_STATUS,    /* device status bits by name */
	VHU_STYLE_RING_WORD, /* ring index and no-fd bit */
	VHU_STYLE_BYTES,
	VHU_STYLE_UUID,
	VHU_STYLE_WORDS,   /* 64-bit numbers, zeroes left out */
	VHU_STYLE_NEST,	   /* fields of another shape */
	VHU_STYLE_PADDING, /* never printed */
};

struct vhu_shape;

/* n elements of width bytes, from byte offset on. */
struct vhu_field {
	const char *name;
	uint16_t offset;
	uint16_t width;
	uint16_t n;
	enum vhu_style style;
	const struct vhu_shape *inner; /* NEST only */
	const char *text;	       /* what it means, in one phrase */
};

/*
 * A payload layout. Lengths run from min_len to max_len; when counted, the
 * u32 at count_offset says how many units of unit_len follow prefix_len bytes,
 * and at most max_count do.
 */
struct vhu_shape {
	const char *name;
	uint32_t min_len;
	uint32_t max_len;
	bool counted;
	uint32_t count_offset;
	uint32_t prefix_len;
	uint32_t unit_len;
	uint32_t max_count;
	const struct vhu_field *fields;
	size_t n_fields;
};

/* Descriptors with a request or its reply. */
enum vhu_fd_kind {
	VHU_FD_NONE,
	VHU_FD_ONE,
	VHU_FD_OPTIONAL, /* at most one */
	VHU_FD_REGIONS,	 /* as many as the table has regions */
	VHU_FD_RING,	 /* one, or none when the no-fd bit is set */
	VHU_FD_IF,	 /* one if protocol feature `bit` is negotiated, else none */
};

struct vhu_fd_rule {
	enum vhu_fd_kind kind;
	unsigned int bit;
};

/* When a request is answered. */
enum vhu_reply_kind {
	VHU_REPLY_ACK, /* u64, if REPLY_ACK is negotiated and asked for */
	VHU_REPLY_ALWAYS,
	VHU_REPLY_IF,	 /* always if protocol feature `bit` is negotiated, else ACK */
	VHU_REPLY_ASKED, /* u64 if asked for, negotiated or not */
};

struct vhu_reply_rule {
	enum vhu_reply_kind kind;
	unsigned int bit;
};

/* What must have been agreed before a request may be sent. */
enum vhu_gate_kind {
	VHU_GATE_NONE,
	VHU_GATE_OFFERED,  /* PROTOCOL_FEATURES offered */
	VHU_GATE_ACKED,	   /* PROTOCOL_FEATURES accepted */
	VHU_GATE_PROTOCOL, /* protocol feature `bit` */
	VHU_GATE_LAX,	   /* protocol feature `bit`, but in use without it */
	VHU_GATE_VIRTIO,   /* feature `bit` accepted */
};

struct vhu_gate {
	enum vhu_gate_kind kind;
	unsigned int bit;
};

/* Where a request names its ring. */
enum vhu_index { VHU_INDEX_NONE, VHU_INDEX_LOW, VHU_INDEX_FIRST };

/* Which rings must be silent before a request acts. */
enum vhu_quiesce { VHU_QUIESCE_NONE, VHU_QUIESCE_RING, VHU_QUIESCE_ALL };

/* A row of messages.def. Shapes are never NULL: no payload is one of max_len 0. */
struct vhu_desc {
	enum vhu_dir dir;
	uint32_t id;
	const char *name; /* as in the text, BACKEND_ prefix included */
	const struct vhu_shape *request;
	const struct vhu_shape *reply;
	struct vhu_fd_rule fds;
	struct vhu_fd_rule reply_fds;
	struct vhu_reply_rule replied;
	struct vhu_gate gate;
	enum vhu_index index;
	enum vhu_quiesce quiesce;
	const char *text;
	const char *ref;
};

/* The row of a request, or NULL for an id that is in no table. */
const struct vhu_desc *vhu_desc_find(enum vhu_dir dir, uint32_t id);

/* All rows, front-end requests first, each direction in order of ids: 0 to count - 1. */
size_t vhu_desc_count(void);

/* Row i, or NULL from vhu_desc_count() on. */
const struct vhu_desc *vhu_desc_at(size_t i);

/* The shape of the u64 by which requests without a reply of their own are acknowledged. */
const struct vhu_shape *vhu_shape_ack(void);

/* The shape that is called name in shapes.def, or NULL. */
const struct vhu_shape *vhu_shape_find(const char *name);

/* The name in the text, or "unknown". */
const char *vhu_msg_name(enum vhu_dir dir, uint32_t id);

/* Names of bits, or NULL for a bit that has none (device type bits among them). */
const char *vhu_protocol_feature_name(unsigned int bit);
const char *vhu_feature_name(unsigned int bit);

/* What protocol feature `bit` is for, in words, or NULL. */
const char *vhu_protocol_feature_text(unsigned int bit);

/* Mask of the protocol features that feature `bit` cannot do without; 0 for an unknown one. */
uint64_t vhu_protocol_feature_needs(unsigned int bit);

#endif
