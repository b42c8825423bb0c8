/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guests.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "fd.h"

/* A command line: options, and a value of each. */
static struct {
	const char *words[RUN_MAX_WORDS];
	char *values[RUN_MAX_WORDS / 2];
	unsigned int n;
} line;

static void begin_line(void)
{
	for (unsigned int i = 0; i < line.n / 2; i++)
		free(line.values[i]);
	line.n = 0;
}

static void add(const char *option, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(const char *option, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0 || line.n + 3 > RUN_MAX_WORDS)
		die("the command line is too long");
	va_end(args);
	line.values[line.n / 2] = text;
	line.words[line.n++] = option;
	line.words[line.n++] = text;
	line.words[line.n] = NULL;
}

static void add_innocent(const struct run_daemon *d, unsigned int i, bool bulk)
{
	char socket[128], port[128];

	crowd_socket_path(d, i, socket);
	crowd_port_path(d, i, port);
	add("--device", "socket=%s,name=g%u,max-ports=2", socket, i);
	add("--port", "console,null");
	if (bulk)
		add("--port", "1,name=data,overflow=hold,history=64K,null");
	else if (i % 2)
		add("--port", "1,name=data,history=64K,tcp:127.0.0.1:0");
	else
		add("--port", "1,name=data,history=64K,unix:%s", port);
}

/* As vhu-conform wants it, and what else may be flooded. */
static void add_intruder(const struct run_daemon *d)
{
	add("--device", "socket=%s/intruder,name=intruder,max-ports=8,iommu=on", d->dir);
	add("--port", "0,console,unix:%s/intruder-0,telnet:127.0.0.1:0", d->dir);
	add("--port", "1,name=org.test.a,overflow=hold,unix:%s/intruder-1,steal", d->dir);
	add("--port", "2,name=org.test.b,overflow=hold,unix:%s/intruder-2", d->dir);
	add("--port", "3,console,name=second,unix:%s/intruder-3", d->dir);
}

void guests_start(struct run_daemon *d, unsigned int n, bool bulk)
{
	daemon_make(d, "hostile");
	snprintf(d->socket, sizeof(d->socket), "%s/s0", d->dir);
	begin_line();
	if (bulk)
		add("--max-queue-size", "32768");
	for (unsigned int i = 0; i < n; i++)
		add_innocent(d, i, bulk);
	add_intruder(d);
	d->words = line.words;
	d->controlled = true;
	fd_close(daemon_start(d));
}

void guests_intruder(const struct run_daemon *d, struct intruder *ret_intruder)
{
	*ret_intruder = (struct intruder){ .daemon = d, .client = -1 };
	snprintf(ret_intruder->socket, sizeof(ret_intruder->socket), "%s/intruder", d->dir);
	snprintf(ret_intruder->port, sizeof(ret_intruder->port), "%s/intruder-%d", d->dir,
		 INTRUDER_PORT);
}

/* The daemon has chosen it, and says so. */
unsigned int guests_tcp_port(const struct run_daemon *d, const char *who)
{
	unsigned int port = 0;
	char text[1100];
	FILE *f = fopen(d->log, "re");

	while (f && port == 0 && fgets(text, sizeof(text), f)) {
		const char *at = strstr(text, who) ? strstr(text, " 127.0.0.1:") : NULL;

		if (at)
			port = (unsigned int)strtoul(strchr(at, ':') + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	if (port == 0)
		die("%s: no TCP port in %s", who, d->log);
	return port;
}

void guests_end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}
