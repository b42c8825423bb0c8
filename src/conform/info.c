/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conform/interrupt.h"
#include "conform/runner.h"

struct device_feature {
	const char *device, *name;
	unsigned int bit;
};

static const struct device_feature device_features[] = {
#define DEVICE_FEATURE(device, NAME, bit) { #device, #NAME, bit },
#include "virtio/devices.def"
};

struct config_field {
	const char *device, *name;
	unsigned int offset, width;
	int bit;
};

static const struct config_field config_fields[] = {
#define CONFIG_FIELD(device, name, offset, width, bit) { #device, #name, offset, width, bit },
#include "virtio/devices.def"
};

/* Names. */

static const char *own_feature_name(const struct device *device, unsigned int bit)
{
	for (size_t i = 0; device && i < ARRAY_SIZE(device_features); i++)
		if (device_features[i].bit == bit &&
		    strcmp(device_features[i].device, device->name) == 0)
			return device_features[i].name;
	return NULL;
}

/* The device's own names come first: bits that old devices shared have become theirs. */
static const char *feature_name(const struct device *device, unsigned int bit)
{
	const char *name = own_feature_name(device, bit);

	return name ? name : vhu_feature_name(bit);
}

/* A set of bits as words, one after the other. */
typedef const char *name_fn(const struct device *device, unsigned int bit);

static const char *protocol_name(const struct device *device, unsigned int bit)
{
	(void)device;
	return vhu_protocol_feature_name(bit);
}

static void print_bits(FILE *out, uint64_t bits, const struct device *device, name_fn *name_of,
		       const char *before, const char *between, const char *after)
{
	const char *sep = "";

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(device, bit);

		if (!(bits & BIT(bit)))
			continue;
		if (name)
			fprintf(out, "%s%s%s%s", sep, before, name, after);
		else
			fprintf(out, "%s%sbit %u%s", sep, before, bit, after);
		sep = between;
	}
}

/* Config. */

static uint64_t field_number(const struct target_info *info, const struct config_field *f)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < f->width; i++)
		value |= (uint64_t)info->config[f->offset + i] << (8 * i);
	return value;
}

static bool is_number(const struct config_field *f)
{
	return f->width == 1 || f->width == 2 || f->width == 4 || f->width == 8;
}

static bool has_field(const struct target_info *info, const struct device *device,
		      const struct config_field *f)
{
	return device && strcmp(f->device, device->name) == 0 &&
	       f->offset + f->width <= info->config_len &&
	       (f->bit < 0 || (info->features & BIT(f->bit)));
}

/* Text and then only zeroes: its length; else 0. */
static unsigned int text_len(const uint8_t *bytes, unsigned int n)
{
	unsigned int len = 0, end;

	while (len < n && bytes[len] >= 0x20 && bytes[len] < 0x7f && bytes[len] != '"' &&
	       bytes[len] != '\\')
		len++;
	for (end = len; end < n && bytes[end] == 0; end++)
		;
	return end == n ? len : 0;
}

/* Text with quotes, or hexadecimal digits, with quotes in JSON. */
static void print_bytes(FILE *out, const uint8_t *bytes, unsigned int n, bool quotes)
{
	unsigned int len = text_len(bytes, n);

	if (len > 0) {
		fprintf(out, "\"%.*s\"", (int)len, (const char *)bytes);
		return;
	}
	fputs(quotes ? "\"" : "", out);
	for (unsigned int i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
	fputs(quotes ? "\"" : "", out);
}

static void print_field(FILE *out, const struct target_info *info, const struct config_field *f,
			bool quotes)
{
	if (is_number(f))
		fprintf(out, "%" PRIu64, field_number(info, f));
	else
		print_bytes(out, info->config + f->offset, f->width, quotes);
}

static void print_hex(FILE *out, const struct target_info *info)
{
	for (uint32_t i = 0; i < info->config_len; i++)
		fprintf(out, "%02x", info->config[i]);
}

/* For people. */

enum { COLUMN = 28 };

static void print_set(FILE *out, const char *title, uint64_t bits, const struct device *device,
		      name_fn *name_of)
{
	char *text = NULL;
	size_t size = 0;
	FILE *words = open_memstream(&text, &size);

	fprintf(out, "%-*s%#" PRIx64 "\n", COLUMN, title, bits);
	if (!words)
		return;
	print_bits(words, bits, device, name_of, "", " ", "");
	if (fclose(words) == 0 && size > 0) {
		fprintf(out, "%*s", COLUMN, "");
		options_wrap(out, text, COLUMN, COLUMN);
	}
	free(text);
}

static void print_config(FILE *out, const struct target_info *info, const struct device *device)
{
	bool named = false;

	fprintf(out, "%-*s%u bytes\n", COLUMN, "config", info->config_len);
	for (size_t i = 0; i < ARRAY_SIZE(config_fields); i++) {
		const struct config_field *f = &config_fields[i];

		if (!has_field(info, device, f))
			continue;
		named = true;
		fprintf(out, "  %-*s", COLUMN - 2, f->name);
		print_field(out, info, f, false);
		fputc('\n', out);
	}
	if (named || info->config_len == 0)
		return;
	fprintf(out, "  %-*s", COLUMN - 2, "bytes");
	print_hex(out, info);
	fputc('\n', out);
}

void info_print(FILE *out, const struct target_info *info, const struct device *device)
{
	print_set(out, "features", info->features, device, feature_name);
	print_set(out, "protocol features", info->protocol, NULL, protocol_name);
	fprintf(out, "%-*s", COLUMN, "rings");
	if (info->protocol & BIT(VHU_PF_MQ_BIT))
		fprintf(out, "%u\n", info->n_rings);
	else
		fputs("not told (no MQ)\n", out);
	fprintf(out, "%-*s", COLUMN, "memory slots");
	if (info->max_slots > 0)
		fprintf(out, "%" PRIu64 "\n", info->max_slots);
	else
		fputs("not told (no CONFIGURE_MEM_SLOTS)\n", out);
	print_config(out, info, device);
	fprintf(out, "%-*s%s\n", COLUMN, "front-ends",
		info->parallel	   ? "several at once"
		: info->persistent ? "one after the other"
				   : "one, then it ends");
}

/* For programs. */

static void print_json_config(FILE *out, const struct target_info *info,
			      const struct device *device)
{
	const char *sep = "";

	fprintf(out, "  \"config\": {\n    \"length\": %u,\n    \"bytes\": \"", info->config_len);
	print_hex(out, info);
	fputs("\",\n    \"fields\": {", out);
	for (size_t i = 0; i < ARRAY_SIZE(config_fields); i++) {
		const struct config_field *f = &config_fields[i];

		if (!has_field(info, device, f))
			continue;
		fprintf(out, "%s\"%s\": ", sep, f->name);
		print_field(out, info, f, true);
		sep = ", ";
	}
	fputs("}\n  },\n", out);
}

static void print_json_set(FILE *out, const char *name, uint64_t bits, const struct device *device,
			   name_fn *name_of)
{
	fprintf(out, "  \"%s\": {\"value\": \"%#" PRIx64 "\", \"names\": [", name, bits);
	print_bits(out, bits, device, name_of, "\"", ", ", "\"");
	fputs("]},\n", out);
}

void info_print_json(FILE *out, const struct target_info *info, const struct device *device)
{
	fputs("{\n  \"schema\": 1,\n", out);
	if (device)
		fprintf(out, "  \"device\": \"%s\",\n", device->name);
	print_json_set(out, "features", info->features, device, feature_name);
	print_json_set(out, "protocol_features", info->protocol, NULL, protocol_name);
	if (info->protocol & BIT(VHU_PF_MQ_BIT))
		fprintf(out, "  \"rings\": %u,\n", info->n_rings);
	else
		fputs("  \"rings\": null,\n", out);
	if (info->max_slots > 0)
		fprintf(out, "  \"memory_slots\": %" PRIu64 ",\n", info->max_slots);
	else
		fputs("  \"memory_slots\": null,\n", out);
	print_json_config(out, info, device);
	fprintf(out, "  \"persistent\": %s,\n  \"parallel\": %s\n}\n",
		info->persistent ? "true" : "false", info->parallel ? "true" : "false");
}

/* --has. */

static const char *cut_prefix(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncasecmp(name, prefix, len) == 0 ? name + len : NULL;
}

static bool find_named(const char *name, const struct device *device, name_fn *name_of,
		       unsigned int *ret_bit)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *known = name_of(device, bit);

		if (known && strcasecmp(known, name) == 0) {
			*ret_bit = bit;
			return true;
		}
	}
	return false;
}

/* VIRTIO_CONSOLE_F_SIZE, VIRTIO_F_EVENT_IDX, VIRTIO_RING_F_..., VHOST_F_LOG_ALL and the like. */
static const char *bare_feature(const char *name)
{
	const char *mark = strstr(name, "_F_");

	return mark && (cut_prefix(name, "VIRTIO_") || cut_prefix(name, "VHOST_")) ? mark + 3
										   : name;
}

int info_find(const struct target_info *info, const struct device *device, const char *name,
	      bool *ret_offered)
{
	const char *protocol = cut_prefix(name, "VHOST_USER_PROTOCOL_F_");
	unsigned int bit;

	if (find_named(protocol ? protocol : name, NULL, protocol_name, &bit))
		*ret_offered = info->protocol & BIT(bit);
	else if (!protocol && find_named(bare_feature(name), device, feature_name, &bit))
		*ret_offered = info->features & BIT(bit);
	else
		return -ENOENT;
	return 0;
}

/* Those that have the word in their names: how many. */
static size_t print_near(FILE *out, const char *word, const struct device *device, name_fn *name_of,
			 size_t n)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(device, bit);

		if (name && *word && strcasestr(name, word))
			fprintf(out, "%s%s", n++ > 0 ? ", " : "; did you mean ", name);
	}
	return n;
}

static int answer_has(const struct info_options *o, const struct target_info *info,
		      const struct device *device)
{
	bool offered;

	if (info_find(info, device, o->has, &offered) < 0) {
		fprintf(stderr,
			"vhu-conform: --has: '%s' is no feature%s; --device names a device's own, "
			"and info without --has prints those offered",
			o->has, device ? " of it" : "");
		print_near(stderr, o->has, device, feature_name,
			   print_near(stderr, o->has, NULL, protocol_name, 0));
		fputc('\n', stderr);
		return CONFORM_USAGE;
	}
	return offered ? 0 : 1;
}

static int tell(const struct info_options *o, struct target *target, const struct device *device)
{
	int err = target_probe(target, device ? device->min_rings : 1);

	if (err < 0)
		return runner_not_reached(target, err);
	if (o->has)
		return answer_has(o, &target->info, device);
	(o->json ? info_print_json : info_print)(stdout, &target->info, device);
	return 0;
}

int info_run(const struct info_options *o)
{
	struct target target = { .socket = o->socket, .exec = o->exec, .connect_fd = -1 };
	const struct device *device = o->device ? device_find(o->device) : NULL;
	int status;

	if (o->device && !device) {
		fprintf(stderr, "vhu-conform: --device: '%s' is not known\n", o->device);
		return CONFORM_USAGE;
	}
	conform_parse_scale(o->timeout_scale, &target.timeout_scale);
	if (target_init(&target) < 0) {
		fprintf(stderr, "vhu-conform: %s\n", target.error);
		return CONFORM_ERROR;
	}
	interrupt_catch(&target);
	status = tell(o, &target, device);
	target_fini(&target);
	interrupt_release();
	return status;
}
