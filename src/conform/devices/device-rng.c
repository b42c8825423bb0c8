/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An entropy source: buffers that come back filled, at least in part. */
#include "conform/devices/device-list.h"
#include "conform/trial/trial.h"

enum { ASKED = 64, ENOUGH = 16 /* bytes that are not all 0 by chance */ };

int device_rng_prepare(struct trial *t)
{
	(void)t;
	return 0;
}

int device_rng_request(struct trial *t, struct device_request *request)
{
	(void)t;
	request->in_len = ASKED;
	return 0;
}

int device_rng_answered(struct trial *t, const struct device_request *request)
{
	unsigned int sum = 0;

	if (request->used_len == 0 || request->used_len > request->in_len)
		return trial_fail(t, "entropy: expected 1 to %zu bytes, but %u came",
				  request->in_len, request->used_len);
	for (uint32_t i = 0; i < request->used_len; i++)
		sum |= request->in[i];
	if (sum == 0 && request->used_len >= ENOUGH)
		return trial_fail(t, "entropy: expected random bytes, but all %u are 0",
				  request->used_len);
	return 0;
}
