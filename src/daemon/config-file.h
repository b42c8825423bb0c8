/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Configuration files: long options without their dashes, one a line.
 *
 *	# comment
 *	socket-path /run/con
 *	port = name=org.qemu.guest_agent.0,unix:/run/agent%i
 */
#ifndef VHU_DAEMON_CONFIG_FILE_H
#define VHU_DAEMON_CONFIG_FILE_H

#include "base.h"

enum { CONFIG_FILE_MAX = 1024 * 1024 };

/* Words of a command line, owned, each with its origin ("FILE:LINE") or NULL. */
struct config_words {
	char **words; /* n_words, and a NULL */
	char **origins;
	int n_words;
	int cap;
};

/* Copies word and origin (may be NULL). Zero or -ENOMEM. */
int config_words_add(struct config_words *w, const char *word, const char *origin);

/* What was added is freed; empty afterwards. */
void config_words_free(struct config_words *w);

/*
 * Adds one word, --name or --name=value, for each line of a regular file. Zero,
 * or -errno with one sentence in ret_why that begins with the file's name. The
 * names are the caller's to check, but for those that do not belong in a file.
 */
int config_file_read(struct config_words *w, const char *path, char *ret_why, size_t why_cap);

#endif
