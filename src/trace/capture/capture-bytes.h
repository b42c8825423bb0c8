/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Numbers and runs of bytes of captures, written to a stream and taken from a buffer. */
#ifndef VHU_TRACE_CAPTURE_BYTES_H
#define VHU_TRACE_CAPTURE_BYTES_H

#include <stdio.h>
#include <string.h>

#include "base.h"
#include "trace/capture/capture.h"

static inline void put_le16(FILE *out, uint16_t v)
{
	v = htole16(v);
	fwrite(&v, 1, sizeof(v), out);
}

static inline void put_be16(FILE *out, uint16_t v)
{
	v = htobe16(v);
	fwrite(&v, 1, sizeof(v), out);
}

static inline void put_le32(FILE *out, uint32_t v)
{
	v = htole32(v);
	fwrite(&v, 1, sizeof(v), out);
}

static inline void put_le64(FILE *out, uint64_t v)
{
	v = htole64(v);
	fwrite(&v, 1, sizeof(v), out);
}

/* Zeros up to a multiple of four after len bytes. */
static inline void put_padding(FILE *out, size_t len)
{
	static const char zeros[4];

	fwrite(zeros, 1, -len % 4, out);
}

/* Whether a capture may say that it is of a device of this name. */
static inline bool is_device_name(const void *text, size_t len)
{
	const char *name = text;

	for (size_t i = 0; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
		    name[i] != '-')
			return false;
	return len > 0 && len <= CAPTURE_MAX_DEVICE;
}

/* What is left of foreign bytes. */
struct capture_bytes {
	const uint8_t *at;
	size_t left;
	bool big_endian;
};

/* The next len bytes, or NULL: there are not so many. */
static inline const uint8_t *take_bytes(struct capture_bytes *b, size_t len)
{
	const uint8_t *at = b->at;

	if (len > b->left)
		return NULL;
	b->at += len;
	b->left -= len;
	return at;
}

static inline bool take_u16(struct capture_bytes *b, uint16_t *ret_v)
{
	const uint8_t *at = take_bytes(b, sizeof(*ret_v));

	if (!at)
		return false;
	memcpy(ret_v, at, sizeof(*ret_v));
	*ret_v = b->big_endian ? be16toh(*ret_v) : le16toh(*ret_v);
	return true;
}

static inline bool take_u32(struct capture_bytes *b, uint32_t *ret_v)
{
	const uint8_t *at = take_bytes(b, sizeof(*ret_v));

	if (!at)
		return false;
	memcpy(ret_v, at, sizeof(*ret_v));
	*ret_v = b->big_endian ? be32toh(*ret_v) : le32toh(*ret_v);
	return true;
}

static inline bool take_u64(struct capture_bytes *b, uint64_t *ret_v)
{
	const uint8_t *at = take_bytes(b, sizeof(*ret_v));

	if (!at)
		return false;
	memcpy(ret_v, at, sizeof(*ret_v));
	*ret_v = b->big_endian ? be64toh(*ret_v) : le64toh(*ret_v);
	return true;
}

#endif
