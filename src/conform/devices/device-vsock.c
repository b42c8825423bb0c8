/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A socket device: resets of connections that there are not, which are taken
 * and never answered, so that no receive buffer is needed.
 */
#include "conform/devices/device-vsock.h"

#include <string.h>

#include "conform/devices/device-list.h"

enum { GUEST_CID = 3 };

static void put(uint8_t *at, uint64_t value, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, unsigned int n)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < n; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

uint64_t vsock_guest_cid(const struct trial *t)
{
	uint64_t cid = t->target->info.config_len >= 8 ? get(t->target->info.config, 8) : 0;

	return cid > VSOCK_HOST_CID ? cid : GUEST_CID;
}

void vsock_pack(const struct vsock_packet *packet, uint8_t bytes[VSOCK_HEADER_LEN])
{
	put(bytes, packet->src_cid, 8);
	put(bytes + 8, packet->dst_cid, 8);
	put(bytes + 16, packet->src_port, 4);
	put(bytes + 20, packet->dst_port, 4);
	put(bytes + 24, packet->len, 4);
	put(bytes + 28, packet->type, 2);
	put(bytes + 30, packet->op, 2);
	put(bytes + 32, packet->flags, 4);
	put(bytes + 36, packet->buf_alloc, 4);
	put(bytes + 40, packet->fwd_cnt, 4);
}

void vsock_unpack(const uint8_t bytes[VSOCK_HEADER_LEN], struct vsock_packet *ret_packet)
{
	*ret_packet = (struct vsock_packet){
		.src_cid = get(bytes, 8),
		.dst_cid = get(bytes + 8, 8),
		.src_port = (uint32_t)get(bytes + 16, 4),
		.dst_port = (uint32_t)get(bytes + 20, 4),
		.len = (uint32_t)get(bytes + 24, 4),
		.type = (uint16_t)get(bytes + 28, 2),
		.op = (uint16_t)get(bytes + 30, 2),
		.flags = (uint32_t)get(bytes + 32, 4),
		.buf_alloc = (uint32_t)get(bytes + 36, 4),
		.fwd_cnt = (uint32_t)get(bytes + 40, 4),
	};
}

int device_vsock_prepare(struct trial *t)
{
	(void)t;
	return 0;
}

int device_vsock_request(struct trial *t, struct device_request *request)
{
	const struct vsock_packet packet = {
		.src_cid = vsock_guest_cid(t),
		.dst_cid = VSOCK_HOST_CID,
		.src_port = 0x10000 + (uint32_t)(request->number & 0xffff),
		.dst_port = 0xfffffff0,
		.type = VSOCK_STREAM,
		.op = VSOCK_RST,
	};

	vsock_pack(&packet, request->out);
	request->out_len = VSOCK_HEADER_LEN;
	return 0;
}

int device_vsock_answered(struct trial *t, const struct device_request *request)
{
	return device_nothing_written(t, request);
}
