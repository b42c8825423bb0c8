/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/proxy/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "log.h"
#include "trace/proxy/proxy-private.h"

/* The end. */

static void settle(struct proxy *p)
{
	if (!p->closing || p->listening || !list_empty(&p->sessions) || p->has_ended)
		return;
	p->has_ended = true;
	if (p->ended)
		p->ended(p->ended_arg);
}

static void listener_closed(struct listener *l)
{
	struct proxy *p = container_of(l, struct proxy, listener);

	p->listening = false;
	settle(p);
}

void proxy_session_gone(struct proxy *p, bool counts)
{
	if (counts && p->options.once)
		proxy_close(p);
	settle(p);
}

void proxy_close(struct proxy *p)
{
	struct list_node *node, *tmp;

	if (p->closing)
		return;
	p->closing = true;
	list_for_each (node, tmp, &p->sessions)
		proxy_session_close(list_entry(node, struct proxy_session, node),
				    "the tracer ends");
	listener_close(&p->listener, listener_closed);
}

void proxy_on_end(struct proxy *p, void (*ended)(void *arg), void *arg)
{
	p->ended = ended;
	p->ended_arg = arg;
}

void proxy_free(struct proxy *p)
{
	free(p);
}

/* Sessions. */

void proxy_look(struct proxy *p)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->sessions)
		proxy_session_look(list_entry(node, struct proxy_session, node), TRACE_ASKED);
}

/* With --once, a session that is on is the one. */
static bool has_the_one(struct proxy *p)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, (struct list_node *)(uintptr_t)&p->sessions)
		if (p->options.once && list_entry(node, struct proxy_session, node)->counts)
			return true;
	return false;
}

static void accepted(struct listener *l, int fd)
{
	struct proxy *p = container_of(l, struct proxy, listener);
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->sessions)
		proxy_session_check(list_entry(node, struct proxy_session, node));
	if (p->closing || has_the_one(p))
		fd_close(fd);
	else if (proxy_session_open(p, fd) < 0)
		log_warning(NULL, "no memory for one more session");
}

/* The beginning. */

static int listening_socket(const struct proxy_options *o, char *ret_why, size_t why_cap)
{
	if (o->listen_fd >= 0)
		return o->listen_fd;
	if (o->listen[0] == '@')
		return listener_abstract_socket(o->listen + 1, ret_why, why_cap);
	return listener_unix_socket(o->listen, ret_why, why_cap);
}

static int check_connect(const struct proxy_options *o, char *ret_why, size_t why_cap)
{
	size_t len = strlen(o->connect), most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (len > (o->connect[0] == '@') && len <= most)
		return 0;
	snprintf(ret_why, why_cap, "%s: a socket's path or @NAME has 1 to %zu bytes", o->connect,
		 most);
	return -EINVAL;
}

int proxy_new(struct loop *loop, const struct proxy_options *options, struct trace_sink *sink,
	      struct proxy **ret_proxy, char *ret_why, size_t why_cap)
{
	struct proxy *p;
	int fd, err = check_connect(options, ret_why, why_cap);

	if (err < 0) {
		fd_close(options->listen_fd);
		return err;
	}
	fd = listening_socket(options, ret_why, why_cap);
	if (fd < 0)
		return fd;
	p = calloc(1, sizeof(*p));
	if (!p) {
		fd_close(fd);
		snprintf(ret_why, why_cap, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	p->loop = loop;
	p->options = *options;
	p->sink = sink;
	p->listening = true;
	list_init(&p->sessions);
	/* A socket of another namespace than that of paths is never removed. */
	listener_start(&p->listener, loop, fd,
		       options->listen_fd < 0 && options->listen[0] != '@' ? options->listen : NULL,
		       NULL, accepted);
	*ret_proxy = p;
	return 0;
}
