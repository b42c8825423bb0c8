/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Requests of a file system device. */
#ifndef VHU_CONFORM_DEVICE_FS_H
#define VHU_CONFORM_DEVICE_FS_H

#include "conform/trial/trial.h"

enum {
	FUSE_IN_LEN = 40,  /* of the head of a request */
	FUSE_OUT_LEN = 16, /* of the head of an answer */
	FUSE_INIT_LEN = 64,
	FUSE_ATTR_OUT_LEN = 104,
	FUSE_ENTRY_OUT_LEN = 128,
	FUSE_ROOT = 1,
};

enum fuse_opcode {
	FUSE_LOOKUP = 1,
	FUSE_FORGET = 2,
	FUSE_GETATTR = 3,
	FUSE_INIT = 26,
};

struct fuse_answer {
	uint32_t len; /* as the answer says */
	int32_t error;
	uint64_t unique;
};

/* Writes the head of a request with body_len bytes to follow; returns the length of both. */
size_t fuse_head(uint8_t *bytes, uint32_t opcode, uint64_t unique, uint64_t node, size_t body_len);

/* A well-formed answer to request unique in used_len bytes. */
int fuse_check_answer(struct trial *t, const uint8_t *bytes, uint32_t used_len, uint64_t unique,
		      struct fuse_answer *ret_answer);

/* FUSE_INIT, which every session begins with. in: at least 128 bytes. */
int fuse_init(struct trial *t, uint8_t *in, size_t in_len, struct fuse_answer *ret_answer);

#endif
