/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load/load-command.h"

#include <errno.h>
#include <string.h>

#include "load/load-peer.h"
#include "load/report.h"
#include "vhu/frontend-style.h"
#include "virtio/features.h"

const struct load_mode_row load_mode_rows[LOAD_N_MODES] = {
#define MODE(ident, text, def_chunk, limit_id, sentence)                                           \
	{ .name = (text),                                                                          \
	  .help = (sentence),                                                                      \
	  .chunk = (def_chunk),                                                                    \
	  .limit = LOAD_LIMIT_##limit_id },
#include "load/load-modes.def"
#undef MODE
};

const struct option_row load_option_rows[] = {
#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, t, meta, def, limits, text)                                               \
	OPTION_ROW(struct load_options, field, s, l, t, meta, def, text, limits),
#include "load/load-options.def"
#undef HEADING
#undef OPT
};

const size_t load_n_option_rows = ARRAY_SIZE(load_option_rows);

static int usage_error(const char *what, const char *word)
{
	return load_fail(-EINVAL, "%s%s; see vhu-load --help", what, word);
}

/* The first words: a mode, or "limit" and any number of names. */

static bool find_mode(const char *word, enum load_mode_id *ret_mode)
{
	for (unsigned int i = 0; i < LOAD_N_MODES; i++) {
		if (strcmp(load_mode_rows[i].name, word) == 0) {
			*ret_mode = (enum load_mode_id)i;
			return true;
		}
	}
	return false;
}

static bool find_limit(const char *word, unsigned int *ret_limit)
{
	for (unsigned int i = 0; i < LOAD_N_LIMITS; i++) {
		if (load_limit_rows[i].measure && strcmp(load_limit_rows[i].name, word) == 0) {
			*ret_limit = i;
			return true;
		}
	}
	return false;
}

static uint64_t all_limits(void)
{
	uint64_t limits = 0;

	for (unsigned int i = 0; i < LOAD_N_LIMITS; i++)
		if (load_limit_rows[i].measure)
			limits |= BIT(i);
	return limits;
}

/* Returns how many words were names, or -EINVAL. */
static int parse_limits(struct load_command *c, int argc, char **argv)
{
	unsigned int limit;
	int n = 0;

	for (; n < argc && argv[n][0] != '-'; n++) {
		if (!find_limit(argv[n], &limit))
			return usage_error("unknown limit ", argv[n]);
		c->limits |= BIT(limit);
	}
	if (n == 0)
		c->limits = all_limits();
	return n;
}

/* Returns how many words come before the options, or -EINVAL. */
static int parse_words(struct load_command *c, int argc, char **argv)
{
	int n;

	if (argc < 2)
		return usage_error("expected a mode", "");
	if (argv[1][0] == '-')
		return 0;
	if (strcmp(argv[1], "limit") == 0) {
		n = parse_limits(c, argc - 2, argv + 2);
		return n < 0 ? n : n + 1;
	}
	return find_mode(argv[1], &c->mode) ? 1 : usage_error("unknown mode ", argv[1]);
}

/* What goes together. */

static bool one_guest(enum load_mode_id mode)
{
	return mode != LOAD_MODE_many && mode != LOAD_MODE_idle && mode != LOAD_MODE_start;
}

static bool needs_peer(enum load_mode_id mode)
{
	return mode != LOAD_MODE_idle && mode != LOAD_MODE_start;
}

static bool has_latencies(enum load_mode_id mode)
{
	return mode == LOAD_MODE_kick || mode == LOAD_MODE_echo || mode == LOAD_MODE_many ||
	       mode == LOAD_MODE_start;
}

static int check_peers(const struct load_options *o)
{
	struct load_peer_address address;
	int err = 0;

	for (size_t i = 0; i < o->peers.n_items && err == 0; i++)
		err = load_peer_parse(o->peers.items[i].text, &address);
	return err;
}

static int check_guests(const struct load_command *c)
{
	const struct load_options *o = &c->options;
	uint64_t n = o->socket_path ? o->guests : o->sockets.n_items;

	if (!o->socket_path == (o->sockets.n_items == 0))
		return usage_error("expected either --socket or --socket-path", "");
	if (n != 1 && one_guest(c->mode))
		return usage_error("expected one guest, --guests 1 or one --socket, for ",
				   load_mode_rows[c->mode].name);
	if (o->peers.n_items > 0 && o->tcp_port > 0)
		return usage_error("expected either --peer or --tcp-port", "");
	if (o->peers.n_items > 0 && o->peers.n_items != n)
		return usage_error("expected as many --peer as guests", "");
	if (o->peers.n_items == 0 && o->tcp_port == 0 && needs_peer(c->mode))
		return usage_error("expected --peer or --tcp-port", "");
	if (o->tcp_port + n - 1 > UINT16_MAX)
		return usage_error("--tcp-port: the last guest's is above 65535", "");
	return check_peers(o);
}

static int unknown_style(const char *word)
{
	char names[128];
	size_t len = 0;

	for (unsigned int i = 0; i < VHU_N_STYLES && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i > 0 ? ", " : "",
					vhu_style_name(i));
	return load_fail(-EINVAL, "--style: '%s' is not one of %s", word, names);
}

/* The words of --ring-features. */
static int parse_ring_features(const char *words, uint64_t *ret_features)
{
	static const struct {
		const char *word;
		uint64_t feature;
	} rows[] = {
		{ "packed", BIT(VIRTIO_F_RING_PACKED_BIT) },
		{ "in-order", BIT(VIRTIO_F_IN_ORDER_BIT) },
	};
	uint64_t features = 0;

	for (const char *at = words; at && *at;) {
		size_t len = strcspn(at, ","), i = 0;

		while (i < ARRAY_SIZE(rows) &&
		       (strlen(rows[i].word) != len || strncmp(rows[i].word, at, len) != 0))
			i++;
		if (i == ARRAY_SIZE(rows))
			return load_fail(-EINVAL,
					 "--ring-features: '%.*s' is not one of packed, in-order",
					 (int)len, at);
		features |= rows[i].feature;
		at += len + (at[len] == ',');
	}
	*ret_features = features;
	return 0;
}

static int check_rings(struct load_options *o)
{
	int err = parse_ring_features(o->ring_words, &o->ring_features);

	if (err < 0)
		return err;
	if (!(o->ring_features & BIT(VIRTIO_F_RING_PACKED_BIT)) && !is_power_of_two(o->ring))
		return usage_error("--ring: not a power of two, as rings are that are not packed",
				   "");
	return 0;
}

static int check_load(const struct load_command *c)
{
	const struct load_options *o = &c->options;
	enum vhu_frontend_style style;
	bool messages = c->mode == LOAD_MODE_kick || c->mode == LOAD_MODE_echo;

	if (!vhu_style_find(o->style, &style))
		return unknown_style(o->style);
	if (o->chain > o->chunk || o->chain > o->ring)
		return usage_error(
			"--chain: more descriptors than --chunk has bytes or --ring entries", "");
	if (o->depth != 1 && !messages && c->mode != LOAD_MODE_many && c->mode != LOAD_MODE_idle)
		return usage_error("--depth goes with kick, echo and many, not with ",
				   load_mode_rows[c->mode].name);
	if ((o->rate > 0 || o->asleep) && !messages)
		return usage_error("--rate and --asleep go with kick and echo, not with ",
				   load_mode_rows[c->mode].name);
	return 0;
}

/* Now rather than when all has been measured. */
static int check_plot(const struct load_command *c)
{
	if (!c->options.plot)
		return 0;
	if (c->limits != 0 || !has_latencies(c->mode))
		return usage_error("--plot: no latencies are measured by ",
				   c->limits != 0 ? "limit" : load_mode_rows[c->mode].name);
	return report_plot_takes(c->options.plot) ? 0 : -EINVAL;
}

static int finish_mode(struct load_command *c)
{
	struct load_options *o = &c->options;
	int err;

	if (o->chunk == 0)
		o->chunk = load_mode_rows[c->mode].chunk;
	c->limit = o->no_limit ? LOAD_LIMIT_none : load_mode_rows[c->mode].limit;
	err = check_guests(c);
	if (err == 0)
		err = check_rings(o);
	return err == 0 ? check_load(c) : err;
}

int load_command_parse(struct load_command *ret_command, int argc, char **argv)
{
	struct load_command c = { .mode = LOAD_MODE_kick };
	int n = parse_words(&c, argc, argv);
	const struct option_line line = { .argc = argc - n, .argv = argv + n };
	char why[256];
	int err;

	if (n < 0)
		return n;
	err = options_parse(load_option_rows, load_n_option_rows, &c.options, &line, why,
			    sizeof(why));
	if (err < 0)
		return load_fail(-EINVAL, "%s", why);
	c.options.ns = c.options.seconds * 1000000000;
	if (!c.options.help && !c.options.version) {
		if (n == 0)
			err = usage_error("expected a mode before the options", "");
		else
			err = check_plot(&c);
		if (err == 0 && c.limits == 0)
			err = finish_mode(&c);
	}
	if (err < 0)
		load_command_free(&c);
	else
		*ret_command = c;
	return err;
}

void load_command_free(struct load_command *command)
{
	options_free(load_option_rows, load_n_option_rows, &command->options);
}

void load_command_help(FILE *out)
{
	enum { COLUMN = 14 };

	fputs("Usage: vhu-load MODE [OPTION]...\n"
	      "       vhu-load limit [NAME]... [OPTION]...\n"
	      "Plays guests against a console back-end and measures it.\n\n"
	      "Modes:\n",
	      out);
	for (unsigned int i = 0; i < LOAD_N_MODES; i++) {
		fprintf(out, "  %-*s", COLUMN - 2, load_mode_rows[i].name);
		options_wrap(out, load_mode_rows[i].help, COLUMN, COLUMN);
	}
	fputs("Limits of this machine:\n", out);
	for (unsigned int i = 0; i < LOAD_N_LIMITS; i++) {
		if (!load_limit_rows[i].measure)
			continue;
		fprintf(out, "  %-*s", COLUMN - 2, load_limit_rows[i].name);
		options_wrap(out, load_limit_rows[i].help, COLUMN, COLUMN);
	}
	fputc('\n', out);
	options_help(out, load_option_rows, load_n_option_rows);
}
