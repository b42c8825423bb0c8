/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control-table.h"
#include "daemon/control-text.h"
#include "daemon/ctl.h"
#include "options.h"

/* The words that are left, and what they have made so far. */
struct reader {
	const struct control_command *command;
	const char *const *words;
	unsigned int n_words;
	struct json_object *request;
	char *why;
	size_t why_cap;
};

PRINTF_LIKE(2, 3)
static int fail(struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->why, r->why_cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_synopsis(struct reader *r, const char *what)
{
	char synopsis[256];

	control_synopsis(r->command, synopsis, sizeof(synopsis));
	return fail(r, "%s; what is expected is: %s", what, synopsis);
}

static const char *take(struct reader *r)
{
	r->n_words--;
	return *r->words++;
}

static void add(struct reader *r, unsigned int arg, struct json_object *value)
{
	json_object_object_add(r->request, control_arguments[arg].name, value);
}

/* Numbers are made into numbers; all else is for the daemon to judge. */
static int add_word(struct reader *r, unsigned int arg, const char *word)
{
	uint64_t id;

	if (!utf8_valid(word, strlen(word)))
		return fail(r, "the words must be UTF-8");
	if (control_arguments[arg].type != CONTROL_ID) {
		add(r, arg, json_object_new_string(word));
		return 0;
	}
	if (!option_parse_number(word, &id) || id == 0 || id > UINT_MAX)
		return fail(r, "'%s' is not the number of a%s %s", word,
			    arg == CONTROL_ARG_attachment ? "n" : "", control_arguments[arg].name);
	add(r, arg, json_object_new_uint64(id));
	return 0;
}

/* "console0/1", "/1" or "1": neither a device's nor a port's name has a slash in it. */
static int read_address(struct reader *r)
{
	const char *word = take(r), *slash = strchr(word, '/');
	int err = 0;

	if (slash && slash > word) {
		char *device = strndup(word, (size_t)(slash - word));

		err = device ? add_word(r, CONTROL_ARG_device, device) : -ENOMEM;
		free(device);
	}
	return err < 0 ? err : add_word(r, CONTROL_ARG_port, slash ? slash + 1 : word);
}

/* Where there is no port, the device is a word of its own that may be left out. */
static int read_device(struct reader *r)
{
	unsigned int n_needed = (unsigned int)__builtin_popcountll(r->command->needed);

	if (r->n_words <= n_needed)
		return 0;
	return add_word(r, CONTROL_ARG_device, take(r));
}

static int read_needed(struct reader *r)
{
	int err = 0;

	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS && err == 0; i++) {
		if (!(r->command->needed & BIT(i)) || i == CONTROL_ARG_port)
			continue;
		if (r->n_words == 0)
			return fail_synopsis(r, "something is missing");
		err = add_word(r, i, take(r));
	}
	return err;
}

static int read_named(struct reader *r)
{
	const char *word = take(r), *equals = strchr(word, '=');
	int arg = equals ? control_find_argument(word, (size_t)(equals - word)) : -1;
	char what[128];

	if (arg >= 0 && control_is_word(r->command, (unsigned int)arg)) {
		if (json_object_object_get_ex(r->request, control_arguments[arg].name, NULL))
			return fail(r, "%s= is given twice", control_arguments[arg].name);
		return add_word(r, (unsigned int)arg, equals + 1);
	}
	snprintf(what, sizeof(what), "'%.60s' has no place in %s", word, r->command->name);
	return fail_synopsis(r, what);
}

static int read_words(struct reader *r)
{
	int err = 0;

	if (r->command->needed & BIT(CONTROL_ARG_port)) {
		if (r->n_words == 0)
			return fail_synopsis(r, "a port is missing");
		err = read_address(r);
	} else if (control_takes(r->command, CONTROL_ARG_device)) {
		err = read_device(r);
	}
	if (err == 0)
		err = read_needed(r);
	while (err == 0 && r->n_words > 0)
		err = read_named(r);
	return err;
}

int ctl_request(const char *const *words, unsigned int n_words, struct json_object **ret_request,
		char *ret_why, size_t why_cap)
{
	struct reader r = {
		.words = words, .n_words = n_words, .why = ret_why, .why_cap = why_cap
	};
	int err;

	if (n_words == 0)
		return fail(&r, "a command is missing; --help lists them");
	r.command = control_find_command(words[0]);
	if (!r.command)
		return fail(&r, "there is no command '%.60s'; --help lists them", words[0]);
	take(&r);
	r.request = json_object_new_object();
	json_object_object_add(r.request, "command", json_object_new_string(r.command->name));
	err = read_words(&r);
	if (err < 0)
		json_object_put(r.request);
	else
		*ret_request = r.request;
	return err;
}
