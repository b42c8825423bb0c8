/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Prints what the tracer's lists are turned into: the Wireshark dissector and
 * the options in its manual. Not installed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "trace/capture/capture.h"
#include "trace/trace-command.h"
#include "vhu/fields.h"

/* Texts of the lists hold nothing that Lua would have to escape. */

static const char *const style_names[] = {
	[VHU_STYLE_DEC] = "dec",	   [VHU_STYLE_HEX] = "hex",
	[VHU_STYLE_FEATURES] = "features", [VHU_STYLE_PROTOCOL] = "protocol_features",
	[VHU_STYLE_STATUS] = "status",	   [VHU_STYLE_RING_WORD] = "ring",
	[VHU_STYLE_BYTES] = "bytes",	   [VHU_STYLE_UUID] = "uuid",
	[VHU_STYLE_WORDS] = "words",	   [VHU_STYLE_NEST] = "nest",
	[VHU_STYLE_PADDING] = "padding",
};

static void lua_field(const struct vhu_field *f)
{
	printf("\t\t{ name = \"%s\", at = %u, width = %u, n = %u, style = \"%s\"", f->name,
	       f->offset, f->width, f->n, style_names[f->style]);
	printf(", text = \"%s\"", f->text);
	if (f->inner)
		printf(", inner = \"%s\"", f->inner->name);
	printf(" },\n");
}

static void lua_shape(const struct vhu_shape *shape)
{
	printf("\t%s = { name = \"%s\", min = %" PRIu32 ", max = %" PRIu32 ",\n", shape->name,
	       shape->name, shape->min_len, shape->max_len);
	if (shape->counted)
		printf("\t\tcount = %" PRIu32 ", prefix = %" PRIu32 ", unit = %" PRIu32
		       ", most = %" PRIu32 ",\n",
		       shape->count_offset, shape->prefix_len, shape->unit_len, shape->max_count);
	for (size_t i = 0; i < shape->n_fields; i++)
		lua_field(&shape->fields[i]);
	printf("\t},\n");
}

static void lua_shapes(void)
{
	static const char *const names[] = {
#define SHAPE(shape, min, max) #shape,
#include "vhu/shapes.def"
	};

	printf("local SHAPES = {\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		lua_shape(vhu_shape_find(names[i]));
	printf("}\nlocal ACK = SHAPES.%s\n", vhu_shape_ack()->name);
}

static void lua_request(const struct vhu_desc *d)
{
	printf("\t[%" PRIu32 "] = { name = \"%s\", text = \"%s\"", d->id, d->name, d->text);
	if (d->request->max_len > 0)
		printf(", request = SHAPES.%s", d->request->name);
	if (d->reply->max_len > 0)
		printf(", reply = SHAPES.%s", d->reply->name);
	if (d->replied.kind == VHU_REPLY_ALWAYS)
		printf(", always = true");
	if (d->replied.kind == VHU_REPLY_IF)
		printf(", always_with = %u", d->replied.bit);
	if (d->index != VHU_INDEX_NONE)
		printf(", ring = %d", d->index == VHU_INDEX_LOW ? 1 : 4);
	printf(" },\n");
}

static void lua_requests(const char *table, enum vhu_dir dir)
{
	const struct vhu_desc *d;

	printf("local %s = {\n", table);
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++)
		if (d->dir == dir)
			lua_request(d);
	printf("}\n");
}

static void lua_bits(enum vhu_style style)
{
	printf("\t%s = {\n", style_names[style]);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = vhu_field_bit_name(style, bit);

		if (name)
			printf("\t\t[%u] = \"%s\",\n", bit, name);
	}
	printf("\t},\n");
}

/* Numbers from 0 on and what they are called. */
#define LUA_NAMES(table, n, name_of)                                                               \
	do {                                                                                       \
		printf("local %s = {\n", table);                                                   \
		for (unsigned int i_ = 0; i_ < (n); i_++)                                          \
			printf("\t[%u] = \"%s\",\n", i_, name_of(i_));                             \
		printf("}\n");                                                                     \
	} while (0)

static const char *record_kind(unsigned int kind)
{
	static const char *const names[TRACE_N_KINDS] = {
		[TRACE_OPEN] = "open",	     [TRACE_MESSAGE] = "message", [TRACE_RAW] = "raw",
		[TRACE_CHANNEL] = "channel", [TRACE_END] = "end",	  [TRACE_NOTE] = "note",
		[TRACE_RING] = "ring",
	};

	return names[kind];
}

static const char *fd_kind(unsigned int kind)
{
	return fd_kind_name((enum fd_kind)kind);
}

static const char *cause(unsigned int number)
{
	return trace_cause_name((enum trace_cause)number);
}

static const char *fault(unsigned int number)
{
	const char *text = picture_fault_text((enum picture_fault)number);

	return text ? text : "sound";
}

static const char *return_fault(unsigned int number)
{
	const char *text = picture_return_text((enum picture_return)number);

	return text ? text : "sound";
}

static const char *owner(unsigned int number)
{
	return picture_owner_text((enum picture_owner)number);
}

static void lua_tables(void)
{
	printf("-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n"
	       "-- Wireshark dissector for captures of vhu-trace. Made from the lists of the\n"
	       "-- protocol; put it into the folder of personal Lua plugins.\n\n"
	       "local ENVELOPE_VERSION = %d\n",
	       CAPTURE_VERSION);
	lua_shapes();
	lua_requests("FRONT_END", VHU_FE);
	lua_requests("BACK_END", VHU_BE);
	printf("local BITS = {\n");
	lua_bits(VHU_STYLE_FEATURES);
	lua_bits(VHU_STYLE_PROTOCOL);
	lua_bits(VHU_STYLE_STATUS);
	printf("}\n");
	LUA_NAMES("RECORD_KINDS", TRACE_N_KINDS, record_kind);
	LUA_NAMES("FD_KINDS", FD_N_KINDS, fd_kind);
	LUA_NAMES("CAUSES", TRACE_N_CAUSES, cause);
	LUA_NAMES("FAULTS", PICTURE_N_FAULTS, fault);
	printf("local FAULT_REUSED = %d\n", PICTURE_REUSED);
	LUA_NAMES("RETURNS", PICTURE_N_RETURNS, return_fault);
	LUA_NAMES("OWNERS", PICTURE_DRIVER + 1, owner);
}

/* Copies the file behind its first line, which repeats the licence. */
static int copy_file(const char *path)
{
	FILE *in = fopen(path, "r");
	bool in_first_line = true;
	int r = 0, c;

	if (!in)
		return -errno;
	while ((c = fgetc(in)) != EOF) {
		if (!in_first_line)
			putchar(c);
		else if (c == '\n')
			in_first_line = false;
	}
	if (ferror(in))
		r = -EIO;
	fclose(in);
	return r;
}

/* Tables, and the functions that use them, in the order of the files. */
static int dump_lua(char **files)
{
	int r = 0;

	lua_tables();
	for (; *files && r == 0; files++)
		r = copy_file(*files);
	return r;
}

static int dump_options(char **args)
{
	(void)args;
	fputs(".SH OPTIONS\n", stdout);
	options_man(stdout, trace_option_rows, trace_n_option_rows);
	fputs(".SH OPTIONS OF REPL\n", stdout);
	options_man(stdout, trace_repl_option_rows, trace_n_repl_option_rows);
	return 0;
}

static const struct dump {
	const char *name;
	int (*run)(char **args); /* up to a NULL */
	const char *args;	 /* what they are called, or NULL for none */
} dumps[] = {
	{ "lua", dump_lua, "FILE..." },
	{ "options", dump_options, NULL },
};

static int usage(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++)
		fprintf(stderr, "usage: vhu-trace-dump %s %s\n", dumps[i].name,
			dumps[i].args ? dumps[i].args : "");
	return 2;
}

int main(int argc, char **argv)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(dumps) && argc > 1; i++) {
		if (strcmp(argv[1], dumps[i].name) != 0)
			continue;
		if (dumps[i].args ? argc < 3 : argc > 2)
			return usage();
		r = dumps[i].run(argv + 2);
		if (r == 0 && fflush(stdout) != 0)
			r = -errno;
		if (r < 0)
			fprintf(stderr, "vhu-trace-dump: %s\n", strerror(-r));
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	return usage();
}
