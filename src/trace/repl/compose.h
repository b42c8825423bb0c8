/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages from words, as vhu_format_line() puts them into words: a name,
 * field=value for each field, flags. What is not given is 0, counts and lengths
 * follow from what is.
 *
 *	GET_FEATURES
 *	SET_FEATURES VERSION_1|PROTOCOL_FEATURES need_reply
 *	SET_VRING_NUM index=0 num=256
 *	SET_VRING_KICK ring=0 nofd
 *	SET_MEM_TABLE regions[0].size=0x100000 regions[0].user_addr=0x10000
 *
 * Names of messages and of bits may be in small letters. Masks are numbers or
 * NAME|NAME|bit7. Bytes are hexadecimal digits. Flags:
 * reply, need_reply. What breaks the form: version=N, flags=N (the whole word),
 * size=N (in the header alone), extra=BYTES behind the payload, missing=N bytes
 * at its end. Where a field has one of these names, the header's is
 * header.flags, header.size.
 */
#ifndef VHU_TRACE_COMPOSE_H
#define VHU_TRACE_COMPOSE_H

#include "vhu/proto.h"

struct composed {
	struct vhu_msg msg;
	size_t payload_len; /* bytes that follow the header; msg.size may say otherwise */
	/* Which bits words have set, so that a message can be compared with what is said of it. */
	uint8_t given[VHU_MAX_PAYLOAD];
	uint32_t given_flags;
	bool given_size;
};

/*
 * words[0] is the name, with or without BACKEND_, or a number. dir says which
 * table. 0, or -EINVAL with a sentence: what is wrong, and what was expected.
 * Rules are not looked at: what can be written down can be sent.
 */
int compose_message(enum vhu_dir dir, char *const *words, size_t n_words, struct composed *ret,
		    char error[256]);

/* The row of that name, with or without BACKEND_; NULL: no message is called so. */
const struct vhu_desc *compose_find(enum vhu_dir dir, const char *name);

/* Names of fields as words have them, "regions[0].size", one after the other. */
typedef void compose_name_fn(const char *name, const struct vhu_field *field, void *arg);
void compose_each_name(const struct vhu_shape *shape, compose_name_fn *each, void *arg);

/*
 * The i-th way (from 0) to end what is typed: names of messages, of fields, of
 * bits. A new string for the last word, or NULL: no more. line is all that
 * stands before the cursor. any_case: small letters count as capitals.
 */
char *compose_completion(const char *line, bool any_case, unsigned int i);

/* Whether name begins as typed. */
bool compose_begins(const char *name, const char *typed, bool any_case);

#endif
