/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whoever connects and means no good, where it can do nobody else's bytes any harm. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "soak.h"

enum { MAX = 24, STAY_MS = 400, GARBAGE = 3000 };

enum manner { VANISHES, RESETS, HALF_CLOSES, BABBLES, STALLS, N_MANNERS };

/* Where they go. Only those that never have a keyboard, or one that nobody minds, may babble. */
static const struct place {
	const char *name; /* of a socket; NULL: telnet; "": of the daemon's control socket */
	bool may_babble;
} places[] = {
	{ NULL, true },	     { "console", true }, { "lossy", true },
	{ "watch1", false }, { "watch2", true },  { "", true },
};

static struct rude {
	int fd;
	enum manner manner;
	bool may_babble;
	int64_t until;
} rudes[MAX];

static unsigned int n_rude;
static uint64_t n_ever;

uint64_t rude_count(void)
{
	return n_ever;
}

static int dial_telnet(unsigned int guest)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)(soak.tcp_port + 2 * guest)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("nobody listens for telnet: %s", strerror(errno));
	return fd;
}

static int dial(const struct place *place, unsigned int guest)
{
	char path[128];

	if (!place->name)
		return dial_telnet(guest);
	if (place->name[0] == '\0')
		return daemon_dial(&soak.daemon, soak.daemon.control);
	ports_path(guest, place->name, path);
	return daemon_dial(&soak.daemon, path);
}

static void babble(int fd)
{
	static const char often[] = "\xff\xfa\xfb\xfd\xf0\x1f{}[]\",:\n";
	uint8_t bytes[GARBAGE];
	size_t len = 1 + run_random() % sizeof(bytes);

	for (size_t i = 0; i < len; i++) {
		bytes[i] = (uint8_t)run_random();
		/* Commands of telnet, and what control requests are made of, more often. */
		if (run_random() % 8 == 0)
			bytes[i] = (uint8_t)often[run_random() % (sizeof(often) - 1)];
	}
	send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void come(void)
{
	const struct place *place = &places[run_random() % ARRAY_SIZE(places)];
	struct rude *r = &rudes[n_rude];

	*r = (struct rude){
		.fd = dial(place, (unsigned int)(run_random() % soak.o.n_guests)),
		.manner = (enum manner)(run_random() % N_MANNERS),
		.may_babble = place->may_babble,
		.until = monotonic_ms() + (int64_t)(run_random() % STAY_MS),
	};
	if (r->fd < 0)
		return;
	n_rude++;
	n_ever++;
	if (r->manner == VANISHES)
		r->until = 0;
	if (r->may_babble && r->manner != STALLS)
		babble(r->fd);
	if (r->manner == HALF_CLOSES)
		shutdown(r->fd, SHUT_WR);
}

static void leave(struct rude *r)
{
	const struct linger linger = { .l_onoff = 1 };

	if (r->manner == RESETS)
		setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	fd_close(r->fd);
	*r = rudes[--n_rude];
}

void rude_step(void)
{
	int64_t at = monotonic_ms();

	if (n_rude < MAX && run_random() % 4 == 0)
		come();
	for (unsigned int i = n_rude; i-- > 0;) {
		if (at >= rudes[i].until)
			leave(&rudes[i]);
		else if (rudes[i].manner == BABBLES && rudes[i].may_babble)
			babble(rudes[i].fd);
	}
}

void rude_end(void)
{
	while (n_rude > 0)
		leave(&rudes[n_rude - 1]);
}
