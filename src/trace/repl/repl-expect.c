/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What should have come, or come to pass: for scripts that check a back-end. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "trace/repl/repl-private.h"
#include "vhu/format.h"

/* Of the words of an expectation that name no message. */
static bool bits_differ(const struct composed *c, const struct vhu_msg *m)
{
	size_t len = vhu_msg_payload_len(m);

	for (size_t i = 0; i < sizeof(c->given); i++)
		if (c->given[i] &&
		    (i >= len || ((c->msg.payload[i] ^ m->payload[i]) & c->given[i])))
			return true;
	return ((c->msg.flags ^ m->flags) & c->given_flags) ||
	       (c->given_size && c->msg.size != m->size);
}

static int differs(struct repl *r, const char *word)
{
	char line[160];

	vhu_format_line(line, sizeof(line), &r->talk->last);
	return repl_fail(r, -EPROTO, "expected %.64s, got %s", word, line);
}

static int expect_fds(struct repl *r, const char *word, const char *number)
{
	uint64_t n;
	int err = player_number(&r->player, number, &n);

	return err < 0 || n == r->talk->last.fds.n_fds ? err : differs(r, word);
}

/* One word, as it would be written to make such a message. */
static int expect_word(struct repl *r, char *word)
{
	static const char fds[] = "fds=";
	struct composed *c;
	char name[64], reply[] = "reply";
	char *words[] = { name, word, reply };
	bool is_reply = r->talk->last.flags & VHU_FLAG_REPLY;
	int err;

	if (strncmp(word, fds, sizeof(fds) - 1) == 0)
		return expect_fds(r, word, word + sizeof(fds) - 1);
	c = malloc(sizeof(*c));
	if (!c)
		return repl_fail(r, -ENOMEM, "no memory for an expectation");
	snprintf(name, sizeof(name), "%s", vhu_msg_name(r->talk->last.dir, r->talk->last.id));
	err = compose_message(r->talk->last.dir, words, is_reply ? 3 : 2, c, r->error);
	if (err == 0 && bits_differ(c, &r->talk->last))
		err = differs(r, word);
	free(c);
	return err;
}

static bool is_called(const struct vhu_msg *m, const char *name)
{
	const struct vhu_desc *desc = compose_find(m->dir, name);

	return desc && desc->id == m->id;
}

/* It did not come; err says why no more is waited for. */
static int is_missing(struct repl *r, const char *name, int err)
{
	bool late = err == -ETIMEDOUT;
	char line[128];

	if (err == -EINTR)
		return err;
	if (!r->talk->heard)
		return repl_fail(r, -EPROTO, "expected %s, %s", name,
				 late ? "nothing came in time" : "the connection has ended");
	vhu_format_line(line, sizeof(line), &r->talk->last);
	return repl_fail(r, -EPROTO, "expected %s, got %s, and %s", name, line,
			 late ? "nothing else in time" : "the connection has ended");
}

/* Unless it came last, a message of that name comes now. */
static int expect_name(struct repl *r, const char *name)
{
	int64_t deadline = monotonic_ms() + r->plan.timeout_ms;

	while (!r->talk->heard || !is_called(&r->talk->last, name)) {
		int err = repl_hear_next(r, deadline);

		if (err < 0)
			return is_missing(r, name, err);
	}
	return 0;
}

int repl_expect(struct repl *r, const struct repl_line *line)
{
	const char *first = line->words[1];
	bool named = compose_find(VHU_FE, first) || compose_find(VHU_BE, first);
	int err = named ? expect_name(r, first) : 0;

	if (err == 0 && !r->talk->heard)
		err = repl_fail(r, -EPROTO, "expected %.64s, nothing has come", first);
	for (size_t i = named ? 2 : 1; err == 0 && i < line->n_words; i++)
		err = expect_word(r, line->words[i]);
	return err;
}

int repl_expect_closed(struct repl *r, const struct repl_line *line)
{
	int64_t deadline = monotonic_ms() + r->plan.timeout_ms;
	int err;

	(void)line;
	do {
		err = repl_hear_next(r, deadline);
	} while (err == 0);
	if (err == -ETIMEDOUT)
		return repl_fail(r, -EPROTO, "expected the end of the connection, it is open");
	return err == -ECONNRESET ? 0 : err;
}

static int take_ms(struct repl *r, const char *text, int64_t *ret_deadline)
{
	uint64_t ms = 0;
	int err = player_number(&r->player, text, &ms);

	if (err == 0 && ms > REPL_MAX_MS)
		err = repl_fail(r, -EINVAL, "at most %d ms, not %s", REPL_MAX_MS, text);
	if (err == 0)
		*ret_deadline = monotonic_ms() + (int64_t)ms;
	return err;
}

int repl_expect_none(struct repl *r, const struct repl_line *line)
{
	int64_t deadline = 0;
	int err = take_ms(r, line->words[1], &deadline);

	if (err < 0)
		return err;
	err = repl_hear(r, deadline);
	if (err == -EINTR)
		return err;
	return err == -ETIMEDOUT
		       ? 0
		       : repl_fail(r, -EPROTO, "expected nothing, %s",
				   err == 0 ? "something came" : "the connection has ended");
}

/* Eventfds. */

/* Whether it was counted up before the deadline; then it counts from 0 again. */
static int take_count(struct repl *r, const char *name, int64_t deadline, uint64_t *ret_count)
{
	const struct thing *t = player_thing(&r->player, name);
	struct pollfd in = { .events = POLLIN };
	uint64_t count = 0;
	int ready;

	if (!t)
		return -EINVAL;
	in.fd = t->other >= 0 ? t->other : t->fd;
	ready = player_poll(&r->player, &in, 1, deadline);
	if (ready < 0)
		return ready;
	if (ready > 0 && read(in.fd, &count, sizeof(count)) != sizeof(count))
		return repl_fail(r, -EINVAL, "%s is no eventfd", name);
	*ret_count = count;
	return 0;
}

int repl_await(struct repl *r, const struct repl_line *line)
{
	const char *name = line->words[1];
	uint64_t count = 0;
	int err = take_count(r, name, monotonic_ms() + r->plan.timeout_ms, &count);

	if (err < 0)
		return err;
	if (count == 0)
		return repl_fail(r, -EPROTO, "expected that %s counts, it did not", name);
	fprintf(r->options->out, "-- %s has counted %" PRIu64 "\n", name, count);
	return 0;
}

int repl_silent(struct repl *r, const struct repl_line *line)
{
	const char *name = line->words[1];
	int64_t deadline = 0;
	uint64_t count = 0;
	int err = take_ms(r, line->words[2], &deadline);

	if (err == 0)
		err = take_count(r, name, deadline, &count);
	if (err < 0)
		return err;
	if (count > 0)
		return repl_fail(r, -EPROTO, "expected silence of %s, it counted %" PRIu64, name,
				 count);
	fprintf(r->options->out, "-- %s is silent\n", name);
	return 0;
}
