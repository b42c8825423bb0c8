/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A block device: its first sector is read. Nothing is written. */
#include <string.h>

#include "conform/devices/device-list.h"
#include "conform/trial/trial.h"

enum {
	HEADER_LEN = 16, /* type, reserved, sector; type 0: read */
	SECTOR = 512,
	STATUS_IOERR = 1,
};

int device_block_prepare(struct trial *t)
{
	(void)t;
	return 0;
}

int device_block_request(struct trial *t, struct device_request *request)
{
	(void)t;
	memset(request->out, 0, HEADER_LEN);
	request->out_len = HEADER_LEN;
	request->in_len = SECTOR + 1;
	return 0;
}

/* Whether the configuration was read and says that there is not one sector. */
static bool is_empty(const struct trial *t)
{
	static const uint8_t none[8];

	return t->target->info.config_len >= sizeof(none) &&
	       memcmp(t->target->info.config, none, sizeof(none)) == 0;
}

int device_block_answered(struct trial *t, const struct device_request *request)
{
	uint8_t status = request->in[SECTOR];

	if (request->used_len == 0 || request->used_len > request->in_len)
		return trial_fail(t, "a read: expected used length %d, but it is %u", SECTOR + 1,
				  request->used_len);
	if (status == STATUS_IOERR && is_empty(t))
		return 0;
	if (status != 0)
		return trial_fail(t, "a read of sector 0: expected status 0, but it is %u", status);
	if (request->used_len != SECTOR + 1)
		return trial_fail(t, "a read: expected used length %d, but it is %u", SECTOR + 1,
				  request->used_len);
	return 0;
}
