/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* As much of JSON as descriptor files and capabilities take (vhost-user.json). */
#ifndef VHU_CONFORM_CASE_JSON_H
#define VHU_CONFORM_CASE_JSON_H

#include "base.h"

/* NULL when text is one JSON object, else what it is instead. */
const char *json_check_object(const char *text);

/* Whether the object has a member of this name that is a string. */
bool json_has_string(const char *text, const char *name);

/*
 * The file in a qemu/vhost-user folder whose binary is program, by its real
 * path: two new strings. False: there is none.
 */
bool json_find_descriptor(const char *program, char **ret_file, char **ret_text);

/* Whether a descriptor file is as the schema says; else a sentence why not. */
bool json_check_descriptor(const char *text, char *wrong, size_t size);

#endif
