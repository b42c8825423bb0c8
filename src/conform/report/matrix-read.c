/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Reports in JSON Lines, read back. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/report/matrix-data.h"
#include "conform/report/report-keys.h"

static int fail(int err, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(int err, const char *fmt, ...)
{
	va_list args;

	fputs("vhu-conform: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return err;
}

#ifdef HAVE_JSON_C
#include <json-c/json.h>

/* A file that is being read. */
struct input {
	struct matrix *m;
	const char *path;
	unsigned int line;
	size_t target; /* index of its column */
};

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		return NULL;
	return value ? json_object_get_string(value) : NULL;
}

static int64_t number_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_int64(value) : 0;
}

static int no_memory(void)
{
	return fail(-ENOMEM, "not enough memory for the matrix");
}

/* A copy of text, or of what stands in for NULL. */
static char *copy_of(const char *text, const char *otherwise)
{
	return strdup(text ? text : otherwise);
}

/* Targets. */

/* "qemu-storage-daemon" of "--exec '/usr/bin/qemu-storage-daemon --x'", or what there is. */
static char *name_from(const char *target)
{
	const char *start = strchr(target, '\''), *word;
	size_t len;

	if (strncmp(target, "--exec", 6) != 0)
		return strdup(target);
	start = start ? start + 1 : target + 6;
	start += strspn(start, " =\"");
	len = strcspn(start, " '\"");
	for (word = start + len; word > start && word[-1] != '/'; word--)
		;
	len -= (size_t)(word - start);
	return len > 0 ? strndup(word, len) : strdup(target);
}

static int read_run(struct input *in, struct json_object *object)
{
	struct matrix_target *t = &in->m->targets[in->target];
	const char *type = text_of(object, "type");
	const char *name = text_of(object, "name"), *target = text_of(object, "target");
	const char *device = text_of(object, "device");

	if (!type || strcmp(type, "run") != 0 || number_of(object, "schema") != REPORT_SCHEMA)
		return fail(-EINVAL,
			    "%s: expected a report of --format jsonl, schema %d, in its first line",
			    in->path, REPORT_SCHEMA);
	if (!t->name)
		t->name = name ? strdup(name) : name_from(target ? target : in->path);
	t->device = device ? strdup(device) : NULL;
	t->tester = copy_of(text_of(object, "version"), "?");
	return t->name && t->tester ? 0 : no_memory();
}

static void read_summary(struct input *in, struct json_object *object)
{
	struct matrix_target *t = &in->m->targets[in->target];

	t->finished = true;
	t->n_applicable = (unsigned int)number_of(object, "clauses_applicable");
	t->n_exercised = (unsigned int)number_of(object, "clauses_exercised");
}

/* Rows. */

static struct matrix_row *find_row(struct matrix *m, const char *id)
{
	for (size_t i = 0; i < m->n_rows; i++)
		if (strcmp(m->rows[i].id, id) == 0)
			return &m->rows[i];
	return NULL;
}

static bool grow(struct matrix *m)
{
	size_t cap = m->cap_rows > 0 ? 2 * m->cap_rows : 256;
	struct matrix_row *rows;

	if (m->n_rows < m->cap_rows)
		return true;
	rows = reallocarray(m->rows, cap, sizeof(*rows));
	if (!rows)
		return false;
	m->rows = rows;
	m->cap_rows = cap;
	return true;
}

/* "VU-105 VU-102" of an array of objects; *ret_level: of the first. */
static char *clauses_of(struct json_object *object, const char **ret_level)
{
	struct json_object *array;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	*ret_level = NULL;
	if (!out)
		return NULL;
	if (json_object_object_get_ex(object, "clauses", &array) &&
	    json_object_is_type(array, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(array); i++) {
			struct json_object *clause = json_object_array_get_idx(array, i);
			const char *id = text_of(clause, "id");

			if (i == 0)
				*ret_level = text_of(clause, "level");
			fprintf(out, "%s%s", i > 0 ? " " : "", id ? id : "?");
		}
	}
	fclose(out);
	return text;
}

static struct matrix_row *add_row(struct matrix *m, const char *id, struct json_object *object)
{
	struct matrix_row *row;
	const char *level;

	if (!grow(m))
		return NULL;
	row = &m->rows[m->n_rows++];
	*row = (struct matrix_row){
		.id = strdup(id),
		.title = copy_of(text_of(object, "title"), ""),
		.clauses = clauses_of(object, &level),
		.cells = calloc(m->n_targets, sizeof(*row->cells)),
	};
	row->level = copy_of(level, "");
	if (row->id && row->title && row->clauses && row->level && row->cells)
		return row;
	return NULL;
}

static int read_result(struct input *in, struct json_object *object)
{
	const char *id = text_of(object, "id"), *word = text_of(object, "verdict");
	const char *reason = text_of(object, "reason");
	struct matrix_row *row;
	struct matrix_cell *cell;
	enum verdict verdict;

	if (!id || !word || !verdict_find(word, &verdict))
		return fail(-EINVAL, "%s, line %u: expected an id and a verdict", in->path,
			    in->line);
	row = find_row(in->m, id);
	if (!row)
		row = add_row(in->m, id, object);
	if (!row)
		return no_memory();
	cell = &row->cells[in->target];
	free(cell->reason);
	cell->there = true;
	cell->verdict = verdict;
	cell->reason = reason ? strdup(reason) : NULL;
	in->m->targets[in->target].n[verdict]++;
	return reason && !cell->reason ? no_memory() : 0;
}

/* Lines. */

static int read_object(struct input *in, struct json_object *object)
{
	const char *type;

	if (in->line == 1)
		return read_run(in, object);
	type = text_of(object, "type");
	if (type && strcmp(type, "result") == 0)
		return read_result(in, object);
	if (type && strcmp(type, "summary") == 0)
		read_summary(in, object);
	return 0; /* kinds of lines that a later version has are no concern of ours */
}

static int read_line(struct input *in, const char *line)
{
	struct json_object *object = json_tokener_parse(line);
	int err;

	if (object && json_object_is_type(object, json_type_object))
		err = read_object(in, object);
	else
		err = fail(-EINVAL, "%s, line %u: expected a JSON object", in->path, in->line);
	json_object_put(object);
	return err;
}

static int read_lines(struct input *in, FILE *text)
{
	char *line = NULL;
	size_t cap = 0;
	int err = 0;

	while (err == 0 && getline(&line, &cap, text) >= 0) {
		in->line++;
		err = read_line(in, line);
	}
	free(line);
	if (err == 0 && in->line == 0)
		err = fail(-EINVAL, "%s: expected a report of --format jsonl, not an empty file",
			   in->path);
	return err;
}

/* The path in "NAME=PATH" or in "PATH", whichever there is. */
static const char *split(const char *word, size_t *ret_name_len)
{
	const char *equals = strchr(word, '=');

	*ret_name_len = 0;
	if (!equals || access(word, F_OK) == 0)
		return word;
	*ret_name_len = (size_t)(equals - word);
	return equals + 1;
}

static int read_file(struct matrix *m, const char *word, size_t target)
{
	size_t name_len;
	struct input in = { .m = m, .path = split(word, &name_len), .target = target };
	FILE *text = fopen(in.path, "re");
	int err = -errno;

	if (!text)
		return fail(err, "%s: %s", in.path, strerror(-err));
	if (name_len > 0)
		m->targets[in.target].name = strndup(word, name_len);
	err = read_lines(&in, text);
	fclose(text);
	return err;
}

int matrix_read(struct matrix *m, const struct matrix_options *o)
{
	int err = 0;

	if (o->n_files == 0)
		return fail(-EINVAL, "matrix: expected the names of reports in JSON Lines");
	m->targets = calloc(o->n_files, sizeof(*m->targets));
	if (!m->targets)
		return no_memory();
	m->n_targets = o->n_files;
	for (size_t i = 0; err == 0 && i < o->n_files; i++)
		err = read_file(m, o->files[i], i);
	return err;
}

#else

int matrix_read(struct matrix *m, const struct matrix_options *o)
{
	(void)m;
	(void)o;
	return fail(-ENOTSUP, "matrix: this vhu-conform was built without json-c");
}

#endif
