/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The commands of the control socket as rows: for the daemon, for ctl and for the manual. */
#ifndef VHU_DAEMON_CONTROL_TABLE_H
#define VHU_DAEMON_CONTROL_TABLE_H

#include "base.h"

#include <stdio.h>

enum control_argument_idx {
#define ARG(ident, ...) CONTROL_ARG_##ident,
#include "daemon/control-arguments.def"
#undef ARG
	CONTROL_N_ARGUMENTS,
};

enum control_command_idx {
#define CMD(ident, ...) CONTROL_CMD_##ident,
#include "daemon/control-commands.def"
#undef CMD
	CONTROL_N_COMMANDS,
};

enum control_type {
	CONTROL_TEXT,	/* a string that is not empty */
	CONTROL_PORT,	/* the same, or a number */
	CONTROL_ID,	/* a number from 1 */
	CONTROL_CHOICE, /* one of the words */
	CONTROL_SIZE,	/* "132x43" */
};

struct control_argument {
	const char *name;
	enum control_type type;
	const char *metavar;
	const char *words; /* of a choice: "on|off" */
	const char *help;
};

struct control_command {
	const char *name;
	uint64_t needed, optional; /* sets of BIT(enum control_argument_idx) */
	const char *help;
};

extern const struct control_argument control_arguments[CONTROL_N_ARGUMENTS];
extern const struct control_command control_commands[CONTROL_N_COMMANDS];

/* NULL, or -1, when there is none of that name. */
const struct control_command *control_find_command(const char *name);
int control_find_argument(const char *name, size_t len);

static inline bool control_takes(const struct control_command *c, unsigned int arg)
{
	return (c->needed | c->optional) & BIT(arg);
}

/* Whether ctl is given this argument as NAME=VALUE, and not by its place. */
static inline bool control_is_word(const struct control_command *c, unsigned int arg)
{
	return (c->optional & BIT(arg)) && arg != CONTROL_ARG_device;
}

/* Words of "a|b|c": the index of text, or -1; and the list as "a or b or c". */
int control_choice_find(const char *words, const char *text);
void control_choice_list(const char *words, char *buf, size_t cap);

/* "132x43": both from 1 to 65535. */
bool control_size_parse(const char *text, uint16_t *ret_cols, uint16_t *ret_rows);

/* Items as "a, b and c"; what has no place becomes "and 17 more". All zero at the start. */
struct listing {
	char text[256];
	size_t len, last;
	unsigned int n, n_more;
};

void listing_add(struct listing *l, const char *item);
const char *listing_end(struct listing *l);

/* How ctl is given a command: "set-port [DEVICE/]PORT [input=on|off] ...". */
void control_synopsis(const struct control_command *c, char *buf, size_t cap);

/* The commands for people, and the same with the arguments as roff. */
void control_commands_help(FILE *out);
void control_commands_man(FILE *out);

#endif
