/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/repl/compose.h"
#include "vhu/codec.h"
#include "vhu/format.h"

enum { MAX_WORDS = 512, LINE = 16384 };

/* Words of one line, and the message that they make. */
struct rig {
	char line[LINE];
	char *words[MAX_WORDS];
	size_t n_words;
	struct composed c;
	char error[256];
};

static int compose(struct rig *rig, enum vhu_dir dir, const char *line)
{
	char *rest, *word;

	snprintf(rig->line, sizeof(rig->line), "%s", line);
	rig->n_words = 0;
	for (word = strtok_r(rig->line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(rig->n_words < MAX_WORDS);
		rig->words[rig->n_words++] = word;
	}
	rig->error[0] = '\0';
	return compose_message(dir, rig->words, rig->n_words, &rig->c, rig->error);
}

static struct rig *composed(const char *line)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	if (compose(rig, VHU_FE, line) < 0)
		fail_msg("%s: %s", line, rig->error);
	return rig;
}

static void assert_same(struct rig *rig, const struct vhu_msg *m)
{
	char line[LINE];

	assert_true(vhu_format_line(line, sizeof(line), m) < sizeof(line));
	if (compose(rig, m->dir, line) < 0)
		fail_msg("%s: %s", line, rig->error);
	if (rig->c.msg.id != m->id || rig->c.msg.flags != m->flags || rig->c.msg.size != m->size ||
	    rig->c.payload_len != m->size || memcmp(rig->c.msg.payload, m->payload, m->size) != 0)
		fail_msg("%s: other bytes", line);
}

static void line_when_composed_again_is_the_same_sample(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));
	struct vhu_msg m;

	(void)state;
	assert_non_null(rig);
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		vhu_msg_init_sample(&m, vhu_desc_at(i));
		assert_same(rig, &m);
		m.flags |= VHU_FLAG_NEED_REPLY;
		assert_same(rig, &m);
	}
	free(rig);
}

/* Bytes that differ in every place, but for padding, of which lines do not tell. */
static void fill_fields(uint8_t *bytes, size_t len, const struct vhu_shape *shape, uint32_t *seed)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct vhu_field *f = &shape->fields[i];
		size_t end = f->offset + (size_t)f->n * f->width;

		if (shape->counted && f->offset == shape->count_offset)
			continue;
		for (size_t n = 0; f->style == VHU_STYLE_NEST && n < f->n; n++)
			if (f->offset + (n + 1) * f->width <= len)
				fill_fields(bytes + f->offset + n * f->width, f->width, f->inner,
					    seed);
		if (f->style == VHU_STYLE_PADDING || f->style == VHU_STYLE_NEST)
			continue;
		for (size_t at = f->offset; at < end && at < len; at++) {
			*seed = *seed * 1103515245 + 12345;
			bytes[at] = (uint8_t)(*seed >> 16);
		}
	}
}

static void line_when_composed_again_is_the_same_for_any_values(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));
	struct vhu_msg m;
	uint32_t seed = 1;

	(void)state;
	assert_non_null(rig);
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		for (int round = 0; round < 20; round++) {
			vhu_msg_init_sample(&m, vhu_desc_at(i));
			fill_fields(m.payload, m.size, vhu_desc_at(i)->request, &seed);
			assert_same(rig, &m);
		}
	}
	free(rig);
}

static void line_when_composed_again_is_the_same_for_replies(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));
	struct vhu_msg request, m;
	uint32_t seed = 7;

	(void)state;
	assert_non_null(rig);
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		const struct vhu_desc *desc = vhu_desc_at(i);

		vhu_msg_init(&request, desc->dir, desc->id);
		vhu_msg_init_reply(&m, &request);
		vhu_msg_put_u64(&m, 1);
		if (desc->replied.kind == VHU_REPLY_ALWAYS) {
			m.size = desc->reply->counted ? desc->reply->prefix_len
				 : strcmp(desc->reply->name, "crypto_session") == 0
					 ? desc->reply->min_len
					 : desc->reply->max_len;
			memset(m.payload, 0, sizeof(m.payload));
			fill_fields(m.payload, m.size, desc->reply, &seed);
		}
		assert_same(rig, &m);
	}
	free(rig);
}

static void ids_when_unknown_are_taken_by_number(void **state)
{
	struct rig *rig = composed("77 bytes=00ff");

	(void)state;
	assert_int_equal(rig->c.msg.id, 77);
	assert_int_equal(rig->c.msg.size, 2);
	assert_int_equal(rig->c.msg.payload[1], 0xff);
	assert_same(rig, &(struct vhu_msg){ .dir = VHU_FE, .id = 99, .flags = 1, .size = 0 });
	free(rig);
}

static void masks_when_named_are_these_bits(void **state)
{
	static const char *const lines[] = {
		"SET_FEATURES VERSION_1|PROTOCOL_FEATURES|bit5",
		"SET_FEATURES value=VERSION_1|0x40000020",
		"SET_FEATURES VERSION_1 PROTOCOL_FEATURES bit5",
		"SET_FEATURES value=0x140000020[VERSION_1 and more]",
		"SET_FEATURES 0x140000020",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct rig *rig = composed(lines[i]);

		assert_int_equal(rig->c.msg.size, 8);
		assert_int_equal(vhu_msg_u64(&rig->c.msg), 0x140000020);
		free(rig);
	}
}

static void names_when_in_small_letters_are_the_same(void **state)
{
	struct rig *rig = composed("set_Features version_1|Bit5|PROTOCOL_features need_reply");

	(void)state;
	assert_int_equal(rig->c.msg.id, VHU_FE_SET_FEATURES);
	assert_int_equal(vhu_msg_u64(&rig->c.msg), 0x140000020);
	assert_ptr_equal(compose_find(VHU_BE, "vring_call"),
			 compose_find(VHU_BE, "BACKEND_VRING_CALL"));
	assert_non_null(compose_find(VHU_BE, "backend_vring_call"));
	free(rig);
}

static void ring_when_named_is_in_the_low_byte(void **state)
{
	struct rig *rig = composed("SET_VRING_KICK ring=3 nofd");

	(void)state;
	assert_int_equal(vhu_msg_u64(&rig->c.msg), 0x103);
	free(rig);
	rig = composed("SET_VRING_ERR ring=255");
	free(rig);
}

static void regions_when_given_are_counted(void **state)
{
	struct rig *rig = composed("SET_MEM_TABLE regions[0].size=0x1000 "
				   "regions[1].guest_addr=0x1000 regions[1].size=4096");
	struct vhu_mem_table table;

	(void)state;
	vhu_msg_get(&rig->c.msg, &table, sizeof(table));
	assert_int_equal(rig->c.msg.size, 72);
	assert_int_equal(table.n_regions, 2);
	assert_int_equal(table.regions[1].guest_addr, 0x1000);
	assert_int_equal(table.regions[1].size, 0x1000);
	free(rig);
	rig = composed("SET_MEM_TABLE n_regions=100 regions[0].size=1");
	assert_int_equal(rig->c.msg.size, 40);
	free(rig);
	rig = composed("SET_MEM_TABLE regions[0]={size=1} regions[1]={}");
	assert_int_equal(rig->c.msg.size, 72);
	free(rig);
}

static void counts_when_given_make_room(void **state)
{
	struct rig *rig = composed("GET_CONFIG offset=4 size=6");

	(void)state;
	assert_int_equal(rig->c.msg.size, 18);
	free(rig);
	rig = composed("SET_CONFIG offset=4 bytes=0102");
	assert_int_equal(rig->c.msg.size, 14);
	assert_int_equal(rig->c.msg.payload[4], 2);
	free(rig);
}

static void header_when_it_is_to_be_wrong_is_so(void **state)
{
	struct rig *rig = composed("SET_VRING_NUM version=2 size=100 extra=aabb");

	(void)state;
	assert_int_equal(rig->c.msg.flags, 2);
	assert_int_equal(rig->c.msg.size, 100);
	assert_int_equal(rig->c.payload_len, 10);
	assert_int_equal(rig->c.msg.payload[9], 0xbb);
	free(rig);
	rig = composed("SET_VRING_NUM flags=0xf1 need_reply missing=3");
	assert_int_equal(rig->c.msg.flags, 0xf9);
	assert_int_equal(rig->c.msg.size, 5);
	free(rig);
	/* Fields of that name come first. */
	rig = composed("GET_CONFIG size=1 flags=1 header.size=2 header.flags=3");
	assert_int_equal(rig->c.msg.size, 2);
	assert_int_equal(rig->c.msg.flags, 3);
	assert_int_equal(rig->c.payload_len, 13);
	free(rig);
}

static void words_when_composed_are_known_as_given(void **state)
{
	struct rig *rig = composed("GET_FEATURES reply VERSION_1");

	(void)state;
	assert_int_equal(rig->c.given_flags, VHU_FLAG_REPLY);
	assert_int_equal(rig->c.given[4], 1);
	for (size_t i = 0; i < sizeof(rig->c.given); i++)
		assert_true(i == 4 || rig->c.given[i] == 0);
	free(rig);
}

static void words_when_wrong_are_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "", "expected a name" },
		{ "GET_FEATURE", "GET_FEATURE is no message" },
		{ "BACKEND_VRING_CAL", "is no message" },
		{ "99999999999", "is no message" },
		{ "SET_VRING_NUM hz=1", "hz is no field of it; expected index, num" },
		{ "SET_VRING_NUM hz", "hz is no field of it; expected index, num" },
		{ "SET_MEM_TABLE regions[0].x=1", "regions[0].guest_addr, regions[0].size" },
		{ "SET_MEM_TABLE x=1", "expected n_regions, regions[0].guest_addr" },
		{ "SET_MEM_TABLE regions[8].size=1", "is no field of it" },
		{ "SET_MEM_TABLE regions[.size=1", "is no field of it" },
		{ "SET_MEM_TABLE regions=[{size=1", "expected }" },
		{ "SET_MEM_TABLE regions={size=1}", "expected [" },
		{ "SET_OWNER value=1", "has no fields" },
		{ "SET_VRING_NUM num=x", "expected a number, not x" },
		{ "SET_VRING_NUM num=-1", "expected a number, not -1" },
		{ "SET_VRING_NUM num=", "expected a number, not " },
		{ "SET_VRING_NUM =1", "expected a field before =1" },
		{ "SET_VRING_NUM num=0x100000000", "up to 0xffffffff" },
		{ "SET_VRING_KICK ring=256", "bits of 0xff" },
		{ "SET_FEATURES FLYING", "expected names of bits and |, not FLYING" },
		{ "SET_FEATURES value=VERSION_1|", "expected names of bits" },
		{ "SET_FEATURES value=0x1[VERSION_1", "expected ]" },
		{ "SET_CONFIG bytes=1", "pairs of digits" },
		{ "SET_CONFIG bytes=00(+12)", "pairs of digits" },
		{ "GET_SHARED_OBJECT uuid=00", "expected 16 bytes" },
		{ "SET_OWNER extra=x", "pairs of hexadecimal digits" },
		{ "SET_OWNER missing=1", "has 0 bytes only" },
		{ "SET_OWNER version=4", "up to 0x3" },
	};
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(compose(rig, VHU_FE, rows[i].line), -EINVAL);
		if (!strstr(rig->error, rows[i].why))
			fail_msg("%s: expected %s, not: %s", rows[i].line, rows[i].why, rig->error);
	}
	free(rig);
}

/* All ways to end line, with blanks between them. */
static void assert_cased(const char *line, bool any_case, const char *expected)
{
	char all[2048] = "";
	char *one;

	for (unsigned int i = 0; (one = compose_completion(line, any_case, i)) != NULL; i++) {
		if (i > 0)
			strncat(all, " ", sizeof(all) - strlen(all) - 1);
		strncat(all, one, sizeof(all) - strlen(all) - 1);
		free(one);
	}
	assert_string_equal(all, expected);
}

static void assert_completions(const char *line, const char *expected)
{
	assert_cased(line, false, expected);
}

static void completion_when_small_letters_count_has_capitals(void **state)
{
	(void)state;
	assert_completions("set_vring_e", "");
	assert_cased("set_vring_e", true, "SET_VRING_ERR SET_VRING_ENABLE SET_VRING_ENDIAN");
	assert_cased("set_features version_1|prot", true, "version_1|PROTOCOL_FEATURES");
	assert_completions("set_vring_num i", "index=");
}

static void completion_when_typing_names_all_ways(void **state)
{
	(void)state;
	assert_completions("SET_VRING_E", "SET_VRING_ERR SET_VRING_ENABLE SET_VRING_ENDIAN");
	assert_completions("SET_VRING_NUM ", "index= num= need_reply");
	assert_completions("SET_VRING_NUM index=1 n", "num= need_reply");
	assert_completions("SET_VRING_NUM index=", "");
	assert_completions("SET_VRING_KICK ", "value= ring= nofd fds= need_reply");
	assert_completions("SET_FEATURES VERSION_1|PROT", "VERSION_1|PROTOCOL_FEATURES");
	assert_completions("SET_FEATURES VER", "VERSION_1");
	assert_completions("SET_FEATURES value=VER", "value=VERSION_1");
	assert_completions("SET_MEM_TABLE regions[0].g", "regions[0].guest_addr=");
	assert_completions("SET_MEM_TABLE regions[3].g", "regions[3].guest_addr=");
	assert_completions("GET_FLYING x", "");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(line_when_composed_again_is_the_same_sample),
	UNIT_TEST(line_when_composed_again_is_the_same_for_any_values),
	UNIT_TEST(line_when_composed_again_is_the_same_for_replies),
	UNIT_TEST(ids_when_unknown_are_taken_by_number),
	UNIT_TEST(masks_when_named_are_these_bits),
	UNIT_TEST(names_when_in_small_letters_are_the_same),
	UNIT_TEST(ring_when_named_is_in_the_low_byte),
	UNIT_TEST(regions_when_given_are_counted),
	UNIT_TEST(counts_when_given_make_room),
	UNIT_TEST(header_when_it_is_to_be_wrong_is_so),
	UNIT_TEST(words_when_composed_are_known_as_given),
	UNIT_TEST(words_when_wrong_are_refused_with_a_sentence),
	UNIT_TEST(completion_when_small_letters_count_has_capitals),
	UNIT_TEST(completion_when_typing_names_all_ways),
};

UNIT_MAIN(tests)
