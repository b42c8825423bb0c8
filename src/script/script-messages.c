/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Connections, and what passes on them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "script/script-player.h"
#include "vhu/format.h"

enum { LINE_MAX_LEN = 600 };

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(PLAYER_MAX_FDS * sizeof(int))];
};

/* Connections. */

static int conn_number(struct player *p, const char *text, unsigned int *ret_number)
{
	uint64_t number;
	int err = player_number(p, text, &number);

	if (err == 0 && number >= PLAYER_CONNS)
		err = player_fail(p, -EINVAL, "connections are numbered below %d", PLAYER_CONNS);
	if (err == 0)
		*ret_number = (unsigned int)number;
	return err;
}

struct player_conn *player_conn(struct player *p, const char *number, unsigned int *ret_number)
{
	unsigned int i = 0;

	if (conn_number(p, number, &i) < 0)
		return NULL;
	if (!p->conns[i])
		player_fail(p, -EINVAL, "there is no connection %u so far", i);
	else
		*ret_number = i;
	return p->conns[i];
}

/* The reason is to be read whatever the length of the address. */
static int fail_connect(struct player *p, int err)
{
	const char *backend = p->plan->backend ? p->plan->backend : "the back-end";

	return player_fail(p, err, "a connection to %.150s%s: %s", backend,
			   strlen(backend) > 150 ? "..." : "", strerror(-err));
}

int player_connect(struct player *p, const struct statement *s)
{
	struct player_conn *conn;
	unsigned int i = 0;
	int err = conn_number(p, s->words[0], &i);

	if (err < 0)
		return err;
	if (p->conns[i])
		return player_fail(p, -EINVAL, "connection %u was there before", i);
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return player_fail(p, -ENOMEM, "no memory for a connection");
	conn->channel = -1;
	vhu_assembler_init(&conn->sent, VHU_FE);
	err = p->plan->connect(p->plan->arg, &conn->fd);
	if (err < 0) {
		free(conn);
		return fail_connect(p, err);
	}
	p->conns[i] = conn;
	fprintf(p->plan->out, "-- connection %u begins\n", i);
	return 0;
}

int player_close(struct player *p, const struct statement *s)
{
	unsigned int i = 0;
	struct player_conn *conn = player_conn(p, s->words[0], &i);

	if (!conn)
		return -EINVAL;
	conn->fd = fd_close(conn->fd);
	conn->channel = -1;
	fprintf(p->plan->out, "-- connection %u is closed\n", i);
	return 0;
}

int player_shutdown(struct player *p, const struct statement *s)
{
	unsigned int i = 0;
	const struct player_conn *conn = player_conn(p, s->words[0], &i);

	if (!conn)
		return -EINVAL;
	shutdown(conn->fd, SHUT_WR);
	fprintf(p->plan->out, "-- connection %u: no more will be sent\n", i);
	return 0;
}

/* Sending. */

static void print_line(struct player *p, unsigned int conn, const struct vhu_msg *msg)
{
	char line[LINE_MAX_LEN];

	if (vhu_format_line(line, sizeof(line), msg) >= sizeof(line))
		memcpy(line + sizeof(line) - 4, "...", 4);
	fprintf(p->plan->out, "%u %s\n", conn, line);
}

static void print_message(struct player *p, unsigned int conn, const char *arrow,
			  const struct vhu_msg *msg)
{
	fprintf(p->plan->out, "%s ", arrow);
	print_line(p, conn, msg);
}

void player_learn_channel(struct player *p, struct player_conn *conn, const char *list)
{
	char name[PLAYER_NAME] = "";

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(list, ","), list);
	for (size_t i = 0; i < p->n_things; i++)
		if (strcmp(p->things[i].name, name) == 0)
			conn->channel = p->things[i].other;
}

static void print_sent(struct player *p, unsigned int number, const struct statement *s)
{
	struct player_conn *conn = p->conns[number];

	for (size_t done = 0; done < s->len;) {
		size_t taken;
		enum vhu_assembly is =
			vhu_assembler_feed(&conn->sent, s->bytes + done, s->len - done, &taken);

		done += taken;
		if (is == VHU_ASSEMBLY_MESSAGE) {
			print_message(p, number, "->", &conn->sent.msg);
			if (conn->sent.msg.id == VHU_FE_SET_BACKEND_REQ_FD && s->fds)
				player_learn_channel(p, conn, s->fds);
			continue;
		}
		fprintf(p->plan->out, "-> %u %zu bytes%s\n", number,
			is == VHU_ASSEMBLY_MORE ? taken : s->len - done,
			is == VHU_ASSEMBLY_MORE ? " of a message" : "");
		return;
	}
}

int player_collect_fds(struct player *p, char *list, int fds[PLAYER_MAX_FDS], size_t *ret_n)
{
	size_t n = 0;
	char *rest, *name;

	for (name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		const struct thing *t = player_thing(p, name);

		if (!t)
			return -EINVAL;
		if (n == PLAYER_MAX_FDS)
			return player_fail(p, -EINVAL, "at most %d descriptors", PLAYER_MAX_FDS);
		if (t->seals && fcntl(t->other, F_ADD_SEALS, t->seals) < 0)
			return player_fail(p, -errno, "seals on %s: %s", name, strerror(errno));
		fds[n++] = t->fd;
	}
	*ret_n = n;
	return 0;
}

int player_send_bytes(struct player *p, int sock, const uint8_t *bytes, size_t len, const int *fds,
		      size_t n_fds, int64_t deadline_ms)
{
	size_t done = 0;

	while (done < len) {
		union control control = { .space = { 0 } };
		struct iovec iov = { (uint8_t *)(uintptr_t)bytes + done, len - done };
		struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct pollfd out = { .fd = sock, .events = POLLOUT };
		ssize_t n;
		int ready;

		if (done == 0 && n_fds > 0)
			fd_attach(&hdr, control.space, fds, n_fds);
		n = sendmsg(sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -EPIPE;
		ready = player_poll(p, &out, 1, deadline_ms);
		if (ready <= 0)
			return ready < 0 ? ready : -EPIPE;
	}
	return 0;
}

/* A back-end that has gone, or does not read, is a matter of what comes, not of what is sent. */
static int send_on(struct player *p, unsigned int number, int sock, const struct statement *s)
{
	int fds[PLAYER_MAX_FDS];
	size_t n_fds = 0;
	int err = s->fds ? player_collect_fds(p, s->fds, fds, &n_fds) : 0;

	if (err == 0)
		err = player_send_bytes(p, sock, s->bytes, s->len, fds, n_fds,
					monotonic_ms() + p->plan->timeout_ms);
	if (err != -EPIPE)
		return err;
	fprintf(p->plan->out, "-- %u: the back-end did not take that\n", number);
	return 0;
}

int player_send(struct player *p, const struct statement *s)
{
	unsigned int number = 0;
	const struct player_conn *conn = player_conn(p, s->words[0], &number);

	if (!conn)
		return -EINVAL;
	if (conn->fd < 0) {
		fprintf(p->plan->out, "-- %u: the connection is closed, nothing is sent\n", number);
		return 0;
	}
	print_sent(p, number, s);
	return send_on(p, number, conn->fd, s);
}

int player_send_channel(struct player *p, const struct statement *s)
{
	unsigned int number = 0;
	const struct player_conn *conn = player_conn(p, s->words[0], &number);

	if (!conn)
		return -EINVAL;
	if (conn->channel < 0) {
		fprintf(p->plan->out, "-- %u: there is no channel, nothing is sent\n", number);
		return 0;
	}
	fprintf(p->plan->out, "=> %u %zu bytes\n", number, s->len);
	return send_on(p, number, conn->channel, s);
}

/* Receiving. */

/* Until there are want bytes: 0, -ECONNRESET at the end of the stream, -ETIMEDOUT, -EINTR. */
static int fill(struct player *p, int sock, struct arrival *a, size_t want, int64_t deadline)
{
	while (a->len < want) {
		union control control;
		struct iovec iov = { a->bytes + a->len, want - a->len };
		struct msghdr hdr = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space),
		};
		struct pollfd in = { .fd = sock, .events = POLLIN };
		int ready = player_poll(p, &in, 1, deadline);
		ssize_t n;

		if (ready <= 0)
			return ready < 0 ? ready : -ETIMEDOUT;
		n = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -ECONNRESET;
		if (n < 0)
			continue;
		fdset_receive(&a->fds, &hdr);
		a->len += (size_t)n;
	}
	return 0;
}

int player_receive(struct player *p, int sock, enum vhu_dir dir, struct arrival *a,
		   int64_t deadline_ms)
{
	int err;

	a->len = 0;
	fdset_init(&a->fds);
	vhu_msg_init(&a->msg, dir, 0);
	if (sock < 0)
		return -ECONNRESET;
	err = fill(p, sock, a, VHU_HDR_LEN, deadline_ms);
	if (err == 0)
		err = vhu_header_parse(a->bytes, &a->msg);
	if (err == 0)
		err = fill(p, sock, a, VHU_HDR_LEN + a->msg.size, deadline_ms);
	if (err == 0)
		memcpy(a->msg.payload, a->bytes + VHU_HDR_LEN, a->msg.size);
	return err;
}

static const char *failure_text(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "nothing came in time";
	case -ECONNRESET:
		return "it is closed";
	default:
		return "what came has no sensible size";
	}
}

/* The wanted message in words, on a line of its own. */
static void print_expected(struct player *p, unsigned int number, enum vhu_dir dir,
			   const struct statement *s)
{
	struct vhu_msg msg;
	size_t taken;
	struct vhu_assembler *a = malloc(sizeof(*a));

	if (!a)
		return;
	vhu_assembler_init(a, dir);
	if (vhu_assembler_feed(a, s->bytes, s->len, &taken) == VHU_ASSEMBLY_MESSAGE) {
		msg = a->msg;
		fprintf(p->plan->out, "!! %s was ", p->plan->known);
		print_line(p, number, &msg);
	}
	free(a);
}

/* How many names there are in "m1,m2". */
static unsigned int count_names(const char *list)
{
	unsigned int n = list && *list ? 1 : 0;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

int player_name_fds(struct player *p, struct fdset *set, char *list)
{
	unsigned int i = 0;
	char *rest, *name = list ? strtok_r(list, ",", &rest) : NULL;

	for (; name; name = strtok_r(NULL, ",", &rest)) {
		int fd = fdset_take(set, i++);
		struct thing *t = fd >= 0 ? player_add_thing(p, name) : NULL;

		if (t)
			t->fd = fd;
		else if (fd >= 0)
			fd_close(fd);
	}
	return 0;
}

/* err: how its arrival went. */
static void compare(struct player *p, unsigned int number, enum vhu_dir dir,
		    const struct statement *s, const struct arrival *a, int err)
{
	const char *channel = dir == VHU_BE ? ", channel" : "";
	bool same = err == 0 && a->len == s->len && memcmp(a->bytes, s->bytes, s->len) == 0;

	if (err == 0)
		print_message(p, number, dir == VHU_FE ? "<-" : "<=", &a->msg);
	if (err < 0)
		player_differ(p, "connection %u%s: %s", number, channel, failure_text(err));
	else if (!same)
		player_differ(p, "connection %u%s: that is not what was %s", number, channel,
			      p->plan->known);
	else if (a->fds.n_fds != count_names(s->fds))
		player_differ(p, "connection %u%s: it brings %u descriptors; %s were %u", number,
			      channel, a->fds.n_fds, p->plan->known, count_names(s->fds));
	if (!same)
		print_expected(p, number, dir, s);
}

static int recv_on(struct player *p, unsigned int number, int sock, enum vhu_dir dir,
		   const struct statement *s)
{
	struct arrival *a = malloc(sizeof(*a));
	int err;

	if (!a)
		return player_fail(p, -ENOMEM, "no memory for a message");
	err = player_receive(p, sock, dir, a, monotonic_ms() + p->plan->timeout_ms);
	if (err != -EINTR) {
		compare(p, number, dir, s, a, err);
		err = player_name_fds(p, &a->fds, s->fds);
	}
	fdset_close(&a->fds);
	free(a);
	return err;
}

int player_recv(struct player *p, const struct statement *s)
{
	unsigned int number = 0;
	const struct player_conn *conn = player_conn(p, s->words[0], &number);

	return conn ? recv_on(p, number, conn->fd, VHU_FE, s) : -EINVAL;
}

int player_recv_channel(struct player *p, const struct statement *s)
{
	unsigned int number = 0;
	const struct player_conn *conn = player_conn(p, s->words[0], &number);

	return conn ? recv_on(p, number, conn->channel, VHU_BE, s) : -EINVAL;
}

int player_closed(struct player *p, const struct statement *s)
{
	unsigned int number = 0;
	struct player_conn *conn = player_conn(p, s->words[0], &number);
	struct arrival *a;
	int err;

	if (!conn)
		return -EINVAL;
	a = malloc(sizeof(*a));
	if (!a)
		return player_fail(p, -ENOMEM, "no memory for a message");
	err = player_receive(p, conn->fd, VHU_FE, a, monotonic_ms() + p->plan->timeout_ms);
	if (err == 0)
		print_message(p, number, "<-", &a->msg);
	if (err == -ECONNRESET)
		fprintf(p->plan->out, "<- %u the back-end closes the connection\n", number);
	else if (err != -EINTR)
		player_differ(p, "connection %u: it is open; %s was its end", number,
			      p->plan->known);
	fdset_close(&a->fds);
	free(a);
	if (err == -EINTR)
		return err;
	conn->fd = fd_close(conn->fd);
	return 0;
}

/* Silence. */

/* Something came that should not: 0, or -EINTR. */
static int tell_surprise(struct player *p, unsigned int number, bool channel)
{
	struct player_conn *conn = p->conns[number];
	struct arrival *a = malloc(sizeof(*a));
	const char *where = channel ? ", channel" : "";
	int err;

	if (!a)
		return 0;
	err = player_receive(p, channel ? conn->channel : conn->fd, channel ? VHU_BE : VHU_FE, a,
			     monotonic_ms() + p->plan->timeout_ms);
	if (err == 0) {
		print_message(p, number, channel ? "<=" : "<-", &a->msg);
		player_differ(p, "connection %u%s: that was not %s", number, where, p->plan->known);
	} else if (err != -EINTR) {
		player_differ(p, "connection %u%s: it is closed; %s was silence", number, where,
			      p->plan->known);
		if (channel)
			conn->channel = -1;
		else
			conn->fd = fd_close(conn->fd);
	}
	fdset_close(&a->fds);
	free(a);
	return err == -EINTR ? err : 0;
}

/* A socket that may say something. */
struct voice {
	unsigned int conn;
	bool channel;
};

static nfds_t open_sockets(const struct player *p, struct pollfd *fds, struct voice *voices)
{
	nfds_t n = 0;

	for (unsigned int i = 0; i < PLAYER_CONNS; i++) {
		const struct player_conn *conn = p->conns[i];

		for (int channel = 0; conn && channel < 2; channel++) {
			int fd = channel ? conn->channel : conn->fd;

			if (fd < 0)
				continue;
			fds[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
			voices[n++] = (struct voice){ i, channel };
		}
	}
	return n;
}

/* Looks at everything that is open until then; what comes is told. 0, or -EINTR. */
static int hear(struct player *p, int64_t deadline_ms)
{
	struct pollfd *fds = calloc(2 * (size_t)PLAYER_CONNS, sizeof(*fds));
	struct voice *voices = calloc(2 * (size_t)PLAYER_CONNS, sizeof(*voices));
	nfds_t n = fds && voices ? open_sockets(p, fds, voices) : 0;
	int ready = player_poll(p, fds, n, deadline_ms), err = ready < 0 ? ready : 0;

	for (nfds_t i = 0; err == 0 && i < n; i++)
		if (fds[i].revents)
			err = tell_surprise(p, voices[i].conn, voices[i].channel);
	free(fds);
	free(voices);
	return err;
}

static int take_ms(struct player *p, const struct statement *s, uint64_t *ret_ms)
{
	enum { MAX_MS = 60000 };
	uint64_t ms = 0;
	int err = player_number(p, s->words[0], &ms);

	if (err == 0 && ms > MAX_MS)
		err = player_fail(p, -EINVAL, "a %s has at most %d ms", s->verb, MAX_MS);
	if (err == 0)
		*ret_ms = ms;
	return err;
}

int player_pause(struct player *p, const struct statement *s)
{
	int64_t deadline;
	uint64_t ms = 0;
	int err = take_ms(p, s, &ms);

	if (err < 0)
		return err;
	deadline = monotonic_ms() + (int64_t)ms;
	while (err == 0 && monotonic_ms() < deadline)
		err = hear(p, deadline);
	return err;
}

int player_wait(struct player *p, const struct statement *s)
{
	uint64_t ms = 0;
	int err = take_ms(p, s, &ms);

	if (err == 0)
		err = player_poll(p, NULL, 0, monotonic_ms() + (int64_t)ms);
	return err;
}
