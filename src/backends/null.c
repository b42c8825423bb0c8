/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Nothing at all: the guest finds the host side open and its output goes nowhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/attachment.h"
#include "backends/port-handover.h"

enum { TAG_CLIENT = 1 }; /* of a hand-over */

struct null {
	struct attachment base;
	struct port_client client; /* reads nothing, so it holds nothing up */
	bool joined;
	struct task end;
};

static struct null *to_null(struct attachment *a)
{
	return container_of(a, struct null, base);
}

static void leave(struct null *n)
{
	if (n->joined)
		port_leave(&n->client);
	n->joined = false;
}

static void disconnect(struct port_client *c, const char *why)
{
	(void)why;
	leave(container_of(c, struct null, client));
}

static const struct port_client_ops client_ops = {
	.disconnect = disconnect,
};

static void null_ended(struct task *task)
{
	struct null *n = container_of(task, struct null, end);

	leave(n);
	attachment_end(&n->base);
}

static int null_open(const struct attachment_args *args, struct attachment **ret_attachment,
		     char *ret_why, size_t why_cap)
{
	const struct port_client_options options = { .what = "null" };
	struct null *n = calloc(1, sizeof(*n));

	if (!n) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	n->base.ops = &attachment_null;
	n->base.args = *args;
	task_init(&n->end, null_ended);
	*ret_attachment = &n->base;
	if (args->from) {
		n->joined = state_has(&args->from->state, TAG_CLIENT) &&
			    port_client_load(args->port, &n->client, &client_ops, args->from,
					     TAG_CLIENT);
		return 0;
	}
	port_join(args->port, &n->client, &client_ops, &options);
	n->joined = true;
	return 0;
}

static void null_describe(const struct attachment *a, char *buf, size_t cap)
{
	const struct null *n = container_of(a, const struct null, base);

	snprintf(buf, cap, "null%s", n->joined ? "" : ", disconnected");
}

static void null_close(struct attachment *a)
{
	loop_defer(a->args.loop, &to_null(a)->end);
}

static void null_hurry(struct attachment *a)
{
	(void)a;
}

static void null_save(const struct attachment *a, struct handover_out *out)
{
	const struct null *n = container_of(a, const struct null, base);

	if (n->joined)
		port_client_save(&n->client, out, TAG_CLIENT);
}

const struct attachment_ops attachment_null = {
	.open = null_open,
	.describe = null_describe,
	.close = null_close,
	.hurry = null_hurry,
	.save = null_save,
};
