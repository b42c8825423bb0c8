/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * main() of a fuzz target in make check: hands it every file of its committed
 * corpus, tests/fuzz/corpus-NAME for the program fuzz_NAME, or the files named
 * on the command line. A target that finds something wrong aborts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"

enum { REPLAY_ALARM_SECONDS = 120, INPUT_MAX = 1 << 20, PATH_LEN_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the file's size, so that a checker sees a read past its end. */
static int replay_file(const char *path)
{
	static uint8_t input[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	uint8_t *copy;
	size_t size;

	if (!file)
		return -errno;
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	copy = malloc(size ? size : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, input, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

static bool replay_point(unsigned int number, const char *path)
{
	int r = replay_file(path);

	printf("%s %u - %s\n", r < 0 ? "not ok" : "ok", number, path);
	fflush(stdout);
	return r == 0;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_folder(const char *folder)
{
	struct dirent **entries;
	bool all_well = true;
	char *path;
	int n_entries = scandir(folder, &entries, visible, alphasort);

	if (n_entries <= 0) {
		fprintf(stderr, "%s: no corpus\n", folder);
		return EXIT_FAILURE;
	}
	printf("1..%d\n", n_entries);
	for (int i = 0; i < n_entries; i++) {
		if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
			return EXIT_FAILURE;
		all_well &= replay_point((unsigned int)i + 1, path);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir");
	const char *base = strrchr(argv[0], '/');
	const char *name = strstr(base ? base : argv[0], "fuzz_");
	char folder[PATH_LEN_MAX];
	bool all_well = true;

	alarm(REPLAY_ALARM_SECONDS);
	if (argc > 1) {
		printf("1..%d\n", argc - 1);
		for (int i = 1; i < argc; i++)
			all_well &= replay_point((unsigned int)i, argv[i]);
		return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (!name) {
		fprintf(stderr, "the program's name is not fuzz_NAME\n");
		return EXIT_FAILURE;
	}
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus-%s", top ? top : ".",
		 name + strlen("fuzz_"));
	return replay_folder(folder);
}
