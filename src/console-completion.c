/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "console-completion.h"
#include "console-options.h"
#include "daemon/control-table.h"
#include "daemon/ctl-options.h"
#include "daemon/spec-words.h"

/* Rows of options with what the shells call the list. */
struct options {
	const char *name;
	const struct option_row *rows;
	size_t n_rows;
};

static struct options daemon_options(void)
{
	return (struct options){ "options", console_option_rows(), CONSOLE_N_OPTIONS };
}

static struct options ctl_options(void)
{
	return (struct options){ "ctl_options", ctl_rows, CTL_N_ROWS };
}

static bool takes_file(const char *metavar)
{
	static const char *const files[] = { "PATH", "FILE", "LINK", "DIR" };

	for (size_t i = 0; metavar && i < ARRAY_SIZE(files); i++) {
		if (strcmp(metavar, files[i]) == 0)
			return true;
	}
	return false;
}

/* "a b c" of "a|b|c". */
static void print_words(FILE *out, const char *words)
{
	for (const char *c = words; *c; c++)
		fputc(*c == '|' ? ' ' : *c, out);
}

/* The words that a value may be; nothing when it may be many things. */
static void print_values(FILE *out, const struct option_row *row)
{
	if (row->type == OPTION_CHOICE)
		print_words(out, row->words);
	else if (row->type == OPTION_AMOUNT)
		fputs("all none", out);
}

static bool has_values(const struct option_row *row)
{
	return row->type == OPTION_CHOICE || row->type == OPTION_AMOUNT;
}

/* Inside single quotes; escape is put before each of the bytes in special. */
static void print_quoted(FILE *out, const char *text, const char *special, const char *quote)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\'') {
			fputs(quote, out);
			continue;
		}
		if (strchr(special, *c))
			fputc('\\', out);
		fputc(*c, out);
	}
}

/* Words of a comma list, as they are begun: "console name= overflow=". */
static void print_word_list(FILE *out, const struct option_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++)
		fprintf(out, "%s%s%s", i > 0 ? " " : "", rows[i].long_name,
			option_is_flag(&rows[i]) ? "" : "=");
}

static void print_kind_words(FILE *out, enum attachment_kind kind)
{
	const char *blank = "";

	for (size_t i = 0; i < spec_n_attachment_rows; i++) {
		if (!spec_kind_takes(kind, i))
			continue;
		fprintf(out, "%s", blank);
		print_word_list(out, &spec_attachment_rows[i], 1);
		blank = " ";
	}
}

/* "terminal tcp: pty": with a colon where an address has to follow. */
static void print_kinds(FILE *out)
{
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++)
		fprintf(out, "%s%s%s", i > 0 ? " " : "", spec_kinds[i].name,
			spec_kinds[i].address == ATTACHMENT_ADDRESS_NEEDED ? ":" : "");
}

static void print_commands(FILE *out)
{
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", control_commands[i].name);
}

/* "input=on input=off size=": what a command is given by name. */
static void print_command_words(FILE *out, const struct control_command *command)
{
	const char *blank = "";

	for (unsigned int arg = 0; arg < CONTROL_N_ARGUMENTS; arg++) {
		const struct control_argument *a = &control_arguments[arg];
		const char *word = a->words;

		if (!control_is_word(command, arg))
			continue;
		if (!word)
			fprintf(out, "%s%s=", blank, a->name);
		while (word) {
			fprintf(out, "%s%s=%.*s", blank, a->name, (int)strcspn(word, "|"), word);
			blank = " ";
			word = strchr(word, '|');
			word = word ? word + 1 : NULL;
		}
		blank = " ";
	}
}

static bool has_command_words(const struct control_command *command)
{
	for (unsigned int arg = 0; arg < CONTROL_N_ARGUMENTS; arg++) {
		if (control_is_word(command, arg))
			return true;
	}
	return false;
}

/* bash: functions that print a list, and case statements over names. */

static void print_names(FILE *out, const struct option_row *row, const char *between)
{
	fprintf(out, "--%s", row->long_name);
	if (row->short_name)
		fprintf(out, "%s-%c", between, row->short_name);
}

static void bash_options(FILE *out, const struct options *o)
{
	const char *blank = "";

	fprintf(out, "__vhu_%s='", o->name);
	for (size_t i = 0; i < o->n_rows; i++) {
		if (o->rows[i].type == OPTION_HEADING)
			continue;
		fputs(blank, out);
		print_names(out, &o->rows[i], " ");
		blank = " ";
	}
	fprintf(out, "'\n__vhu_%s_with_value='", o->name);
	for (size_t i = 0; i < o->n_rows; i++) {
		if (o->rows[i].type == OPTION_HEADING || option_is_flag(&o->rows[i]))
			continue;
		fputc(' ', out);
		print_names(out, &o->rows[i], " ");
	}
	fprintf(out, " '\n__vhu_%s_with_file='", o->name);
	for (size_t i = 0; i < o->n_rows; i++) {
		if (o->rows[i].type == OPTION_HEADING || !takes_file(o->rows[i].metavar))
			continue;
		fputc(' ', out);
		print_names(out, &o->rows[i], " ");
	}
	fputs(" '\n", out);
}

static void bash_values(FILE *out, const struct option_row *rows, size_t n_rows, bool dashes)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].type == OPTION_HEADING || !has_values(&rows[i]))
			continue;
		fputs("\t", out);
		if (dashes)
			print_names(out, &rows[i], " | ");
		else
			fprintf(out, "%s=", rows[i].long_name);
		fputs(") echo '", out);
		print_values(out, &rows[i]);
		fputs("' ;;\n", out);
	}
}

static void bash_kinds(FILE *out)
{
	fputs("__vhu_kinds='", out);
	print_kinds(out);
	fputs("'\n__vhu_kinds_with_file='", out);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		if (takes_file(spec_kinds[i].metavar))
			fprintf(out, " %s", spec_kinds[i].name);
	}
	fputs(" '\n__vhu_kind_words() {\n\tcase $1 in\n", out);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		fprintf(out, "\t%s) echo '", spec_kinds[i].name);
		print_kind_words(out, i);
		fputs("' ;;\n", out);
	}
	fputs("\tesac\n}\n", out);
}

static void bash_commands(FILE *out)
{
	fputs("__vhu_commands='", out);
	print_commands(out);
	fputs("'\n__vhu_command_words() {\n\tcase $1 in\n", out);
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		if (!has_command_words(&control_commands[i]))
			continue;
		fprintf(out, "\t%s) echo '", control_commands[i].name);
		print_command_words(out, &control_commands[i]);
		fputs("' ;;\n", out);
	}
	fputs("\tesac\n}\n", out);
}

void console_completion_bash(FILE *out)
{
	const struct options daemon = daemon_options(), ctl = ctl_options();

	bash_options(out, &daemon);
	bash_options(out, &ctl);
	fputs("__vhu_port_words='", out);
	print_word_list(out, spec_port_rows, spec_n_port_rows);
	fputs("'\n__vhu_device_words='", out);
	print_word_list(out, spec_device_rows, spec_n_device_rows);
	fputs("'\n", out);
	bash_kinds(out);
	fputs("__vhu_values() {\n\tcase $1 in\n", out);
	bash_values(out, daemon.rows, daemon.n_rows, true);
	bash_values(out, spec_port_rows, spec_n_port_rows, false);
	bash_values(out, spec_device_rows, spec_n_device_rows, false);
	bash_values(out, spec_attachment_rows, spec_n_attachment_rows, false);
	fputs("\tesac\n}\n", out);
	bash_commands(out);
}

/* zsh: arrays of specifications for _arguments, and of words with descriptions. */

static bool repeats(const struct option_row *row)
{
	return row->type == OPTION_TEXTS || row->type == OPTION_FDS;
}

static void zsh_text(FILE *out, const char *text)
{
	print_quoted(out, text, "[]:\\", "'\\''");
}

static void zsh_action(FILE *out, const struct option_row *row)
{
	if (has_values(row)) {
		fputc('(', out);
		print_values(out, row);
		fputc(')', out);
	} else if (takes_file(row->metavar)) {
		fputs("_files", out);
	} else if (strcmp(row->metavar, "SPEC") == 0) {
		fprintf(out, "_vhu_%s", row->long_name);
	}
}

/* One specification for each spelling of a name. */
static void zsh_option(FILE *out, const struct option_row *row, bool short_name)
{
	fputs("\t'", out);
	if (repeats(row)) {
		fputc('*', out);
	} else if (row->short_name) {
		fputc('(', out);
		print_names(out, row, " ");
		fputc(')', out);
	}
	if (short_name)
		fprintf(out, "-%c%s", row->short_name, option_is_flag(row) ? "" : "+");
	else
		fprintf(out, "--%s%s", row->long_name, option_is_flag(row) ? "" : "=");
	fputc('[', out);
	zsh_text(out, row->help);
	fputc(']', out);
	if (!option_is_flag(row)) {
		fputc(':', out);
		zsh_text(out, row->metavar);
		fputc(':', out);
		zsh_action(out, row);
	}
	fputs("'\n", out);
}

static void zsh_options(FILE *out, const struct options *o)
{
	fprintf(out, "_vhu_%s=(\n", o->name);
	for (size_t i = 0; i < o->n_rows; i++) {
		if (o->rows[i].type == OPTION_HEADING)
			continue;
		zsh_option(out, &o->rows[i], false);
		if (o->rows[i].short_name)
			zsh_option(out, &o->rows[i], true);
	}
	fputs(")\n", out);
}

/* "word=:description" for _describe, which wants its colons escaped. */
static void zsh_word(FILE *out, const char *word, const char *tail, const char *help)
{
	fprintf(out, "\t'%s%s:", word, tail);
	zsh_text(out, help);
	fputs("'\n", out);
}

static void zsh_words(FILE *out, const char *name, const struct option_row *rows, size_t n_rows)
{
	fprintf(out, "_vhu_%s=(\n", name);
	for (size_t i = 0; i < n_rows; i++)
		zsh_word(out, rows[i].long_name, option_is_flag(&rows[i]) ? "" : "=", rows[i].help);
	fputs(")\n", out);
}

static void zsh_values(FILE *out, const struct option_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (!has_values(&rows[i]))
			continue;
		fprintf(out, "\t'%s' '", rows[i].long_name);
		print_values(out, &rows[i]);
		fputs("'\n", out);
	}
}

void console_completion_zsh(FILE *out)
{
	const struct options daemon = daemon_options(), ctl = ctl_options();

	fputs("typeset -ga _vhu_options _vhu_ctl_options _vhu_port_words _vhu_device_words\n"
	      "typeset -ga _vhu_kinds _vhu_commands\n"
	      "typeset -gA _vhu_kind_words _vhu_values _vhu_command_words\n",
	      out);
	zsh_options(out, &daemon);
	zsh_options(out, &ctl);
	zsh_words(out, "port_words", spec_port_rows, spec_n_port_rows);
	zsh_words(out, "device_words", spec_device_rows, spec_n_device_rows);
	fputs("_vhu_kinds=(\n", out);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++)
		zsh_word(out, spec_kinds[i].name,
			 spec_kinds[i].address == ATTACHMENT_ADDRESS_NEEDED ? "\\:" : "",
			 spec_kinds[i].help);
	fputs(")\n_vhu_kind_words=(\n", out);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		fprintf(out, "\t'%s' '", spec_kinds[i].name);
		print_kind_words(out, i);
		fputs("'\n", out);
	}
	fputs(")\n_vhu_values=(\n", out);
	zsh_values(out, spec_port_rows, spec_n_port_rows);
	zsh_values(out, spec_device_rows, spec_n_device_rows);
	zsh_values(out, spec_attachment_rows, spec_n_attachment_rows);
	fputs(")\n_vhu_commands=(\n", out);
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++)
		zsh_word(out, control_commands[i].name, "", control_commands[i].help);
	fputs(")\n_vhu_command_words=(\n", out);
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		fprintf(out, "\t'%s' '", control_commands[i].name);
		print_command_words(out, &control_commands[i]);
		fputs("'\n", out);
	}
	fputs(")\n", out);
}

/* fish: one complete command for each option, and lists. */

static void fish_text(FILE *out, const char *text)
{
	print_quoted(out, text, "\\", "\\'");
}

static void fish_options(FILE *out, const struct options *o, const char *condition)
{
	for (size_t i = 0; i < o->n_rows; i++) {
		const struct option_row *row = &o->rows[i];

		if (row->type == OPTION_HEADING)
			continue;
		fprintf(out, "complete -c vhost-device-console -n '%s' -l %s", condition,
			row->long_name);
		if (row->short_name)
			fprintf(out, " -s %c", row->short_name);
		if (!option_is_flag(row))
			fputs(takes_file(row->metavar) ? " -r -F" : " -x", out);
		if (has_values(row)) {
			fputs(" -a '", out);
			print_values(out, row);
			fputc('\'', out);
		} else if (row->metavar && strcmp(row->metavar, "SPEC") == 0) {
			fprintf(out, " -a '(__vhu_%s)'", row->long_name);
		}
		fputs(" -d '", out);
		fish_text(out, row->help);
		fputs("'\n", out);
	}
}

static void fish_values(FILE *out, const struct option_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (!has_values(&rows[i]))
			continue;
		fprintf(out, "\tcase %s\n\t\techo '", rows[i].long_name);
		print_values(out, &rows[i]);
		fputs("'\n", out);
	}
}

static void fish_commands(FILE *out)
{
	for (unsigned int i = 0; i < CONTROL_N_COMMANDS; i++) {
		const struct control_command *c = &control_commands[i];

		fprintf(out,
			"complete -c vhost-device-console -f -n '__vhu_needs_command' -a '%s' -d '",
			c->name);
		fish_text(out, c->help);
		fputs("'\n", out);
		if (!has_command_words(c))
			continue;
		fprintf(out,
			"complete -c vhost-device-console -f "
			"-n '__vhu_is_ctl; and __fish_seen_subcommand_from %s' -a '",
			c->name);
		print_command_words(out, c);
		fputs("'\n", out);
	}
}

void console_completion_fish(FILE *out)
{
	const struct options daemon = daemon_options(), ctl = ctl_options();

	fputs("set -g __vhu_port_words ", out);
	print_word_list(out, spec_port_rows, spec_n_port_rows);
	fputs("\nset -g __vhu_device_words ", out);
	print_word_list(out, spec_device_rows, spec_n_device_rows);
	fputs("\nset -g __vhu_kinds ", out);
	print_kinds(out);
	fputs("\nfunction __vhu_kind_words\n\tswitch $argv[1]\n", out);
	for (unsigned int i = 0; i < ATTACHMENT_N_KINDS; i++) {
		fprintf(out, "\tcase %s\n\t\techo '", spec_kinds[i].name);
		print_kind_words(out, i);
		fputs("'\n", out);
	}
	fputs("\tend\nend\nfunction __vhu_values\n\tswitch $argv[1]\n", out);
	fish_values(out, spec_port_rows, spec_n_port_rows);
	fish_values(out, spec_device_rows, spec_n_device_rows);
	fish_values(out, spec_attachment_rows, spec_n_attachment_rows);
	fputs("\tend\nend\n", out);
	fish_options(out, &daemon, "not __vhu_is_ctl");
	fish_options(out, &ctl, "__vhu_is_ctl");
	fish_commands(out);
}
