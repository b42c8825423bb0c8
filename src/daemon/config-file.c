/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config-file.h"
#include "fd.h"

enum { WORDS_MIN = 16 };

static const char blanks[] = " \t\r";

/* One reading of a file. */
struct reader {
	struct config_words *words;
	const char *path;
	unsigned int line;
	char *why;
	size_t why_cap;
};

static int grow(struct config_words *w)
{
	int cap = w->cap ? 2 * w->cap : WORDS_MIN;
	char **words, **origins;

	words = realloc(w->words, (size_t)cap * sizeof(*words));
	if (!words)
		return -ENOMEM;
	w->words = words;
	origins = realloc(w->origins, (size_t)cap * sizeof(*origins));
	if (!origins)
		return -ENOMEM;
	w->origins = origins;
	w->cap = cap;
	return 0;
}

int config_words_add(struct config_words *w, const char *word, const char *origin)
{
	char *word_copy, *origin_copy;

	if (w->n_words + 1 >= w->cap && grow(w) < 0)
		return -ENOMEM;
	word_copy = strdup(word);
	origin_copy = origin ? strdup(origin) : NULL;
	if (!word_copy || (origin && !origin_copy)) {
		free(word_copy);
		free(origin_copy);
		return -ENOMEM;
	}
	w->words[w->n_words] = word_copy;
	w->origins[w->n_words++] = origin_copy;
	w->words[w->n_words] = NULL;
	return 0;
}

void config_words_free(struct config_words *w)
{
	for (int i = 0; i < w->n_words; i++) {
		free(w->words[i]);
		free(w->origins[i]);
	}
	free(w->words);
	free(w->origins);
	*w = (struct config_words){ 0 };
}

static int fail(const struct reader *r, int err, const char *what)
{
	if (r->line > 0)
		snprintf(r->why, r->why_cap, "%s:%u: %s", r->path, r->line, what);
	else
		snprintf(r->why, r->why_cap, "%s: %s", r->path, what);
	return err;
}

/* These act at once or would nest; a file says what is to be served. */
static bool belongs_on_command_line(const char *name)
{
	static const char *const names[] = { "config", "help", "version", "print-capabilities" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int add_option(const struct reader *r, const char *name, const char *value)
{
	size_t cap = strlen(name) + (value ? strlen(value) : 0) + sizeof("--=");
	char *word = malloc(cap);
	char *origin = NULL;
	int err = -ENOMEM;

	if (word && asprintf(&origin, "%s:%u", r->path, r->line) >= 0) {
		snprintf(word, cap, "--%s%s%s", name, value ? "=" : "", value ? value : "");
		err = config_words_add(r->words, word, origin);
		free(origin);
	}
	free(word);
	return err < 0 ? fail(r, err, "no memory") : 0;
}

static int refuse_line(const struct reader *r, const char *line)
{
	char why[192];

	snprintf(why, sizeof(why),
		 "expected the long name of an option without its dashes, and its value, not "
		 "'%.60s%s'",
		 line, strlen(line) > 60 ? "..." : "");
	return fail(r, -EINVAL, why);
}

/* line has been cut off from the rest of the file, and may be written to. */
static int read_line(const struct reader *r, char *line)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	char *end, *rest, *value = NULL;
	char why[96];

	line += strspn(line, blanks);
	if (!*line || *line == '#')
		return 0;
	for (end = line + strlen(line); end > line && strchr(blanks, end[-1]);)
		*--end = '\0';
	rest = line + strspn(line, letters);
	if (*line == '-' || rest == line || (*rest && *rest != '=' && !strchr(blanks, *rest)))
		return refuse_line(r, line);
	if (*rest) {
		value = rest + strspn(rest, blanks);
		if (*value == '=')
			value++;
		value += strspn(value, blanks);
		*rest = '\0';
	}
	if (belongs_on_command_line(line)) {
		snprintf(why, sizeof(why), "%s belongs on the command line, not in a file", line);
		return fail(r, -EINVAL, why);
	}
	return add_option(r, line, value);
}

static int read_lines(struct reader *r, char *text)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): it was read */
	const char *end = text + strlen(text);
	char *next;
	int err = 0;

	for (char *line = text; line && err == 0; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (next)
			*next++ = '\0';
		r->line++;
		err = read_line(r, line);
	}
	return err;
}

/* The whole file, with a NUL behind it. Nothing else than a regular file can be read without
 * waiting. */
/* seccomp(open): openat fstat newfstatat read */
static int read_text(const struct reader *r, char **ret_text)
{
	AUTO_FD int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(r, -errno, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(r, -EINVAL, "this is not a regular file");
	if (st.st_size > CONFIG_FILE_MAX)
		return fail(r, -EFBIG, "the file is larger than 1M");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return fail(r, -ENOMEM, "no memory");
	while (n > 0 && len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	if (n >= 0 && strlen(text) == len) {
		*ret_text = text;
		return 0;
	}
	free(text);
	return n < 0 ? fail(r, -errno, strerror(errno))
		     : fail(r, -EINVAL, "this is not a text: it has zero bytes");
}

int config_file_read(struct config_words *w, const char *path, char *ret_why, size_t why_cap)
{
	struct reader r = { .words = w, .path = path, .why = ret_why, .why_cap = why_cap };
	char *text = NULL;
	int err;

	err = read_text(&r, &text);
	if (err < 0)
		return err;
	err = read_lines(&r, text);
	free(text);
	return err;
}
