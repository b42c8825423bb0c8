/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The daemon's configuration, and what it is asked while it runs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { ATTACHED_MAX = 8, RELOADED = 4 };

static struct {
	struct soak_hot hot[SOAK_MAX_GUESTS][SOAK_HOT];
	struct attached {
		unsigned int guest, id;
	} attached[ATTACHED_MAX];
	unsigned int n_attached, n_ever;
} ports;

void ports_path(unsigned int guest, const char *what, char *ret_path)
{
	snprintf(ret_path, 128, "%s/g%u.%s", soak.daemon.dir, guest, what);
}

static void write_hot(FILE *f, unsigned int guest, unsigned int hot, const char *before)
{
	char path[128], what[32];
	unsigned int generation = ports.hot[guest][hot].generation;

	snprintf(what, sizeof(what), "hot%u-%u", hot, generation);
	ports_path(guest, what, path);
	fprintf(f, "%s%u,name=%s,history=16K,unix:%s,steal", before, SOAK_FIXED + hot, what, path);
}

/* The console's first client takes no input, so that who is rude may have the keyboard. */
static void write_device(FILE *f, unsigned int id)
{
	char at[128];

	ports_path(id, "", at);
	fprintf(f, "device socket=%svm,name=g%u,max-ports=%u\n", at, id, SOAK_PORTS);
	fprintf(f,
		"port 0,console,history=16K,unix:%sconsole,ro,telnet:%u,"
		"log:%slog,max-size=64K,keep=2\n",
		at, soak.tcp_port + 2 * id, at);
	fprintf(f, "port 1,name=data1,history=64K,unix:%sdata1,steal,unix:%swatch1\n", at, at);
	fprintf(f, "port 2,name=data2,history=64K,tcp:%u,steal,unix:%swatch2,ro\n",
		soak.tcp_port + 2 * id + 1, at);
	fprintf(f, "port 3,name=lossy,overflow=drop,history=8K,unix:%slossy\n", at);
	for (unsigned int hot = 0; hot < SOAK_HOT; hot++) {
		if (!ports.hot[id][hot].plugged)
			continue;
		write_hot(f, id, hot, "port ");
		fputc('\n', f);
	}
}

void ports_write_config(void)
{
	FILE *f = fopen(soak.daemon.config, "we");

	if (!f)
		die("%s cannot be written", soak.daemon.config);
	for (unsigned int id = 0; id < soak.o.n_guests; id++)
		write_device(f, id);
	if (fclose(f) != 0)
		die("%s cannot be written", soak.daemon.config);
}

static const char *accepted(const char *answer)
{
	if (strncmp(answer, "{\"ok\":true", 10) != 0)
		die("the daemon refuses: %s", answer);
	return answer;
}

/* Another one: nothing of those before may be seen in it. */
static void renew(unsigned int guest, unsigned int hot)
{
	struct soak_hot *h = &ports.hot[guest][hot];
	unsigned int stream;

	h->generation++;
	h->plugged = true;
	stream = soak_hot_stream(hot, h->generation);
	memset(&soak.shared->guests[guest].streams[stream], 0, sizeof(struct soak_stream));
	clients_hot_come(guest, hot, h->generation);
}

static void withdraw(unsigned int guest, unsigned int hot)
{
	ports.hot[guest][hot].plugged = false;
	clients_hot_go(guest, hot);
}

void ports_plug(unsigned int guest, unsigned int hot)
{
	char *spec;
	size_t len;
	FILE *f = open_memstream(&spec, &len);

	if (!f)
		die("no memory");
	renew(guest, hot);
	write_hot(f, guest, hot, "");
	fclose(f);
	accepted(daemon_ask(&soak.daemon,
			    "{\"command\":\"add-port\",\"device\":\"g%u\",\"spec\":\"%s\"}", guest,
			    spec));
	free(spec);
}

void ports_unplug(unsigned int guest, unsigned int hot)
{
	withdraw(guest, hot);
	accepted(daemon_ask(&soak.daemon,
			    "{\"command\":\"remove-port\",\"device\":\"g%u\",\"port\":%u}", guest,
			    SOAK_FIXED + hot));
}

bool ports_is_plugged(unsigned int guest, unsigned int hot, unsigned int *ret_generation)
{
	*ret_generation = ports.hot[guest][hot].generation;
	return ports.hot[guest][hot].plugged;
}

void ports_reload(void)
{
	for (unsigned int i = 0; i < RELOADED; i++) {
		unsigned int guest = (unsigned int)(run_random() % soak.o.n_guests);
		unsigned int hot = (unsigned int)(run_random() % SOAK_HOT);

		if (ports.hot[guest][hot].plugged)
			withdraw(guest, hot);
		else if (clients_hot_is_over(guest, hot))
			renew(guest, hot);
	}
	ports.n_attached = 0; /* what is not written goes */
	ports_write_config();
	accepted(daemon_ask(&soak.daemon, "{\"command\":\"reload\"}"));
}

void ports_resize(unsigned int guest)
{
	accepted(daemon_ask(&soak.daemon,
			    "{\"command\":\"set-port\",\"device\":\"g%u\",\"port\":0,"
			    "\"size\":\"%ux%u\"}",
			    guest, 1 + (unsigned int)(run_random() % 300),
			    1 + (unsigned int)(run_random() % 100)));
}

void ports_status(unsigned int guest)
{
	accepted(daemon_ask(&soak.daemon, "{\"command\":\"status\",\"device\":\"g%u\"}", guest));
}

unsigned int ports_count_clients(unsigned int guest)
{
	const char *at =
		daemon_ask(&soak.daemon, "{\"command\":\"status\",\"device\":\"g%u\"}", guest);
	unsigned int n = 0;

	for (at = accepted(at); (at = strstr(at, "\"role\":\"")); at++)
		n += strncmp(at, "\"role\":\"passive\"", 16) != 0;
	return n;
}

unsigned int ports_count_writers(unsigned int guest, unsigned int port)
{
	const char *at =
		daemon_ask(&soak.daemon, "{\"command\":\"status\",\"device\":\"g%u\"}", guest);
	char number[32];
	const char *end;
	unsigned int n = 0;

	snprintf(number, sizeof(number), "{\"number\":%u,", port);
	at = strstr(accepted(at), number);
	end = at ? strstr(at + 1, "{\"number\":") : NULL;
	while (at && (at = strstr(at, "\"may_write\":true")) && (!end || at < end)) {
		at++;
		n++;
	}
	return n;
}

void ports_attach(unsigned int guest)
{
	struct attached *a = &ports.attached[ports.n_attached];
	const char *answer, *id;
	char path[128], what[32];

	if (ports.n_attached == ATTACHED_MAX)
		return;
	snprintf(what, sizeof(what), "more%u", ports.n_ever++);
	ports_path(guest, what, path);
	answer = accepted(daemon_ask(&soak.daemon,
				     "{\"command\":\"attach\",\"device\":\"g%u\",\"port\":3,"
				     "\"spec\":\"unix:%s\"}",
				     guest, path));
	id = strstr(answer, "\"attachment\":");
	if (!id)
		die("no number of an attachment in %s", answer);
	*a = (struct attached){ guest, (unsigned int)strtoul(id + 13, NULL, 10) };
	ports.n_attached++;
}

void ports_detach_all(void)
{
	while (ports.n_attached > 0) {
		const struct attached *a = &ports.attached[--ports.n_attached];

		accepted(daemon_ask(&soak.daemon,
				    "{\"command\":\"detach\",\"device\":\"g%u\",\"port\":3,"
				    "\"attachment\":%u}",
				    a->guest, a->id));
	}
}
