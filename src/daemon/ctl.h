/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What `vhost-device-console ctl` is made of: words to a request, an answer to words. */
#ifndef VHU_DAEMON_CTL_H
#define VHU_DAEMON_CTL_H

#include <json-c/json.h>
#include <stdio.h>

#include "base.h"

/*
 * The request that the words of a command line, the command first, ask for; the
 * caller puts it. -EINVAL with a sentence.
 */
int ctl_request(const char *const *words, unsigned int n_words, struct json_object **ret_request,
		char *ret_why, size_t why_cap);

#endif
