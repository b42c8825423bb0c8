/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/trace-command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/picture.h"

#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct trace_options, field, s, l, t, meta, def, text, limits),
const struct option_row trace_option_rows[] = {
#include "trace/trace-options.def"
};
#undef OPT

#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct trace_repl_options, field, s, l, t, meta, def, text, limits),
const struct option_row trace_repl_option_rows[] = {
#include "trace/repl/repl-options.def"
};
#undef OPT
#undef HEADING

const size_t trace_n_option_rows = ARRAY_SIZE(trace_option_rows);
const size_t trace_n_repl_option_rows = ARRAY_SIZE(trace_repl_option_rows);

/* In the order of their words in trace-options.def. */
enum { COLOR_AUTO, COLOR_ALWAYS };

/* Behind those of enum proxy_rings: asked, but names of messages stand for these alone. */
enum { RINGS_AUTO = PROXY_RINGS_ALL + 1 };

/* Bytes of a buffer in pictures, unless --follow-data wants more: enough for control messages. */
enum { TRACE_EXCERPT = 64 };

struct why {
	char *text;
	size_t cap;
};

static PRINTF_LIKE(2, 3) int wrong(const struct why *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, why->cap, fmt, args);
	va_end(args);
	option_make_one_line(why->text);
	return -EINVAL;
}

/* What goes together. */

static int check_source(const struct trace_options *o, const struct why *why)
{
	bool proxy = o->listen || o->listen_fd.n_fds > 0 || o->connect;

	if (o->read && proxy)
		return wrong(why, "expected either --read or --listen with --connect");
	if (o->read)
		return 0;
	if (!proxy)
		return wrong(why, "expected --listen PATH --connect PATH, or --read FILE");
	if (!o->connect)
		return wrong(why, "expected --connect PATH: the back-end's socket");
	if (!o->listen == (o->listen_fd.n_fds == 0))
		return wrong(why, "expected one of --listen and --listen-fd");
	if (o->listen_fd.n_fds > 1)
		return wrong(why, "expected --listen-fd once");
	if (o->listen && strcmp(o->listen, o->connect) == 0)
		return wrong(why, "--listen and --connect: %s cannot be both", o->listen);
	return 0;
}

/* What is read must not be made anew, nor two outputs be one file. */
static int check_files(const struct trace_options *o, const struct why *why)
{
	const char *const files[] = { o->read, o->output, o->write, o->html };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		for (size_t k = 0; k < i; k++)
			if (files[i] && files[k] && strcmp(files[i], files[k]) == 0 &&
			    strcmp(files[i], "/dev/null") != 0)
				return wrong(why, "%s cannot be two files at once", files[i]);
	return 0;
}

static int check_names(const char *option, const char *list, const struct why *why)
{
	char name[64];

	if (!list || !filter_unknown_name(list, name, sizeof(name)))
		return 0;
	if (name[0] == '\0')
		return wrong(why, "--%s: '%s' has a comma and no name beside it", option, list);
	return wrong(why, "--%s: no message is called '%s'", option, name);
}

/* Without pictures these would say nothing. */
static bool rings_needed(const struct trace_options *o)
{
	return o->follow_data || o->latency;
}

static int make_filter(struct trace_command *c, const struct why *why)
{
	const struct trace_options *o = &c->options;
	int err = check_names("only", o->only, why);

	if (err == 0)
		err = check_names("not", o->without, why);
	if (err < 0)
		return err;
	c->filter = (struct trace_filter){
		.only = o->only,
		.without = o->without,
		.no_pictures = o->rings == RINGS_AUTO ? o->only && !rings_needed(o)
						      : o->rings == PROXY_RINGS_NONE,
		.from = (enum trace_from)o->from,
		.broken = o->broken,
	};
	if (o->ring && !filter_parse_rings(&c->filter, o->ring))
		return wrong(why, "--ring: '%s' is no list of rings such as 0,2-5", o->ring);
	return 0;
}

static void make_view(struct trace_command *c, bool stdout_is_terminal)
{
	const struct trace_options *o = &c->options;

	c->view = (struct view_options){
		.fields = o->fields,
		.hex = o->hex,
		.explain = o->explain,
		.map = o->map,
		.data = o->follow_data,
		.latency = o->latency,
		.times = (enum trace_times)o->time,
		.device = o->device,
		.color = o->color == COLOR_ALWAYS ||
			 (o->color == COLOR_AUTO && stdout_is_terminal && !o->output),
	};
}

static enum proxy_rings rings_of(const struct trace_options *o)
{
	if (rings_needed(o))
		return PROXY_RINGS_ALL;
	return o->rings == RINGS_AUTO ? PROXY_RINGS_ASKED : (enum proxy_rings)o->rings;
}

static void make_proxy(struct trace_command *c)
{
	const struct trace_options *o = &c->options;

	c->proxy = (struct proxy_options){
		.listen = o->listen,
		.connect = o->connect,
		.listen_fd = o->listen_fd.n_fds > 0 ? o->listen_fd.fd[0] : -1,
		.once = o->once,
		.channel = !o->no_channel,
		.rings = rings_of(o),
		.data = o->follow_data ? PICTURE_MAX_DATA : TRACE_EXCERPT,
	};
}

/* One for each row; rows of a device stand together. */
static const char *const device_rows[] = {
#define DEVICE_FEATURE(device, NAME, bit) #device,
#define CONFIG_FIELD(device, name, offset, width, bit) #device,
#include "virtio/devices.def"
};

static void list_devices(char *buf, size_t cap)
{
	const char *last = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(device_rows) && len < cap; i++) {
		if (strcmp(device_rows[i], last) != 0)
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len > 0 ? ", " : "",
						device_rows[i]);
		last = device_rows[i];
	}
}

static int check_device(const char *device, const struct why *why)
{
	char known[160] = "";

	if (!device)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(device_rows); i++)
		if (strcmp(device_rows[i], device) == 0)
			return 0;
	list_devices(known, sizeof(known));
	return wrong(why, "--device: '%s' is none of %s", device, known);
}

static int finish(struct trace_command *c, bool stdout_is_terminal, const struct why *why)
{
	int err = check_source(&c->options, why);

	if (err == 0)
		err = check_files(&c->options, why);
	if (err == 0)
		err = check_device(c->options.device, why);
	if (err == 0)
		err = make_filter(c, why);
	if (err < 0)
		return err;
	c->mode = c->options.read ? TRACE_MODE_READ : TRACE_MODE_PROXY;
	make_view(c, stdout_is_terminal);
	make_proxy(c);
	return 0;
}

/* Behind "repl": SOCKET and FILE, with options anywhere. */
static int take_repl(struct trace_command *c, const struct trace_repl_options *o,
		     const char **words, size_t n_words, const struct why *why)
{
	c->mode = o->help ? TRACE_MODE_HELP : TRACE_MODE_REPL;
	if ((n_words < 1 || n_words > 2) && !o->help)
		return wrong(why, "expected vhu-trace repl SOCKET [FILE]");
	c->repl = (struct repl_options){
		.socket = n_words > 0 ? words[0] : NULL,
		.fields = o->fields,
		.hex = o->hex,
		.timeout_ms = (int)o->timeout,
	};
	if (n_words > 1 && strcmp(words[1], "-") != 0)
		c->repl_file = words[1];
	return 0;
}

static int parse_repl(struct trace_command *c, int argc, char **argv, const struct why *why)
{
	char **options = calloc((size_t)argc, sizeof(*options));
	const char **words = calloc((size_t)argc, sizeof(*words));
	struct option_line line = { .argv = options };
	struct trace_repl_options o;
	size_t n_words;
	int err;

	if (!options || !words) {
		free(options);
		free(words);
		return wrong(why, "no memory");
	}
	line.argc = options_split(trace_repl_option_rows, trace_n_repl_option_rows, argc, argv,
				  options, words, &n_words);
	err = options_parse(trace_repl_option_rows, trace_n_repl_option_rows, &o, &line, why->text,
			    why->cap);
	if (err == 0)
		err = take_repl(c, &o, words, n_words, why);
	free(options);
	free(words);
	return err;
}

int trace_command_parse(struct trace_command *ret_command, int argc, char **argv,
			bool stdout_is_terminal, char *ret_why, size_t why_cap)
{
	const struct why why = { ret_why, why_cap };
	const struct option_line line = { .argc = argc, .argv = argv };
	struct trace_command c = { .mode = TRACE_MODE_HELP };
	int err;

	if (argc > 1 && strcmp(argv[1], "repl") == 0) {
		err = parse_repl(&c, argc - 1, argv + 1, &why);
		if (err == 0)
			*ret_command = c;
		return err;
	}
	err = options_parse(trace_option_rows, trace_n_option_rows, &c.options, &line, ret_why,
			    why_cap);
	if (err < 0)
		return err;
	if (c.options.version)
		c.mode = TRACE_MODE_VERSION;
	else if (!c.options.help)
		err = finish(&c, stdout_is_terminal, &why);
	if (err < 0)
		trace_command_free(&c);
	else
		*ret_command = c;
	return err;
}

void trace_command_free(struct trace_command *c)
{
	options_free(trace_option_rows, trace_n_option_rows, &c->options);
}

void trace_command_help(FILE *out)
{
	fputs("Usage: vhu-trace --listen PATH --connect PATH [OPTION]...\n"
	      "       vhu-trace --read FILE [OPTION]...\n"
	      "       vhu-trace repl SOCKET [FILE] [--fields] [--hex] [--timeout MS]\n"
	      "Shows what vhost-user front-ends and back-ends say to each other.\n\n",
	      out);
	options_help(out, trace_option_rows, trace_n_option_rows);
}
