/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One client of each port, as people are: they come and go, read slowly, send in bursts. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"
#include "clock.h"
#include "fd.h"

enum {
	STAY_MS = 15000, /* of a client, at most */
	AWAY_MS = 1200,
	PACE_MS = 1500,
	SLEEP_MS = 60, /* of one that is slow */
	SIP = 700,     /* bytes that it reads then */
	SEND_MS = 300,
	SEND_MAX = 6000,
	AGAIN_MS = 100,
	LEAVE_MS = 3000, /* until what a client has sent has come */
	TAIL = 4 * PATTERN_LOCATE,
	READ = 64 * 1024,
};

static struct client *all;
static unsigned int n_all;
static struct clients_figures sums;

static uint64_t up_to(uint64_t limit)
{
	return run_random() % limit;
}

static struct client *client_of(unsigned int guest, unsigned int port)
{
	return &all[guest * SOAK_PORTS + port];
}

static struct soak_guest *guest_of(const struct client *c)
{
	return &soak.shared->guests[c->guest];
}

static struct soak_stream *stream_of(const struct client *c)
{
	return &guest_of(c)->streams[c->stream];
}

static void be_absent(struct client *c, int64_t away)
{
	c->state = ABSENT;
	c->due_at = monotonic_ms() + away;
	c->deadline = c->due_at + RUN_WAIT_MS;
}

static void begin(struct client *c, unsigned int stream, unsigned int generation)
{
	static const enum check_kind kinds[SOAK_FIXED] = {
		[SOAK_CONSOLE] = CHECK_MARKED,
		[SOAK_LOSSY] = CHECK_FREE,
	};
	struct soak_stream *s;

	c->stream = stream;
	c->generation = generation;
	s = stream_of(c);
	c->in = soak_pattern(guest_of(c), stream, generation, true);
	c->in_sent = 0;
	check_init(&c->out, stream < SOAK_FIXED ? kinds[stream] : CHECK_EXACT,
		   soak_pattern(guest_of(c), stream, generation, false), &s->out.gaps);
	be_absent(c, 0);
}

void clients_init(void)
{
	n_all = soak.o.n_guests * SOAK_PORTS;
	all = calloc(n_all, sizeof(*all));
	if (!all)
		die("no memory");
	for (unsigned int i = 0; i < n_all; i++) {
		struct client *c = &all[i];

		*c = (struct client){ .guest = i / SOAK_PORTS, .port = i % SOAK_PORTS, .fd = -1 };
		if (c->port < SOAK_FIXED)
			begin(c, c->port, 0);
	}
}

void clients_fini(void)
{
	for (unsigned int i = 0; i < n_all; i++)
		fd_close(all[i].fd);
	free(all);
}

/* Coming */

static int dial_tcp(const struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)(soak.tcp_port + 2 * c->guest + 1)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int size = 64 * 1024;

	if (fd < 0)
		die("no socket: %s", strerror(errno));
	/* More would only keep what is sent from arriving. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fd_close(fd);
	return fd;
}

static int dial(const struct client *c)
{
	static const char *const names[] = { "console", "data1", "", "lossy" };
	char path[128], name[32];

	if (c->port == SOAK_TCP)
		return dial_tcp(c);
	if (c->port < SOAK_FIXED)
		snprintf(name, sizeof(name), "%s", names[c->port]);
	else
		snprintf(name, sizeof(name), "hot%u-%u", c->port - SOAK_FIXED, c->generation);
	ports_path(c->guest, name, path);
	return daemon_dial(&soak.daemon, path);
}

/* A console tells all that it still has; others go on, and what nobody was there for is gone. */
static void come(struct client *c)
{
	uint64_t from = check_position(&c->out);

	c->fd = dial(c);
	if (c->fd < 0) {
		if (monotonic_ms() > c->deadline)
			die("guest %u, port %u: nobody listens", c->guest, c->port);
		return;
	}
	check_begin(&c->out, c->port == SOAK_CONSOLE ? 0 : from, UINT64_MAX);
	c->state = HERE;
	c->due_at = monotonic_ms() + (int64_t)up_to(STAY_MS);
	c->pace_until = 0;
}

/* Leaving */

static void disagree(const struct client *c)
{
	die("guest %u, port %u (%u), output: %s", c->guest, c->port, c->generation, c->out.error);
}

static void close_it(struct client *c)
{
	if (!check_end(&c->out))
		disagree(c);
	c->fd = fd_close(c->fd);
	sums.leaves++;
	be_absent(c, (int64_t)up_to(AWAY_MS));
}

/* What the daemon had not read is lost; and what of it was read, nobody knows. */
static void note_cut(struct client *c)
{
	struct soak_input *in = &stream_of(c)->in;

	if (!soak_lossless(c->stream) || in->got >= c->in_sent)
		return;
	check_gap_note(&in->gaps, in->got, c->in_sent);
	c->after_cut = true;
}

static void leave_abruptly(struct client *c)
{
	const struct linger linger = { .l_onoff = 1 };

	note_cut(c);
	if (c->port == SOAK_TCP && up_to(2)) {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		sums.resets++;
	}
	close_it(c);
}

static void leave_politely(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
	c->state = LEAVING;
	c->due_at = monotonic_ms() + LEAVE_MS;
	sums.half_closes++;
}

static void wait_to_leave(struct client *c)
{
	if (stream_of(c)->in.got >= c->in_sent) {
		close_it(c);
	} else if (monotonic_ms() > c->due_at) {
		note_cut(c);
		close_it(c);
	}
}

/* The daemon has closed the connection: that is in order only if something else has ended. */
static void was_left(struct client *c)
{
	switch (c->state) {
	case LEAVING:
		close_it(c);
		return;
	case GOING:
		close_it(c);
		c->state = OVER;
		return;
	default:
		die("guest %u, port %u (%u): the daemon has closed the connection", c->guest,
		    c->port, c->generation);
	}
}

void clients_hot_come(unsigned int guest, unsigned int hot, unsigned int generation)
{
	begin(client_of(guest, SOAK_FIXED + hot), soak_hot_stream(hot, generation), generation);
}

void clients_hot_go(unsigned int guest, unsigned int hot)
{
	struct client *c = client_of(guest, SOAK_FIXED + hot);

	c->state = c->fd >= 0 ? GOING : OVER;
	c->deadline = monotonic_ms() + RUN_WAIT_MS;
}

bool clients_hot_is_over(unsigned int guest, unsigned int hot)
{
	return client_of(guest, SOAK_FIXED + hot)->state == OVER;
}

/* Reading */

static void receive(struct client *c, size_t max)
{
	static uint8_t buf[READ];
	uint64_t before = c->out.n_bytes;
	ssize_t n = recv(c->fd, buf, min_size(max, sizeof(buf)), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		was_left(c);
		return;
	}
	if (!c->out.placed)
		c->out.to = stream_of(c)->out.offered;
	if (!check_feed(&c->out, buf, (size_t)n))
		disagree(c);
	*(soak_lossless(c->stream) ? &sums.out : &sums.lossy_out) += c->out.n_bytes - before;
}

static bool in_haste(const struct client *c)
{
	return c->state != HERE || soak.shared->phase > SOAK_LOAD;
}

static bool reads_at(const struct client *c, int64_t at)
{
	if (c->fd < 0 || (soak.shared->phase == SOAK_FILL && c->state == HERE))
		return false;
	return in_haste(c) || (c->pace != STOPPED && at >= c->read_at);
}

static void read_at_its_pace(struct client *c)
{
	if (in_haste(c) || c->pace == FAST) {
		receive(c, READ);
		return;
	}
	receive(c, 1 + up_to(SIP));
	c->read_at = monotonic_ms() + (int64_t)up_to(SLEEP_MS);
}

void clients_poll(int timeout_ms)
{
	static struct pollfd fds[SOAK_MAX_GUESTS * SOAK_PORTS];
	static struct client *who[SOAK_MAX_GUESTS * SOAK_PORTS];
	int64_t at = monotonic_ms();
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_all; i++) {
		if (!reads_at(&all[i], at))
			continue;
		fds[n] = (struct pollfd){ .fd = all[i].fd, .events = POLLIN };
		who[n++] = &all[i];
	}
	if (poll(fds, n, timeout_ms) <= 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		if (fds[i].revents)
			read_at_its_pace(who[i]);
}

/* Sending */

static void send_some(struct client *c, size_t max)
{
	uint8_t buf[SEND_MAX];
	size_t len = 1 + up_to(max);
	ssize_t n;

	pattern_fill(&c->in, c->in_sent, buf, len);
	n = send(c->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0)
		return;
	c->in_sent += (uint64_t)n;
	sums.in += (uint64_t)n;
}

static void change_pace(struct client *c, int64_t at)
{
	static const enum pace paces[] = { FAST, FAST, FAST, FAST, SLOW, SLOW, STOPPED };

	c->pace = paces[up_to(ARRAY_SIZE(paces))];
	c->pace_until = at + (int64_t)up_to(PACE_MS);
	c->read_at = at;
}

/*
 * A client that was cut off is there for the daemon until its bytes are read to their end.
 * The keyboard is not its own, as each that comes takes it; but if that one left before, it
 * would be the older one's again, and the rest of its bytes would follow those of the newer.
 */
static void live(struct client *c, int64_t at)
{
	if (at >= c->pace_until)
		change_pace(c, at);
	if (soak_lossless(c->stream) && at >= c->send_at) {
		send_some(c, SEND_MAX);
		c->send_at = at + (int64_t)up_to(SEND_MS);
	}
	if (at < c->due_at)
		return;
	if (c->after_cut && ports_count_writers(c->guest, c->port) > 1) {
		c->due_at = at + AGAIN_MS;
		return;
	}
	c->after_cut = false;
	if (soak_lossless(c->stream) && up_to(2))
		leave_politely(c);
	else
		leave_abruptly(c);
}

static void send_rest_of_tail(struct client *c)
{
	if (soak_lossless(c->stream) && c->in_sent - c->tail_from < TAIL)
		send_some(c, TAIL);
}

static void step(struct client *c, int64_t at)
{
	bool load = soak.shared->phase == SOAK_LOAD;

	if (c->state == ABSENT && (at >= c->due_at || !load))
		come(c);
	else if (c->state == HERE && load)
		live(c, at);
	else if (c->state == HERE && soak.shared->phase == SOAK_FILL && soak_lossless(c->stream))
		send_some(c, SEND_MAX);
	else if (c->state == HERE && soak.shared->phase == SOAK_TAIL)
		send_rest_of_tail(c);
	else if (c->state == LEAVING)
		wait_to_leave(c);
	else if (c->state == GOING && at > c->deadline)
		die("guest %u, port %u (%u): unplugged, and the client is not disconnected",
		    c->guest, c->port, c->generation);
}

void clients_step(void)
{
	int64_t at = monotonic_ms();

	for (unsigned int i = 0; i < n_all; i++)
		step(&all[i], at);
}

/* The end of a round */

bool clients_are_there(void)
{
	for (unsigned int i = 0; i < n_all; i++)
		if (all[i].state != HERE && all[i].state != OVER && all[i].state != NONE)
			return false;
	return true;
}

unsigned int clients_due(unsigned int guest)
{
	unsigned int n = 0;

	for (unsigned int port = 0; port < SOAK_PORTS; port++)
		n += client_of(guest, port)->state == HERE;
	return n;
}

void clients_begin_tail(void)
{
	for (unsigned int i = 0; i < n_all; i++)
		all[i].tail_from = all[i].in_sent;
}

uint64_t clients_moved(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_all; i++)
		if (soak_lossless(all[i].stream))
			n += all[i].in_sent + stream_of(&all[i])->out.returned;
	return n;
}

static bool tail_is_sent(const struct client *c)
{
	return !soak_lossless(c->stream) || c->in_sent - c->tail_from >= TAIL;
}

static const char *missing(const struct client *c)
{
	static char text[256];
	const struct soak_stream *s = stream_of(c);
	uint64_t pos = check_position(&c->out);

	if (c->port >= SOAK_FIXED && guest_of(c)->opened[c->port - SOAK_FIXED] != c->generation)
		snprintf(text, sizeof(text), "guest %u has not opened port %u (%u)", c->guest,
			 c->port, c->generation);
	else if (pos != s->out.offered || c->out.n_held > 0)
		snprintf(text, sizeof(text),
			 "guest %u, port %u (%u), output: %" PRIu64 " of %" PRIu64 " bytes",
			 c->guest, c->port, c->generation, pos, s->out.offered);
	else if (soak_lossless(c->stream) && (!tail_is_sent(c) || s->in.got != c->in_sent))
		snprintf(text, sizeof(text),
			 "guest %u, port %u (%u), input: %" PRIu64 " of %" PRIu64 " bytes",
			 c->guest, c->port, c->generation, s->in.got, c->in_sent);
	else
		return NULL;
	return text;
}

const char *clients_missing(void)
{
	for (unsigned int i = 0; i < n_all; i++) {
		const char *text = all[i].state == HERE ? missing(&all[i]) : NULL;

		if (text)
			return text;
	}
	return NULL;
}

void clients_sum(struct clients_figures *ret_figures)
{
	*ret_figures = sums;
	for (unsigned int i = 0; i < n_all; i++) {
		ret_figures->told += all[i].out.n_told;
		ret_figures->unplaced += all[i].out.n_unplaced;
		ret_figures->gaps += all[i].out.n_jumps;
	}
}
