/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Clients that are not given everything: what they are given, and what is counted. */
#include "socket_rig.h"

enum { TOTAL = 1024 * 1024 };

static void ready(struct port_client *c)
{
	(void)c;
}

static const struct port_client_ops quiet_ops = { .output_ready = ready };

static void join_quietly(struct port_client *c, bool shows)
{
	const struct port_client_options options = {
		.holds = true, .shows = shows, .sanitize = SANITIZE_SAFE, .what = "test"
	};

	port_join(&rig.port, c, &quiet_ops, &options);
}

static void output_text(const char *text)
{
	rig_output(text, strlen(text));
}

static void expect_read(struct port_client *c, const char *text)
{
	char buf[4096];
	size_t n = port_read(c, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static void end(void)
{
	rig_close();
	rig_end();
}

/* Text with a sequence every few bytes, some of which pass. */
static void make_output(uint8_t *out, size_t len)
{
	static const char *const pieces[] = { "\x1b[31m",      "\x1b[6n",      "\x1b]0;title\a",
					      "words ",	       "\xe2\x82\xac", "\x1b[?1000h",
					      "\r\n",	       "\xc2\x9b[5n",  "\x1b[2J",
					      "\x1bPq#0\x1b\\" };
	size_t at = 0;

	while (at < len) {
		const char *piece = pieces[rig_random() % ARRAY_SIZE(pieces)];

		for (; *piece && at < len; piece++)
			out[at++] = (uint8_t)*piece;
	}
}

/* VC-062, in bytes as the guest wrote them: nothing of a port that holds is passed over. */
static void slow_client_of_a_port_that_holds_gets_all_that_passes(void **state)
{
	static uint8_t sent[TOTAL], want[TOTAL], got[TOTAL];
	struct sanitize filter = { .level = SANITIZE_SAFE };
	size_t n_want, n_sent = 0, n_got = 0;
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	const struct port_client *c;
	int fd;

	(void)state;
	rig_begin_lossless();
	rig.options.sanitize = SANITIZE_SAFE;
	serve_tcp(ATTACHMENT_tcp_server);
	make_output(sent, TOTAL);
	n_want = sanitize_filter(&filter, sent, TOTAL, want);
	fd = join_with(SMALL);
	while (n_got < n_want) {
		ssize_t n = read(fd, got + n_got, min_size(3000, n_want - n_got));

		n_got += n > 0 ? (size_t)n : 0;
		n_sent += rig_offer(sent + n_sent, min_size(40000, TOTAL - n_sent));
		rig_step_before(deadline);
	}
	assert_int_equal(n_sent, TOTAL);
	assert_memory_equal(got, want, n_want);
	c = list_first(&rig.port.clients, struct port_client, link);
	assert_false(c->takes_now);
	assert_int_equal(c->pos, TOTAL);
	assert_int_equal(c->n_read, TOTAL);
	assert_int_equal(rig.port.counters.output_lost, 0);
	assert_int_equal(read(fd, got, 1), -1);
	end();
	close(fd);
}

static void output_that_is_left_out_whole_does_not_hide_what_follows(void **state)
{
	struct port_client c;

	(void)state;
	rig_begin();
	join_quietly(&c, false);
	for (unsigned int i = 0; i < 2000; i++)
		output_text("\x1b]0;a title that nobody sees\a");
	output_text("seen");
	expect_read(&c, "seen");
	assert_false(port_readable(&c));
	output_text("\x1b[3");
	expect_read(&c, "");
	output_text("1m.");
	expect_read(&c, "\x1b[31m.");
	port_leave(&c);
	rig_end();
}

static void client_that_lost_output_amid_a_string_sees_what_follows(void **state)
{
	static uint8_t filler[HISTORY];
	struct port_client c;
	char buf[HISTORY + PORT_READ_MIN];
	size_t n;

	(void)state;
	rig_begin();
	rig.port.overflow = PORT_DROP;
	join_quietly(&c, true);
	output_text("\x1b]0;begins");
	expect_read(&c, "");
	memset(filler, 'x', sizeof(filler));
	rig_output(filler, sizeof(filler));
	output_text("\a");
	n = port_read(&c, buf, sizeof(buf));
	assert_true(n > 40);
	assert_memory_equal(buf, "\r\n[1 bytes of output lost here]\r\nxxx", 36);
	while (port_read(&c, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(c.pos, rig.port.out.head);
	port_leave(&c);
	rig_end();
}

/* The least room that a caller may have is enough, with all that may be held at once. */
static void reads_of_the_least_size_lose_nothing(void **state)
{
	static uint8_t sent[HISTORY / 2], want[HISTORY], got[HISTORY];
	struct sanitize filter = { .level = SANITIZE_SAFE };
	struct port_client c;
	size_t n_want, n_got = 0, n;

	(void)state;
	rig_begin();
	make_output(sent, sizeof(sent));
	n_want = sanitize_filter(&filter, sent, sizeof(sent), want);
	join_quietly(&c, true);
	rig_output(sent, sizeof(sent));
	while ((n = port_read(&c, got + n_got, PORT_READ_MIN)) > 0)
		n_got += n;
	assert_int_equal(n_got, n_want);
	assert_memory_equal(got, want, n_want);
	port_leave(&c);
	rig_end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(slow_client_of_a_port_that_holds_gets_all_that_passes),
	UNIT_TEST(output_that_is_left_out_whole_does_not_hide_what_follows),
	UNIT_TEST(client_that_lost_output_amid_a_string_sees_what_follows),
	UNIT_TEST(reads_of_the_least_size_lose_nothing),
};
UNIT_MAIN(tests)
