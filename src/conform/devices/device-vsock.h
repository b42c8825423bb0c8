/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packets of a socket device. */
#ifndef VHU_CONFORM_DEVICE_VSOCK_H
#define VHU_CONFORM_DEVICE_VSOCK_H

#include "conform/trial/trial.h"

enum {
	VSOCK_HEADER_LEN = 44,
	VSOCK_HOST_CID = 2,
	VSOCK_STREAM = 1,
};

enum vsock_op {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE = 2,
	VSOCK_RST = 3,
	VSOCK_SHUTDOWN = 4,
	VSOCK_RW = 5,
	VSOCK_CREDIT_UPDATE = 6,
	VSOCK_CREDIT_REQUEST = 7,
};

struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

/* The guest's own number, as the configuration says; 3 without one. */
uint64_t vsock_guest_cid(const struct trial *t);

void vsock_pack(const struct vsock_packet *packet, uint8_t bytes[VSOCK_HEADER_LEN]);
void vsock_unpack(const uint8_t bytes[VSOCK_HEADER_LEN], struct vsock_packet *ret_packet);

#endif
