/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Files of a test that starts and ends a daemon. */
#ifndef VHU_TESTS_RESTART_FILES_H
#define VHU_TESTS_RESTART_FILES_H

/* In the child that becomes the daemon: its log goes to the end of that file. */
void files_log_to(const char *path);

/* How many lines of the log have that text. */
unsigned int files_count_lines(const char *path, const char *text);

/* Removes the folder and the files in it. */
void files_remove(const char *folder);

#endif
