/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What /proc has of a process. */
#ifndef VHU_PROC_H
#define VHU_PROC_H

#include <stdio.h>
#include <sys/types.h>

#include "base.h"

/* Opens /proc/PID/NAME to be read; the caller closes it. NULL with errno: there
 * is none. */
FILE *proc_open(pid_t pid, const char *name);

/* "KEY: VALUE" at the start of a line, VALUE in this base. */
bool proc_line_value(const char *line, const char *key, int base, uint64_t *ret_value);

/*
 * Calls each() for the entries of folder /proc/PID/NAME that are numbers, until
 * it gives other than 0, which is the result; else 0, or -errno without the
 * folder.
 */
typedef int proc_number_fn(pid_t pid, int n, void *arg);
int proc_each_number(pid_t pid, const char *name, proc_number_fn *each, void *arg);

/* How many such entries there are, or -errno. */
int proc_count_numbers(pid_t pid, const char *name);

#endif
