/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/target/folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Its name goes unquoted into the commands of a shell. */
static bool is_plain_path(const char *path)
{
	return path[0] == '/' && path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						   "abcdefghijklmnopqrstuvwxyz0123456789"
						   "/._+-,:@%")] == '\0';
}

int folder_make(char **ret_dir)
{
	const char *base = getenv("TMPDIR");
	struct sockaddr_un un;
	char *dir;
	int err;

	/* The path of a socket in it must fit an address. */
	if (!base || !is_plain_path(base) || strlen(base) + 40 > sizeof(un.sun_path))
		base = "/tmp";
	if (asprintf(&dir, "%s/vhu-conform.XXXXXX", base) < 0)
		return -ENOMEM;
	if (!mkdtemp(dir)) {
		err = -errno;
		free(dir);
		return err;
	}
	*ret_dir = dir;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path);
	return 0;
}

void folder_remove(char *dir)
{
	enum { DEPTH_FDS = 16 };

	if (dir)
		nftw(dir, remove_one, DEPTH_FDS, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

/* The value of {NAME}; NULL: there is no such word, and the text stays. */
static const char *find_word(const char *dir, const char *socket, const char *name, size_t len,
			     const char *const *words)
{
	if (len == 3 && memcmp(name, "dir", 3) == 0)
		return dir;
	if (len == 6 && memcmp(name, "socket", 6) == 0)
		return socket;
	for (; words && *words; words++)
		if (strncmp(*words, name, len) == 0 && (*words)[len] == '=')
			return *words + len + 1;
	return NULL;
}

char *folder_expand(const char *text, const char *dir, const char *socket, const char *const *words)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	while (*text) {
		size_t plain = strcspn(text, "{"), len;
		const char *value = NULL;

		fwrite(text, 1, plain, f);
		text += plain;
		len = strcspn(text, "}");
		if (len > 1 && text[len])
			value = find_word(dir, socket, text + 1, len - 1, words);
		if (value) {
			fputs(value, f);
			text += len + 1;
		} else if (*text) {
			fputc(*text++, f);
		}
	}
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}
