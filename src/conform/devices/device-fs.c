/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A file system: the attributes of its root. */
#include "conform/devices/device-fs.h"

#include <endian.h>
#include <string.h>

#include "conform/devices/device-list.h"

enum {
	INIT_IN_LEN = 16, /* major, minor, max_readahead, flags: as before version 7.36 */
	INIT_UNIQUE = 2,
	GETATTR_IN_LEN = 16,
	MAJOR = 7,
	MINOR = 31,
};

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

size_t fuse_head(uint8_t *bytes, uint32_t opcode, uint64_t unique, uint64_t node, size_t body_len)
{
	memset(bytes, 0, FUSE_IN_LEN);
	put32(bytes, (uint32_t)(FUSE_IN_LEN + body_len));
	put32(bytes + 4, opcode);
	put64(bytes + 8, unique);
	put64(bytes + 16, node);
	return FUSE_IN_LEN + body_len;
}

static void fuse_read_answer(const uint8_t bytes[FUSE_OUT_LEN], struct fuse_answer *ret_answer)
{
	uint32_t len, error;

	memcpy(&len, bytes, sizeof(len));
	memcpy(&error, bytes + 4, sizeof(error));
	memcpy(&ret_answer->unique, bytes + 8, sizeof(ret_answer->unique));
	ret_answer->len = le32toh(len);
	ret_answer->error = (int32_t)le32toh(error);
	ret_answer->unique = le64toh(ret_answer->unique);
}

int fuse_check_answer(struct trial *t, const uint8_t *bytes, uint32_t used_len, uint64_t unique,
		      struct fuse_answer *ret_answer)
{
	if (used_len < FUSE_OUT_LEN)
		return trial_fail(t, "a FUSE answer: expected at least %d bytes, but %u came",
				  FUSE_OUT_LEN, used_len);
	fuse_read_answer(bytes, ret_answer);
	if (ret_answer->len != used_len)
		return trial_fail(t,
				  "a FUSE answer: expected its length to be the %u bytes used, "
				  "but it is %u",
				  used_len, ret_answer->len);
	if (ret_answer->unique != unique)
		return trial_fail(t,
				  "a FUSE answer: expected it to be for request %llu, but it "
				  "is for %llu",
				  (unsigned long long)unique,
				  (unsigned long long)ret_answer->unique);
	if (ret_answer->error > 0 || ret_answer->error < -4095)
		return trial_fail(t, "a FUSE answer: expected 0 or a negative errno, but it is %d",
				  ret_answer->error);
	return 0;
}

int fuse_init(struct trial *t, uint8_t *in, size_t in_len, struct fuse_answer *ret_answer)
{
	uint8_t out[FUSE_IN_LEN + INIT_IN_LEN] = { 0 };
	size_t len = fuse_head(out, FUSE_INIT, INIT_UNIQUE, 0, INIT_IN_LEN);
	uint32_t used_len = 0;
	int err;

	put32(out + FUSE_IN_LEN, MAJOR);
	put32(out + FUSE_IN_LEN + 4, MINOR);
	put32(out + FUSE_IN_LEN + 8, 128 << 10);
	err = device_io(t, trial_ring(t), out, len, in, in_len, &used_len);
	return err < 0 ? err : fuse_check_answer(t, in, used_len, INIT_UNIQUE, ret_answer);
}

int device_fs_prepare(struct trial *t)
{
	uint8_t in[FUSE_OUT_LEN + FUSE_INIT_LEN];
	struct fuse_answer answer;

	return fuse_init(t, in, sizeof(in), &answer);
}

/* Even numbers: odd ones are interrupts in some implementations. */
static uint64_t unique_of(const struct device_request *request)
{
	return 2 * request->number + 4;
}

int device_fs_request(struct trial *t, struct device_request *request)
{
	(void)t;
	memset(request->out, 0, FUSE_IN_LEN + GETATTR_IN_LEN);
	request->out_len = fuse_head(request->out, FUSE_GETATTR, unique_of(request), FUSE_ROOT,
				     GETATTR_IN_LEN);
	request->in_len = FUSE_OUT_LEN + FUSE_ATTR_OUT_LEN;
	return 0;
}

/* Any answer to this request will do: what is in it is for the device's own cases. */
int device_fs_answered(struct trial *t, const struct device_request *request)
{
	struct fuse_answer answer;

	return fuse_check_answer(t, request->in, request->used_len, unique_of(request), &answer);
}
