/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The file that a log is written to, and those put aside: PATH, then PATH.1,
 * PATH.2 ..., the last of which is the oldest. Renaming and opening are short
 * and done at once.
 */
#ifndef VHU_BACKENDS_LOG_FILES_H
#define VHU_BACKENDS_LOG_FILES_H

#include "backends/outfile.h"

struct log_files {
	struct outfile file; /* its owner's; initialised by it */
	const char *path;
	const struct attachment_options *options;
	uint64_t max_size;
	unsigned int keep;
	bool inside_line;  /* what was there when it was opened ends inside a line */
	int err;	   /* of the last write or change of files; the owner's to set and clear */
	uint64_t retry_ns; /* files are not changed again before this time */
	int retry_err;	   /* why they could not be changed the last time */
};

/* Errors as outfile_open(). */
int log_files_open(struct log_files *f, const struct attachment_options *options, char *ret_why,
		   size_t why_cap);
/* The same but for the file, which comes from elsewhere. */
void log_files_adopt(struct log_files *f, const struct attachment_options *options);
void log_files_close(struct log_files *f);

/* Opens PATH anew if it leads elsewhere by now; on failure the old file stays. */
int log_files_reopen(struct log_files *f, char *ret_why, size_t why_cap);

/*
 * How much of text may go into the file now, at least one byte; the files are
 * changed first if it is full. A line is split between two files only when it
 * has begun in the first (inside: text goes on with it) or is longer than a
 * file. Zero or -errno.
 */
int log_files_make_room(struct log_files *f, const char *text, size_t len, bool inside,
			size_t *ret_len);

#endif
