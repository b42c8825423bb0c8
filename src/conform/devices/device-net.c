/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A network device: frames of a protocol for experiments, which nobody answers. */
#include <string.h>

#include "conform/devices/device-list.h"
#include "conform/trial/trial.h"

enum {
	HEADER_LEN = 12, /* of virtio 1.0: num_buffers is always there */
	LEGACY_LEN = 10,
	FRAME_LEN = 60,
	F_MRG_RXBUF = 15,
	F_VERSION_1 = 32,
};

int device_net_prepare(struct trial *t)
{
	(void)t;
	return 0;
}

int device_net_request(struct trial *t, struct device_request *request)
{
	static const uint8_t ether[14] = {
		0x52, 0x55, 0, 0, 0, 2, 0x52, 0x55, 0, 0, 0, 1, 0x88, 0xb5,
	};
	bool short_header = !(t->fe.nego.features & (BIT(F_MRG_RXBUF) | BIT(F_VERSION_1)));
	size_t head = short_header ? LEGACY_LEN : HEADER_LEN;

	memset(request->out, 0, head + FRAME_LEN);
	memcpy(request->out + head, ether, sizeof(ether));
	request->out[head + sizeof(ether)] = (uint8_t)request->number;
	request->out_len = head + FRAME_LEN;
	return 0;
}

int device_net_answered(struct trial *t, const struct device_request *request)
{
	return device_nothing_written(t, request);
}
