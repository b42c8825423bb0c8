/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-table.h"

#include <stdarg.h>
#include <string.h>

#include "options.h"

enum {
	HELP_INDENT = 6,
	SYNOPSIS_MAX = 256,
};

const struct control_argument control_arguments[CONTROL_N_ARGUMENTS] = {
#define ARG(ident, text, kind, meta, list, sentence)                                               \
	[CONTROL_ARG_##ident] = { .name = (text),                                                  \
				  .type = CONTROL_##kind,                                          \
				  .metavar = (meta),                                               \
				  .words = (list),                                                 \
				  .help = (sentence) },
#include "daemon/control-arguments.def"
#undef ARG
};

const struct control_command control_commands[CONTROL_N_COMMANDS] = {
#define A(ident) BIT(CONTROL_ARG_##ident)
#define CMD(ident, text, must, may, sentence)                                                      \
	[CONTROL_CMD_##ident] = {                                                                  \
		.name = (text), .needed = (must), .optional = (may), .help = (sentence)            \
	},
#include "daemon/control-commands.def"
#undef CMD
#undef A
};

const struct control_command *control_find_command(const char *name)
{
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++)
		if (strcmp(control_commands[i].name, name) == 0)
			return &control_commands[i];
	return NULL;
}

int control_find_argument(const char *name, size_t len)
{
	for (int i = 0; i < CONTROL_N_ARGUMENTS; i++) {
		const char *known = control_arguments[i].name;

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return i;
	}
	return -1;
}

int control_choice_find(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0;; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && memcmp(words, text, n) == 0)
			return i;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

void control_choice_list(const char *words, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	while (len < cap) {
		size_t n = strcspn(words, "|");

		len += (size_t)snprintf(buf + len, cap - len, "%.*s%s", (int)n, words,
					words[n] ? " or " : "");
		if (!words[n])
			return;
		words += n + 1;
	}
}

static bool parse_u16(const char *text, char end, uint16_t *ret_value, const char **ret_rest)
{
	uint32_t value = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9' && value <= UINT16_MAX; c++)
		value = value * 10 + (uint32_t)(*c - '0');
	if (*c != end || value == 0 || value > UINT16_MAX)
		return false;
	*ret_value = (uint16_t)value;
	*ret_rest = c + 1;
	return true;
}

bool control_size_parse(const char *text, uint16_t *ret_cols, uint16_t *ret_rows)
{
	uint16_t cols, rows;

	if (!parse_u16(text, 'x', &cols, &text) || !parse_u16(text, '\0', &rows, &text))
		return false;
	*ret_cols = cols;
	*ret_rows = rows;
	return true;
}

void listing_add(struct listing *l, const char *item)
{
	const size_t reserve = sizeof(" and 4294967295 more");

	if (l->n_more > 0 || l->len + 2 + strlen(item) + reserve > sizeof(l->text)) {
		l->n_more++;
		return;
	}
	l->last = l->len;
	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s",
				   l->n > 0 ? ", " : "", item);
	l->n++;
}

const char *listing_end(struct listing *l)
{
	char item[sizeof(l->text)];

	if (l->n == 0 && l->n_more == 0)
		return "none";
	if (l->n_more > 0) {
		snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%u more",
			 l->n > 0 ? " and " : "", l->n_more);
	} else if (l->n > 1) {
		snprintf(item, sizeof(item), "%s", l->text + l->last + 2);
		snprintf(l->text + l->last, sizeof(l->text) - l->last, " and %s", item);
	}
	return l->text;
}

/* How names that are typed as they are, and names for something else, look. */
struct style {
	const char *bold, *italic, *plain;
};

static const struct style text_style = { "", "", "" };
static const struct style man_style = { "\\fB", "\\fI", "\\fR" };

PRINTF_LIKE(3, 4)
static void append(char *buf, size_t cap, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf + len, cap - len, fmt, args);
	va_end(args);
}

static void append_argument(const struct control_command *c, unsigned int arg,
			    const struct style *s, char *buf, size_t cap)
{
	const struct control_argument *a = &control_arguments[arg];

	if (control_is_word(c, arg))
		append(buf, cap, " [%s%s=%s%s%s]", s->bold, a->name, a->words ? "" : s->italic,
		       a->words ? a->words : a->metavar, s->plain);
	else
		append(buf, cap, " %s%s%s", s->italic, a->metavar, s->plain);
}

static void synopsis(const struct control_command *c, const struct style *s, char *buf, size_t cap)
{
	const char *slash = c->needed & BIT(CONTROL_ARG_port) ? "/" : "";

	snprintf(buf, cap, "%s%s%s", s->bold, c->name, s->plain);
	if (control_takes(c, CONTROL_ARG_device))
		append(buf, cap, " [%s%s%s%s]", s->italic, "DEVICE", s->plain, slash);
	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++) {
		if (!control_takes(c, i) || i == CONTROL_ARG_device)
			continue;
		if (i == CONTROL_ARG_port)
			append(buf, cap, "%sPORT%s", s->italic, s->plain);
		else
			append_argument(c, i, s, buf, cap);
	}
}

void control_synopsis(const struct control_command *c, char *buf, size_t cap)
{
	synopsis(c, &text_style, buf, cap);
}

void control_commands_help(FILE *out)
{
	char text[SYNOPSIS_MAX];

	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		control_synopsis(&control_commands[i], text, sizeof(text));
		fputs("  ", out);
		options_wrap(out, text, 2, 2 + HELP_INDENT + HELP_INDENT);
		fprintf(out, "%*s", HELP_INDENT, "");
		options_wrap(out, control_commands[i].help, HELP_INDENT, HELP_INDENT);
	}
}

/* A dash stays a dash; nothing else in these texts is special to roff. */
static void man_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void man_type(FILE *out, const struct control_argument *a)
{
	char words[64];

	switch (a->type) {
	case CONTROL_TEXT:
		fputs("string", out);
		break;
	case CONTROL_PORT:
		fputs("string or number", out);
		break;
	case CONTROL_ID:
		fputs("number", out);
		break;
	case CONTROL_SIZE:
		fprintf(out, "string, \\fI%s\\fR", a->metavar);
		break;
	case CONTROL_CHOICE:
		control_choice_list(a->words, words, sizeof(words));
		fprintf(out, "string, %s", words);
		break;
	}
}

void control_commands_man(FILE *out)
{
	char text[SYNOPSIS_MAX];

	fputs(".SS Commands\n", out);
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		synopsis(&control_commands[i], &man_style, text, sizeof(text));
		fputs(".TP\n", out);
		man_text(out, text);
		fputc('\n', out);
		man_text(out, control_commands[i].help);
		fputs(".\n", out);
	}
	fputs(".SS Arguments\n", out);
	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++) {
		fprintf(out, ".TP\n\\fB%s\\fR (", control_arguments[i].name);
		man_type(out, &control_arguments[i]);
		fputs(")\n", out);
		man_text(out, control_arguments[i].help);
		fputs(".\n", out);
	}
}
