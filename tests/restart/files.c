/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void files_log_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
	close(fd);
}

unsigned int files_count_lines(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;
	char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		n += strstr(line, text) != NULL;
	free(line);
	if (f)
		fclose(f);
	return n;
}

void files_remove(const char *folder)
{
	struct dirent *entry;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}
