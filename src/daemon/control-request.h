/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One line of the control socket, read: JSON first, then a command and its arguments. */
#ifndef VHU_DAEMON_CONTROL_REQUEST_H
#define VHU_DAEMON_CONTROL_REQUEST_H

#include <json-c/json.h>

#include "daemon/control-table.h"

enum { CONTROL_DEPTH_MAX = 16 }; /* objects and lists inside each other */

/* text: of TEXT, PORT and CHOICE. number: of ID; of CHOICE, the index; of SIZE, cols << 16 | rows.
 */
struct control_value {
	const char *text;
	uint64_t number;
};

/* Strings are lent by the object it was read from. */
struct control_request {
	const struct control_command *command;
	uint64_t given; /* set of BIT(enum control_argument_idx) */
	struct control_value values[CONTROL_N_ARGUMENTS];
};

/*
 * The JSON object that the line is; the caller puts it. Stricter than json-c:
 * no duplicate members, no NUL in strings, UTF-8 that is right. -EINVAL with a
 * sentence.
 */
int control_json_parse(const char *line, size_t len, struct json_object **ret_object, char *ret_why,
		       size_t why_cap);

/* -EINVAL with a sentence that names the argument. */
int control_request_read(struct json_object *object, struct control_request *ret_request,
			 char *ret_why, size_t why_cap);

#endif
