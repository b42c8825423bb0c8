/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/devices/device.h"

#include <string.h>

#include "conform/devices/device-list.h"
#include "conform/trial/trial-ring.h"

const struct device devices[] = {
#define DEVICE(label, id, rings, requests, bits, config, header)                                   \
	{                                                                                          \
		.name = #label,                                                                    \
		.virtio_id = (id),                                                                 \
		.min_rings = (rings),                                                              \
		.ring = (requests),                                                                \
		.features = (bits),                                                                \
		.config_len = (config),                                                            \
		.header_len = (header),                                                            \
		.prepare = device_##label##_prepare,                                               \
		.request = device_##label##_request,                                               \
		.answered = device_##label##_answered,                                             \
	},
#include "conform/devices/devices.def"
};

const size_t n_devices = ARRAY_SIZE(devices);

const struct device *device_find(const char *name)
{
	for (size_t i = 0; i < n_devices; i++)
		if (strcmp(devices[i].name, name) == 0)
			return &devices[i];
	return NULL;
}

int device_io(struct trial *t, unsigned int ring, const void *out, size_t out_len, void *in,
	      size_t in_len, uint32_t *ret_used)
{
	struct driverq_buf bufs[2];
	unsigned int n_out = out_len > 0, n_in = in_len > 0;
	uint64_t addr;
	void *host, *token;
	int err = trial_alloc(t, out_len + in_len, 16, &host, &addr);

	if (err < 0)
		return err;
	if (out_len > 0)
		memcpy(host, out, out_len);
	bufs[0] = (struct driverq_buf){ addr, (uint32_t)out_len };
	bufs[n_out] = (struct driverq_buf){ addr + out_len, (uint32_t)in_len };
	err = driverq_add(&t->fe.rings[ring].q, bufs, n_out, n_in, false, host);
	if (err < 0)
		return trial_error(t, "a chain for ring %u: %s", ring, strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, ring), "a kick of ring %u", ring);
	if (err == 0)
		err = trial_step(t,
				 vhu_frontend_await_used(&t->fe, ring, &token, ret_used,
							 trial_ms(t, TRIAL_ANSWER_MS)),
				 "a request on ring %u", ring);
	if (err == 0 && in_len > 0)
		memcpy(in, (uint8_t *)host + out_len, in_len);
	return err;
}

/* Many count what they read: there are cases for that, and it does not harm the others. */
int device_nothing_written(struct trial *t, const struct device_request *request)
{
	if (request->used_len != 0 && t->remark[0] == '\0')
		trial_remark(t, "used lengths of what the device only reads are not 0");
	return 0;
}
