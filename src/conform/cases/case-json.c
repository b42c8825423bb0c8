/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-json.h"

#include <ctype.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, TEXT_MAX = 65536 };

/* Reading. Each function returns what comes after a value, or NULL where there is none. */

static const char *skip_value(const char *at, unsigned int depth);

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		if ((unsigned char)*at < ' ')
			return NULL; /* the end, too */
		if (*at == '\\' && *++at == '\0')
			return NULL;
	}
	return at + 1;
}

static const char *skip_number(const char *at)
{
	const char *digits = at + (*at == '-');
	size_t len = strspn(digits, "0123456789+-.eE");

	return len > 0 && isdigit((unsigned char)*digits) ? digits + len : NULL;
}

static const char *skip_word(const char *at)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strncmp(at, words[i], strlen(words[i])) == 0)
			return at + strlen(words[i]);
	return NULL;
}

static const char *skip_member(const char *at, unsigned int depth)
{
	at = skip_string(at);
	at = at ? skip_space(at) : NULL;
	return at && *at == ':' ? skip_value(skip_space(at + 1), depth) : NULL;
}

/* An object or array, from its bracket on. */
static const char *skip_group(const char *at, unsigned int depth)
{
	bool object = *at == '{';
	char end = object ? '}' : ']';

	if (depth >= DEPTH_MAX)
		return NULL;
	at = skip_space(at + 1);
	if (*at == end)
		return at + 1;
	for (;;) {
		at = object ? skip_member(at, depth + 1) : skip_value(at, depth + 1);
		at = at ? skip_space(at) : NULL;
		if (!at || (*at != ',' && *at != end))
			return NULL;
		if (*at++ == end)
			return at;
		at = skip_space(at);
	}
}

static const char *skip_value(const char *at, unsigned int depth)
{
	switch (*at) {
	case '{':
	case '[':
		return skip_group(at, depth);
	case '"':
		return skip_string(at);
	default:
		return isalpha((unsigned char)*at) ? skip_word(at) : skip_number(at);
	}
}

const char *json_check_object(const char *text)
{
	const char *at = skip_space(text);

	if (*at == '\0')
		return "nothing came";
	if (*at != '{')
		return "it does not begin with a brace";
	at = skip_group(at, 0);
	if (!at)
		return "it breaks off or is malformed";
	return *skip_space(at) ? "something comes after it" : NULL;
}

/* Members of the outermost object, one after the other. The text is a checked object. */

struct member {
	const char *name, *value; /* where they begin; name behind its quote */
	size_t name_len;
};

static bool next_member(const char **pos, struct member *ret_member)
{
	const char *at = skip_space(*pos), *end;

	if (*at == '{' || *at == ',')
		at = skip_space(at + 1);
	if (*at != '"')
		return false;
	end = skip_string(at);
	ret_member->name = at + 1;
	ret_member->name_len = (size_t)(end - at) - 2;
	ret_member->value = skip_space(skip_space(end) + 1);
	*pos = skip_value(ret_member->value, 1);
	return true;
}

static bool is_called(const struct member *m, const char *name)
{
	return strlen(name) == m->name_len && memcmp(m->name, name, m->name_len) == 0;
}

static bool find_string(const char *text, const char *name, const char **ret_at, size_t *ret_len)
{
	struct member m;

	while (next_member(&text, &m)) {
		if (!is_called(&m, name) || *m.value != '"')
			continue;
		*ret_at = m.value + 1;
		*ret_len = (size_t)(skip_string(m.value) - m.value) - 2;
		return true;
	}
	return false;
}

bool json_has_string(const char *text, const char *name)
{
	const char *at;
	size_t len;

	return find_string(text, name, &at, &len);
}

/* Descriptor files. */

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, TEXT_MAX + 1) : NULL;

	if (text)
		text[fread(text, 1, TEXT_MAX, f)] = '\0';
	if (f)
		fclose(f);
	return text;
}

static bool names(const char *text, const char *program)
{
	char word[PATH_MAX], real[PATH_MAX];
	const char *at;
	size_t len;

	if (json_check_object(text) || !find_string(text, "binary", &at, &len) ||
	    len >= sizeof(word))
		return false;
	memcpy(word, at, len);
	word[len] = '\0';
	return realpath(word, real) && strcmp(real, program) == 0;
}

/* Beside the program, where it is installed elsewhere: PREFIX/bin or libexec, PREFIX/share. */
static void add_prefixes(const char *program, glob_t *found)
{
	char pattern[PATH_MAX], prefix[PATH_MAX];

	snprintf(prefix, sizeof(prefix), "%s", program);
	for (char *slash = strrchr(prefix, '/'); slash; slash = strrchr(prefix, '/')) {
		*slash = '\0';
		if (snprintf(pattern, sizeof(pattern), "%s/share/qemu/vhost-user/*.json", prefix) <
		    (int)sizeof(pattern))
			(void)glob(pattern, GLOB_APPEND, NULL, found);
	}
}

bool json_find_descriptor(const char *program, char **ret_file, char **ret_text)
{
	glob_t files = { 0 };
	bool found = false;

	(void)glob("/usr/share/qemu/vhost-user/*.json", 0, NULL, &files);
	(void)glob("/usr/local/share/qemu/vhost-user/*.json", GLOB_APPEND, NULL, &files);
	(void)glob("/etc/qemu/vhost-user/*.json", GLOB_APPEND, NULL, &files);
	add_prefixes(program, &files);
	for (size_t i = 0; i < files.gl_pathc && !found; i++) {
		char *text = read_text(files.gl_pathv[i]);

		found = text && names(text, program);
		if (!found) {
			free(text);
			continue;
		}
		*ret_text = text;
		*ret_file = strdup(files.gl_pathv[i]);
	}
	globfree(&files);
	return found;
}

static bool is_type(const char *text, char *wrong, size_t size)
{
	static const char *const types[] = {
		"9p",	 "balloon", "block", "caif",  "console",      "crypto", "gpu",
		"input", "net",	    "rng",   "rpmsg", "rproc-serial", "scsi",	"vsock",
		"fs",	 "gpio",    "i2c",   "sound", "spi",
	};
	const char *at;
	size_t len;

	if (!find_string(text, "type", &at, &len)) {
		snprintf(wrong, size, "expected a string called type");
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i]) == len && memcmp(types[i], at, len) == 0)
			return true;
	snprintf(wrong, size, "expected a type of the schema, not %.*s", (int)len, at);
	return false;
}

static bool is_strings(const char *at)
{
	if (*at != '[')
		return false;
	for (at = skip_space(at + 1); *at == '"'; at = skip_space(at + (*at == ',')))
		at = skip_space(skip_string(at));
	return *at == ']';
}

bool json_check_descriptor(const char *text, char *wrong, size_t size)
{
	struct member m;

	if (!is_type(text, wrong, size))
		return false;
	if (!json_has_string(text, "description")) {
		snprintf(wrong, size, "expected a string called description");
		return false;
	}
	while (next_member(&text, &m)) {
		bool known = is_called(&m, "description") || is_called(&m, "type") ||
			     is_called(&m, "binary");

		if (known || (is_called(&m, "tags") && is_strings(m.value)))
			continue;
		snprintf(wrong, size,
			 "expected description, type, binary and a list of tags, not "
			 "%.*s",
			 (int)m.name_len, m.name);
		return false;
	}
	return true;
}
