/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which machines TCP may lead to: this one, or with the word "remote" and TLS any.
 */
#ifndef VHU_BACKENDS_REACH_H
#define VHU_BACKENDS_REACH_H

#include "backends/address.h"
#include "backends/attachment.h"

/* Zero, or -EPERM with a sentence that says what to add; where is how the address was given. */
int reach_check(const struct attachment_options *o, const char *where, const struct address *list,
		unsigned int n, char *ret_why, size_t why_cap);

/* The same for the words alone, as far as an address in numbers tells. */
int reach_check_words(const struct attachment_options *o, char *ret_why, size_t why_cap);

#endif
