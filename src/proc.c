/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* seccomp(open): openat fstat newfstatat read lseek */
FILE *proc_open(pid_t pid, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

bool proc_line_value(const char *line, const char *key, int base, uint64_t *ret_value)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0 || line[len] != ':')
		return false;
	*ret_value = strtoull(line + len + 1, NULL, base);
	return true;
}

/* seccomp(open): openat getdents64 */
int proc_each_number(pid_t pid, const char *name, proc_number_fn *each, void *arg)
{
	char path[96];
	const struct dirent *entry;
	uint64_t n;
	DIR *dir;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (err == 0 && (entry = readdir(dir)) != NULL)
		if (option_parse_number(entry->d_name, &n))
			err = each(pid, (int)n, arg);
	closedir(dir);
	return err;
}

static int count_one(pid_t pid, int n, void *arg)
{
	(void)pid;
	(void)n;
	++*(int *)arg;
	return 0;
}

int proc_count_numbers(pid_t pid, const char *name)
{
	int n = 0, err = proc_each_number(pid, name, count_one, &n);

	return err < 0 ? err : n;
}
