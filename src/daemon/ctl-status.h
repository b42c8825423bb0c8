/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The answer to status, for people. */
#ifndef VHU_DAEMON_CTL_STATUS_H
#define VHU_DAEMON_CTL_STATUS_H

#include <json-c/json.h>
#include <stdio.h>

#include "base.h"

/* verbose: with counters and latencies. Members that are missing are shown as "-" or 0. */
void ctl_status_print(struct json_object *result, bool verbose, FILE *out);

#endif
