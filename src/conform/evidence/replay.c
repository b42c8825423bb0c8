/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/evidence/replay.h"

#include <errno.h>
#include <string.h>

#include "conform/runner.h"
#include "script/script.h"

/* One that serves a single front-end is started again for the next. */
static int connect_target(void *arg, int *ret_fd)
{
	struct target *target = arg;
	int err = target_connect(target, ret_fd);

	if (err == 0 || !target->exec)
		return err;
	target_stop(target);
	err = target_start(target);
	return err < 0 ? err : target_connect(target, ret_fd);
}

static int report(const char *path, struct target *target, FILE *out, int err,
		  unsigned int n_different, const char *error)
{
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s: %s\n", path, error);
		return err == -EINVAL ? CONFORM_USAGE : CONFORM_NOT_REACHED;
	}
	if (target_ended(target, 0) && target->end == TARGET_SIGNALED)
		fprintf(out, "the back-end was ended by signal %d\n", target->end_status);
	if (n_different > 0)
		fprintf(out, "%u of the answers are not as recorded\n", n_different);
	else
		fputs("all is as recorded\n", out);
	return n_different > 0 ? CONFORM_FAILED : CONFORM_HELD;
}

int replay_run(const char *path, struct target *target, FILE *out)
{
	enum { ANSWER_MS = 2000 };
	const struct script_plan plan = {
		.connect = connect_target,
		.arg = target,
		.timeout_ms = target_ms(target, ANSWER_MS),
		.out = out,
		.known = "recorded",
	};
	FILE *text = fopen(path, "re");
	unsigned int n_different = 0;
	char error[256] = "";
	int err, status;

	if (!text) {
		fprintf(stderr, "vhu-conform: %s: %s\n", path, strerror(errno));
		return CONFORM_USAGE;
	}
	err = target_start(target);
	if (err < 0) {
		fprintf(stderr, "vhu-conform: %s\n", target->error);
		fclose(text);
		return CONFORM_NOT_REACHED;
	}
	err = script_play(text, &plan, &n_different, error);
	status = report(path, target, out, err, n_different, error);
	target_stop(target);
	fclose(text);
	return status;
}
