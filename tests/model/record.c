/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A list as text: "episode NUMBER", then "step KIND NUMBER" for each; lines that
 * begin with # are comments.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

void record_write(FILE *f, const struct run_list *list)
{
	fprintf(f, "episode %" PRIu64 "\n", list->episode);
	for (size_t i = 0; i < list->n_steps; i++)
		fprintf(f, "step %s %" PRIu64 "\n", model_step_name(list->steps[i].kind),
			list->steps[i].random);
}

static int add_step(struct run_list *list, const char *name, uint64_t random)
{
	struct model_step *steps;
	enum model_step_kind kind;

	if (!model_find_step(name, &kind))
		return -EINVAL;
	steps = realloc(list->steps, (list->n_steps + 1) * sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	steps[list->n_steps++] = (struct model_step){ .kind = kind, .random = random };
	list->steps = steps;
	return 0;
}

static int read_line(struct run_list *list, const char *line)
{
	char name[32];
	uint64_t value;

	if (line[0] == '#' || line[0] == '\n')
		return 0;
	if (sscanf(line, "episode %" SCNu64, &value) == 1) {
		list->episode = value;
		return 0;
	}
	if (sscanf(line, "step %31s %" SCNu64, name, &value) == 2)
		return add_step(list, name, value);
	return -EINVAL;
}

int record_read(const char *path, struct run_list *ret_list)
{
	struct run_list list = { .steps = NULL };
	FILE *f = fopen(path, "r");
	unsigned int n = 0;
	char line[128];
	int err = 0;

	if (!f) {
		err = -errno;
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return err;
	}
	while (err == 0 && fgets(line, sizeof(line), f)) {
		n++;
		err = read_line(&list, line);
	}
	fclose(f);
	if (err < 0) {
		fprintf(stderr, "%s:%u: expected \"episode NUMBER\" or \"step KIND NUMBER\"\n",
			path, n);
		free(list.steps);
		return err;
	}
	*ret_list = list;
	return 0;
}
