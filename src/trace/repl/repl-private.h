/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Shared by the files of repl.h. */
#ifndef VHU_TRACE_REPL_PRIVATE_H
#define VHU_TRACE_REPL_PRIVATE_H

#include "script/script-player.h"
#include "trace/repl/compose.h"
#include "trace/repl/repl.h"
#include "vhu/fields.h"
#include "vhu/rules.h"

enum {
	REPL_WORDS = 512, /* of one line */
	REPL_ASKED = 16,  /* requests of the back-end that wait for an answer */
	REPL_MAX_MS = 60000,
};

/* What was said on a connection. */
struct repl_talk {
	struct vhu_nego nego;

	/* What came last, or nothing so far. Its descriptors have become things. */
	bool heard, heard_on_channel;
	struct vhu_msg last;

	/* The back-end's requests that wait for an answer, the oldest first. */
	uint32_t asked[REPL_ASKED];
	unsigned int n_asked;
};

struct repl {
	const struct repl_options *options;
	struct script_plan plan;
	struct player player;
	char error[256];
	unsigned int conn;	/* that messages by name go to */
	struct repl_talk *talk; /* of that connection */
	struct repl_talk *talks[PLAYER_CONNS];
	bool breaks_rules; /* what breaks them is sent, and nothing is expected */
	bool quit;
	unsigned int n_named; /* names given to descriptors that came */

	sigset_t waiting; /* while something is awaited, ^C may come */
};

/* A line in words; words[0] is the verb. */
struct repl_line {
	char **words;
	size_t n_words;
};

/*
 * 0, or with a sentence in r->error -EINVAL for a wrong statement, -EPROTO for
 * what is not as expected, others for what could not be done.
 */
typedef int repl_verb_fn(struct repl *r, const struct repl_line *line);

PRINTF_LIKE(3, 4) int repl_fail(struct repl *r, int err, const char *fmt, ...);

/* The current connection; never NULL. Its descriptor is -1 when it is closed. */
struct player_conn *repl_conn(struct repl *r);

/* What verbs there are: the i-th, or false. */
bool repl_verb_at(size_t i, const char **ret_verb, const char **ret_words, const char **ret_text);

/* The masks whose bits have names. */
enum { REPL_N_BIT_STYLES = 3 };
extern const enum vhu_style repl_bit_styles[REPL_N_BIT_STYLES];

/* Talking: repl-talk.c. */

/* A message by its name is sent, and its reply awaited. */
repl_verb_fn repl_message;

/*
 * Whatever comes first until then is shown: 0, -ETIMEDOUT: nothing, -ECONNRESET:
 * the end, or -EINTR with a sentence.
 */
int repl_hear(struct repl *r, int64_t deadline_ms);

/* The same within a loop, where the deadline ends a flood of messages, too. */
int repl_hear_next(struct repl *r, int64_t deadline_ms);

/* What has come so far is shown, or much of it: a flood is left for later. */
void repl_hear_all(struct repl *r);

/* The open ones of the connection and its channel, -1 for others. */
void repl_sockets(struct repl *r, int fds[2]);

/* Verbs. */
repl_verb_fn repl_use, repl_help, repl_messages, repl_show, repl_read, repl_await, repl_silent,
	repl_channel, repl_answer, repl_expect, repl_expect_closed, repl_expect_none,
	repl_break_rules, repl_end;

/* One line, as from the user. */
int repl_play(struct repl *r, char *text);

#endif
