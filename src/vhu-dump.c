/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Prints the description of the protocol for other uses: a section of the
 * manual, JSON, a page of HTML, a dictionary and seeds for fuzzers. Not installed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "vhu-dump.h"
#include "vhu/codec.h"
#include "vhu/proto.h"
#include "vhu/rules.h"

static void man_row(const struct vhu_desc *d)
{
	char buf[DUMP_WORDS];

	printf(".TP\n.B %" PRIu32 " %s\n", d->id, d->name);
	printf("%c%s.\n", d->text[0] >= 'a' ? d->text[0] - 'a' + 'A' : d->text[0], d->text + 1);
	if (d->gate.kind != VHU_GATE_NONE)
		printf("Needs %s.\n", vhu_words_gate(&d->gate, buf));
	if (d->request->max_len > 0)
		printf("Payload: %s.\n", d->request->name);
	if (d->fds.kind != VHU_FD_NONE)
		printf("Descriptors: %s.\n", vhu_words_fds(&d->fds, buf));
	if (d->replied.kind != VHU_REPLY_ACK)
		printf("Reply: %s (%s).\n",
		       d->reply->max_len > 0 ? d->reply->name : "without payload",
		       vhu_words_replied(&d->replied, buf));
	if (d->reply_fds.kind != VHU_FD_NONE)
		printf("Descriptors in the reply: %s.\n", vhu_words_fds(&d->reply_fds, buf));
	if (d->quiesce != VHU_QUIESCE_NONE)
		printf("Rings silenced: %s.\n", vhu_words_quiesce(d->quiesce));
}

static void man_rows(const char *title, enum vhu_dir dir)
{
	const struct vhu_desc *d;

	printf(".SS %s\n", title);
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++) {
		if (d->dir == dir)
			man_row(d);
	}
}

static void man_features(void)
{
	printf(".SS Protocol features\n");
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!vhu_protocol_feature_name(bit))
			continue;
		printf(".TP\n.B %u %s\n", bit, vhu_protocol_feature_name(bit));
		printf("With it %s.\n", vhu_protocol_feature_text(bit));
		for (unsigned int other = 0; other < 64; other++) {
			if (vhu_protocol_feature_needs(bit) & BIT(other))
				printf("Needs %s.\n", vhu_protocol_feature_name(other));
		}
	}
}

static void man_rules(void)
{
	printf(".SS Rules\n");
	for (unsigned int i = VHU_OK + 1; i < VHU_N_RULES; i++) {
		const enum vhu_rule rule = (enum vhu_rule)i;

		printf(".TP\n.B %s\n(%s) It is expected that %s.\n", vhu_rule_name(rule),
		       vhu_words_severity(vhu_rule_severity(rule)), vhu_rule_text(rule));
	}
}

static void man_field(const struct vhu_field *f)
{
	char where[DUMP_WORDS];

	printf(".TP\n.B %s\n%s: %s.\n", f->name, dump_words_bytes(f, where), f->text);
}

static void man_shapes(void)
{
	const struct vhu_shape *shape;

	printf(".SS Payloads\n");
	for (size_t i = 0; (shape = dump_shape_at(i)) != NULL; i++) {
		printf(".TP\n.B %s\n", shape->name);
		if (shape->min_len < shape->max_len)
			printf("From %" PRIu32 " to %" PRIu32 " bytes.\n", shape->min_len,
			       shape->max_len);
		else
			printf("Always %" PRIu32 " bytes.\n", shape->max_len);
		printf(".RS\n");
		for (size_t k = 0; k < shape->n_fields; k++)
			man_field(&shape->fields[k]);
		printf(".RE\n");
	}
}

static int dump_man(const char *arg)
{
	(void)arg;
	printf(".\\\" Made by vhu-dump from the lists in src/vhu; edit those.\n");
	man_rows("Requests of the front-end", VHU_FE);
	man_rows("Requests of the back-end", VHU_BE);
	man_shapes();
	man_features();
	man_rules();
	return 0;
}

/* The texts of the lists hold nothing that JSON would have to escape. */
static void json_shape(const char *key, const struct vhu_shape *shape)
{
	const char *comma = "";

	printf("\"%s\":{\"shape\":\"%s\",\"min\":%" PRIu32 ",\"max\":%" PRIu32 ",\"fields\":[", key,
	       shape->name, shape->min_len, shape->max_len);
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];

		printf("%s{\"name\":\"%s\",\"offset\":%u,\"width\":%u,\"n\":%u,\"text\":\"%s\"}",
		       comma, f->name, f->offset, f->width, f->n, f->text);
		comma = ",";
	}
	printf("]}");
}

static void json_row(const struct vhu_desc *d)
{
	char buf[DUMP_WORDS];

	printf("{\"dir\":\"%s\",\"id\":%" PRIu32 ",\"name\":\"%s\",",
	       d->dir == VHU_FE ? "front-end" : "back-end", d->id, d->name);
	json_shape("request", d->request);
	printf(",");
	json_shape("reply", d->reply);
	printf(",\"fds\":\"%s\"", vhu_words_fds(&d->fds, buf));
	printf(",\"reply_fds\":\"%s\"", vhu_words_fds(&d->reply_fds, buf));
	printf(",\"replied\":\"%s\"", vhu_words_replied(&d->replied, buf));
	printf(",\"gate\":\"%s\"", vhu_words_gate(&d->gate, buf));
	printf(",\"quiesce\":\"%s\"", vhu_words_quiesce(d->quiesce));
	printf(",\"text\":\"%s\",\"ref\":\"%s\"}", d->text, d->ref);
}

static int dump_json(const char *arg)
{
	const struct vhu_desc *d;

	(void)arg;
	printf("{\"messages\":[");
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++) {
		printf("%s\n", i > 0 ? "," : "");
		json_row(d);
	}
	printf("],\n\"rules\":[");
	for (unsigned int i = VHU_OK + 1; i < VHU_N_RULES; i++) {
		const enum vhu_rule rule = (enum vhu_rule)i;

		printf("%s\n{\"name\":\"%s\",\"severity\":%d,\"text\":\"%s\",\"ref\":\"%s\"}",
		       i > VHU_OK + 1 ? "," : "", vhu_rule_name(rule), vhu_rule_severity(rule),
		       vhu_rule_text(rule), vhu_rule_ref(rule));
	}
	printf("]}\n");
	return 0;
}

/* One line of a libFuzzer dictionary: the header of a request as it travels. */
static int dump_dict(const char *arg)
{
	static struct vhu_msg msg;
	const struct vhu_desc *d;
	uint8_t hdr[VHU_HDR_LEN];

	(void)arg;
	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL; i++) {
		vhu_msg_init_sample(&msg, d);
		vhu_header_pack(&msg, hdr);
		printf("%s=\"", d->name);
		for (size_t b = 0; b < sizeof(hdr); b++)
			printf("\\x%02x", hdr[b]);
		printf("\"\n");
	}
	return 0;
}

static int write_file(const char *folder, const char *name, const void *bytes, size_t len)
{
	FILE *file;
	char *path;
	int r = 0;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return -ENOMEM;
	file = fopen(path, "wb");
	free(path);
	if (!file)
		return -errno;
	if (fwrite(bytes, 1, len, file) != len)
		r = -EIO;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

/*
 * One file per row: a byte of control, as tests/fuzz/fuzz_rules.c describes it,
 * before the frame, in a session where everything is negotiated.
 */
static int dump_seeds(const char *folder)
{
	static uint8_t bytes[2 + 1 + VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	static struct vhu_msg msg;
	const struct vhu_desc *d;
	int r = 0;

	for (size_t i = 0; (d = vhu_desc_at(i)) != NULL && r == 0; i++) {
		unsigned int n_fds = vhu_msg_init_sample(&msg, d);
		size_t len;

		bytes[0] = 0x1; /* everything is negotiated */
		bytes[1] = 4;	/* rings */
		bytes[2] = (uint8_t)(n_fds | (d->dir == VHU_BE ? 0x10 : 0));
		len = 3 + vhu_msg_pack(&msg, bytes + 3);
		r = write_file(folder, d->name, bytes, len);
	}
	return r;
}

static const struct dump {
	const char *name;
	int (*run)(const char *arg);
	const char *arg; /* what the argument is called, or NULL for none */
} dumps[] = {
	{ "man", dump_man, NULL },   { "json", dump_json, NULL },	{ "html", dump_html, NULL },
	{ "dict", dump_dict, NULL }, { "seeds", dump_seeds, "FOLDER" },
};

static int usage(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++)
		fprintf(stderr, "usage: vhu-dump %s %s\n", dumps[i].name,
			dumps[i].arg ? dumps[i].arg : "");
	return 2;
}

int main(int argc, char **argv)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(dumps) && argc > 1; i++) {
		if (strcmp(argv[1], dumps[i].name) != 0)
			continue;
		if (argc != (dumps[i].arg ? 3 : 2))
			return usage();
		r = dumps[i].run(argv[2]);
		if (r == 0 && fflush(stdout) != 0)
			r = -errno;
		if (r < 0)
			fprintf(stderr, "vhu-dump: %s\n", strerror(-r));
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	return usage();
}
