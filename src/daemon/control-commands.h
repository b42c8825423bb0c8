/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Requests of the control socket, carried out. */
#ifndef VHU_DAEMON_CONTROL_COMMANDS_H
#define VHU_DAEMON_CONTROL_COMMANDS_H

#include <json-c/json.h>

#include "daemon/control.h"

/*
 * The answer to one line, which the caller puts; NULL when there is no memory.
 * by, as "user 0, pid 123", is for the log. later: it is the answer if what was
 * begun comes to a good end, of which the caller will hear.
 */
struct json_object *control_answer(const struct control_args *args, const char *by,
				   const char *line, size_t len, bool *ret_later);

/* {"ok": false, "error": why} */
struct json_object *control_refusal(const char *why);

#endif
