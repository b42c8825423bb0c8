/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The folder of a run, and texts in which {dir}, {socket} and other words stand for things. */
#ifndef VHU_CONFORM_TARGET_FOLDER_H
#define VHU_CONFORM_TARGET_FOLDER_H

#include "base.h"

/*
 * A new folder, whose name needs no quotes in a shell and leaves room for a
 * socket's: folder_remove() is due. Zero or a negative errno.
 */
int folder_make(char **ret_dir);

/* With all that is in it; frees dir, which may be NULL. */
void folder_remove(char *dir);

/*
 * Replaces {dir}, {socket} (where they are not NULL) and words, a list of
 * "NAME=VALUE" that ends with NULL, or NULL: a new string, or NULL. What is no
 * such word stays.
 */
char *folder_expand(const char *text, const char *dir, const char *socket,
		    const char *const *words);

#endif
