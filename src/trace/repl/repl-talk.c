/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages that go out and come in. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fdkind.h"
#include "trace/repl/repl-private.h"
#include "trace/views/views.h"
#include "vhu/codec.h"
#include "vhu/fields.h"
#include "vhu/format.h"

enum { INDENT = 4 };

/* Showing. */

static uint64_t offered(const struct repl *r, const struct vhu_msg *m)
{
	if (m->dir != VHU_FE || (m->flags & VHU_FLAG_REPLY))
		return 0;
	return m->id == VHU_FE_SET_FEATURES	       ? r->talk->nego.offered_features
	       : m->id == VHU_FE_SET_PROTOCOL_FEATURES ? r->talk->nego.offered_protocol
						       : 0;
}

static void show_message(struct repl *r, const char *arrow, const struct vhu_msg *m)
{
	size_t len = vhu_format_line(NULL, 0, m) + 1;
	char *line = malloc(len);
	FILE *out = r->options->out;

	if (!line)
		return;
	vhu_format_line(line, len, m);
	fprintf(out, "%s %s\n", arrow, line);
	free(line);
	if (r->options->fields)
		view_text_fields(out, m, offered(r, m), NULL, INDENT);
	if (r->options->hex)
		view_text_hex(out, m, INDENT);
}

static void show_rule(struct repl *r, enum vhu_rule rule)
{
	if (rule != VHU_OK)
		fprintf(r->options->out, "!! %s: %s (%s)\n", vhu_rule_name(rule),
			vhu_rule_text(rule), vhu_rule_ref(rule));
}

static bool is_broken(enum vhu_rule rule)
{
	return rule != VHU_OK && vhu_rule_severity(rule) != VHU_NOTE;
}

/* Listening. */

/* Descriptors that came get names, so that they can be sent and looked at. */
static void keep_fds(struct repl *r, struct fdset *fds)
{
	char name[PLAYER_NAME], list[PLAYER_NAME], text[160];

	for (unsigned int i = 0; i < fds->n_fds; i++) {
		struct fdset one = { .fd = { fdset_take(fds, i) }, .n_fds = 1 };
		struct fd_about about;

		snprintf(name, sizeof(name), "fd%u", ++r->n_named);
		memcpy(list, name, sizeof(list));
		if (fd_describe(one.fd[0], &about))
			fd_about_text(text, sizeof(text), &about);
		else
			snprintf(text, sizeof(text), "nothing");
		fprintf(r->options->out, "-- with it came %s: %s\n", name, text);
		player_name_fds(&r->player, &one, list);
		fdset_close(&one);
	}
}

static void close_side(struct repl *r, bool channel)
{
	struct player_conn *conn = repl_conn(r);

	conn->channel = -1; /* the thing's to close */
	if (!channel)
		conn->fd = fd_close(conn->fd);
}

static int tell_end(struct repl *r, bool channel, int err, const struct arrival *a)
{
	FILE *out = r->options->out;

	if (a->len > 0)
		fprintf(out, "%s %zu bytes that make no message\n", channel ? "<=" : "<-", a->len);
	if (err == -ECONNRESET)
		fprintf(out, "%s the back-end has closed the %s\n", channel ? "<=" : "<-",
			channel ? "channel" : "connection");
	else
		fprintf(out, "-- framing is lost: the %s is closed\n",
			channel ? "channel" : "connection");
	close_side(r, channel);
	return -ECONNRESET;
}

/* The back-end asks something of us. */
static void take_request(struct repl *r, const struct vhu_msg *m)
{
	enum vhu_rule rule = vhu_check_header(&r->talk->nego, m);

	show_rule(r, is_broken(rule) ? rule : vhu_check_request(&r->talk->nego, m));
	if (!vhu_reply_due(&r->talk->nego, m))
		return;
	if (r->talk->n_asked < REPL_ASKED)
		r->talk->asked[r->talk->n_asked++] = m->id;
	fputs("-- it waits for an answer\n", r->options->out);
}

static int take_arrival(struct repl *r, bool channel, struct arrival *a)
{
	r->talk->heard = true;
	r->talk->heard_on_channel = channel;
	r->talk->last = a->msg;
	r->talk->last.fds.n_fds = a->fds.n_fds;
	show_message(r, channel ? "<=" : "<-", &r->talk->last);
	if (channel)
		take_request(r, &r->talk->last);
	keep_fds(r, &a->fds);
	return 0;
}

static int receive_from(struct repl *r, bool channel)
{
	struct player_conn *conn = repl_conn(r);
	struct arrival *a = malloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	err = player_receive(&r->player, channel ? conn->channel : conn->fd,
			     channel ? VHU_BE : VHU_FE, a, monotonic_ms() + r->plan.timeout_ms);
	err = err < 0 ? tell_end(r, channel, err, a) : take_arrival(r, channel, a);
	fdset_close(&a->fds);
	free(a);
	return err;
}

void repl_sockets(struct repl *r, int fds[2])
{
	const struct player_conn *conn = repl_conn(r);

	fds[0] = conn->fd;
	fds[1] = conn->channel;
}

int repl_hear(struct repl *r, int64_t deadline_ms)
{
	struct pollfd in[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int fds[2], ready;

	repl_sockets(r, fds);
	if (fds[0] < 0)
		return -ECONNRESET;
	in[0].fd = fds[0];
	in[1].fd = fds[1];
	ready = player_poll(&r->player, in, ARRAY_SIZE(in), deadline_ms);
	if (ready <= 0)
		return ready < 0 ? ready : -ETIMEDOUT;
	if (!in[1].revents)
		return receive_from(r, false);
	/* The end of the channel is not the end of all. */
	receive_from(r, true);
	return 0;
}

int repl_hear_next(struct repl *r, int64_t deadline_ms)
{
	return monotonic_ms() > deadline_ms ? -ETIMEDOUT : repl_hear(r, deadline_ms);
}

void repl_hear_all(struct repl *r)
{
	enum { AT_ONCE = 256 };

	for (unsigned int i = 0; i < AT_ONCE && repl_hear(r, 0) == 0; i++)
		;
}

/* Sending. */

/* Takes "fds=..." out of the line: NULL when there is none. */
static char *take_fds(struct repl_line *line)
{
	static const char word[] = "fds=";
	char *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < line->n_words; i++) {
		if (strncmp(line->words[i], word, sizeof(word) - 1) == 0)
			list = line->words[i] + sizeof(word) - 1;
		else
			line->words[n++] = line->words[i];
	}
	line->n_words = n;
	return list;
}

/* A message with its descriptors, which are lent. */
struct outgoing {
	struct composed composed;
	int fds[PLAYER_MAX_FDS];
	size_t n_fds;
	char *list; /* their names, or NULL */
};

static int refuse(struct repl *r, const struct vhu_msg *m, enum vhu_rule rule)
{
	return repl_fail(r, -EINVAL, "%s breaks %s: %s (%s). After \"break-rules on\" it is sent",
			 vhu_msg_name(m->dir, m->id), vhu_rule_name(rule), vhu_rule_text(rule),
			 vhu_rule_ref(rule));
}

/* What the state becomes if the back-end does not refuse. */
static int judge(struct repl *r, const struct vhu_msg *m)
{
	enum vhu_rule rule = vhu_check_header(&r->talk->nego, m);

	if (!is_broken(rule))
		rule = vhu_check_request(&r->talk->nego, m);
	if (is_broken(rule) && !r->breaks_rules)
		return refuse(r, m, rule);
	show_rule(r, rule);
	if (!is_broken(rule))
		vhu_observe(&r->talk->nego, m);
	return 0;
}

/* A number that no connection has had. */
static unsigned int free_number(const struct repl *r)
{
	unsigned int i = 0;

	while (i < PLAYER_CONNS - 1 && r->player.conns[i])
		i++;
	return i;
}

static int fail_closed(struct repl *r)
{
	return repl_fail(r, -EPROTO, "connection %u is closed; \"connect %u\" makes one", r->conn,
			 free_number(r));
}

static int send_out(struct repl *r, struct outgoing *o)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct player_conn *conn = repl_conn(r);
	int err;

	vhu_header_pack(&o->composed.msg, bytes);
	memcpy(bytes + VHU_HDR_LEN, o->composed.msg.payload, o->composed.payload_len);
	err = player_send_bytes(&r->player, conn->fd, bytes, VHU_HDR_LEN + o->composed.payload_len,
				o->fds, o->n_fds, monotonic_ms() + r->plan.timeout_ms);
	if (err == -EPIPE) {
		repl_hear_all(r);
		err = repl_fail(r, -EPROTO, "the back-end did not take that");
	}
	if (err < 0)
		return err;
	if (o->list && o->composed.msg.id == VHU_FE_SET_BACKEND_REQ_FD)
		player_learn_channel(&r->player, conn, o->list);
	return 0;
}

/* Replies. */

/* With broken rules anything may happen, and is only shown. */
static int not_as_expected(struct repl *r, const char *what, const struct vhu_msg *request)
{
	const char *name = vhu_msg_name(request->dir, request->id);

	if (!r->breaks_rules)
		return repl_fail(r, -EPROTO, "%s: %s", name, what);
	fprintf(r->options->out, "-- %s: %s\n", name, what);
	return 0;
}

static bool is_reply_to(const struct vhu_msg *m, const struct vhu_msg *request)
{
	return (m->flags & VHU_FLAG_REPLY) && m->id == request->id;
}

static int judge_reply(struct repl *r, const struct vhu_msg *request, const struct vhu_nego *before)
{
	const struct vhu_desc *desc = vhu_desc_find(request->dir, request->id);
	enum vhu_rule rule = vhu_check_reply_header(&r->talk->last);

	if (!is_broken(rule))
		rule = vhu_check_reply(&r->talk->nego, request, &r->talk->last);
	show_rule(r, rule);
	if (is_broken(rule))
		return not_as_expected(r, "the reply breaks a rule", request);
	if ((!desc || !vhu_has_own_reply(desc, &r->talk->nego)) &&
	    vhu_msg_u64(&r->talk->last) != 0) {
		fputs("-- that means: refused\n", r->options->out);
		r->talk->nego = *before;
	}
	vhu_observe(&r->talk->nego, &r->talk->last);
	return 0;
}

static int await_reply(struct repl *r, const struct vhu_msg *request, const struct vhu_nego *before)
{
	int64_t deadline = monotonic_ms() + r->plan.timeout_ms;

	for (;;) {
		int err;

		r->talk->heard = false;
		err = repl_hear_next(r, deadline);
		if (err == -EINTR)
			return err;
		if (err == -ETIMEDOUT)
			return not_as_expected(r, "no reply came in time", request);
		if (err < 0)
			return not_as_expected(r, "the connection ended before the reply", request);
		if (!r->talk->heard || r->talk->heard_on_channel)
			continue;
		if (is_reply_to(&r->talk->last, request))
			return judge_reply(r, request, before);
		fputs("!! nobody has asked for that\n", r->options->out);
	}
}

static int compose_out(struct repl *r, struct repl_line *line, struct outgoing *o)
{
	int err;

	o->list = take_fds(line);
	err = compose_message(VHU_FE, line->words, line->n_words, &o->composed, r->error);
	if (err == 0 && o->list) {
		char *names = strdup(o->list);

		err = names ? player_collect_fds(&r->player, names, o->fds, &o->n_fds)
			    : repl_fail(r, -ENOMEM, "no memory for names");
		free(names);
	}
	/* Counted, but not owned by the message. */
	o->composed.msg.fds.n_fds = (unsigned int)o->n_fds;
	return err;
}

static int exchange(struct repl *r, struct repl_line *line, struct outgoing *o,
		    struct vhu_nego *before)
{
	const struct vhu_msg *m = &o->composed.msg;
	int err = compose_out(r, line, o);

	if (err < 0)
		return err;
	repl_hear_all(r);
	if (repl_conn(r)->fd < 0)
		return fail_closed(r);
	*before = r->talk->nego;
	err = judge(r, m);
	if (err < 0)
		return err;
	show_message(r, "->", m);
	r->talk->heard = false;
	err = send_out(r, o);
	if (err == 0 && vhu_reply_due(&r->talk->nego, m))
		err = await_reply(r, m, before);
	return err;
}

int repl_message(struct repl *r, const struct repl_line *line)
{
	struct outgoing *o = calloc(1, sizeof(*o));
	struct vhu_nego *before = malloc(sizeof(*before));
	struct repl_line words = *line;
	int err = o && before ? exchange(r, &words, o, before)
			      : repl_fail(r, -ENOMEM, "no memory for a message");

	free(o);
	free(before);
	return err;
}

/* The channel. */

int repl_channel(struct repl *r, const struct repl_line *line)
{
	char name[PLAYER_NAME] = "channel", make[64], tell[64];
	struct thing *t;
	int err;

	(void)line;
	if (r->conn > 0) /* that of connection 0 is not to be taken away from it */
		snprintf(name, sizeof(name), "channel%u", r->conn % PLAYER_CONNS);
	snprintf(make, sizeof(make), "socket %s", name);
	snprintf(tell, sizeof(tell), "SET_BACKEND_REQ_FD fds=%s", name);
	repl_conn(r)->channel = -1;
	err = repl_play(r, make);
	if (err == 0)
		err = repl_play(r, tell);
	/* The back-end has its end now: with ours alone, its end can be seen. */
	t = err == 0 ? player_thing(&r->player, name) : NULL;
	if (t)
		t->fd = fd_close(t->fd);
	return err;
}

int repl_answer(struct repl *r, const struct repl_line *line)
{
	struct vhu_msg request, reply;
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	uint64_t value = 0;
	int err = line->n_words > 1 ? player_number(&r->player, line->words[1], &value) : 0;

	if (err < 0)
		return err;
	if (r->talk->n_asked == 0)
		return repl_fail(r, -EINVAL, "the back-end waits for no answer");
	if (repl_conn(r)->channel < 0)
		return repl_fail(r, -EPROTO, "the channel of connection %u is closed", r->conn);
	vhu_msg_init(&request, VHU_BE, r->talk->asked[0]);
	vhu_msg_init_reply(&reply, &request);
	vhu_msg_put_u64(&reply, value);
	show_message(r, "=>", &reply);
	r->talk->n_asked--;
	memmove(r->talk->asked, r->talk->asked + 1, r->talk->n_asked * sizeof(r->talk->asked[0]));
	err = player_send_bytes(&r->player, repl_conn(r)->channel, bytes,
				vhu_msg_pack(&reply, bytes), NULL, 0,
				monotonic_ms() + r->plan.timeout_ms);
	return err == -EPIPE ? repl_fail(r, -EPROTO, "the back-end did not take that") : err;
}
