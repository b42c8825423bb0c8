/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the control socket tells of the daemon, as JSON. */
#ifndef VHU_DAEMON_CONTROL_STATUS_H
#define VHU_DAEMON_CONTROL_STATUS_H

#include <json-c/json.h>

#include "daemon/guest.h"

/* A string that may have come from anywhere; what is no UTF-8 is replaced. */
struct json_object *control_json_text(const char *text);

/* Adds the daemon with its loop, and guests (struct guest), or only one of them, to object. */
void control_status(struct json_object *object, const struct loop *loop,
		    const struct list_node *guests, const struct guest *only);

#endif
