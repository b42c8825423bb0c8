/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "state.h"

enum { KIND = 0x74736574, VERSION = 3 };

/* A number, bytes, two groups of the same tag, something optional at the end. */
static struct state_writer sample(void)
{
	struct state_writer w;

	state_writer_init(&w, KIND, VERSION);
	state_put_number(&w, 1, 42);
	state_put_bytes(&w, 2, "bytes", 5);
	for (uint64_t i = 0; i < 2; i++) {
		state_begin_group(&w, 4);
		state_put_number(&w, 1, i);
		state_begin_bytes(&w, 2);
		state_add_bytes(&w, "in ", 3);
		state_add_bytes(&w, "pieces", 6);
		state_end(&w);
		state_end(&w);
	}
	state_put_number(&w, 9 + STATE_OPTIONAL, 7);
	assert_int_equal(state_finish(&w), 0);
	return w;
}

/* Reads all of it; 0 if it is the sample. */
static int read_sample(struct state_reader *r, const void *buf, size_t len)
{
	const uint8_t *bytes;
	uint64_t n_groups = 0;
	bool same;

	state_reader_init(r, buf, len, KIND, VERSION);
	same = state_take_number(r, 1, "answer", 42) == 42;
	same &= state_take_bytes(r, 2, "bytes", 16, &bytes) == 5 && memcmp(bytes, "bytes", 5) == 0;
	while (state_has(r, 4) && state_enter(r, 4, "group")) {
		same &= state_take_number(r, 1, "index", UINT64_MAX) == n_groups++;
		same &= state_take_bytes(r, 2, "pieces", 16, &bytes) == 9 &&
			memcmp(bytes, "in pieces", 9) == 0;
		state_leave(r);
	}
	same &= n_groups == 2;
	assert_true(same || r->failed);
	return state_end_of(r);
}

/* As long as a state may be read, whatever its header says. */
static void reseal(uint8_t *buf, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len - STATE_CHECK_LEN; i++)
		sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
	sum = htole64(sum);
	memcpy(buf + len - STATE_CHECK_LEN, &sum, sizeof(sum));
}

static void state_when_whole_is_read_back(void **state)
{
	struct state_writer w = sample();
	struct state_reader r;

	(void)state;
	assert_int_equal(read_sample(&r, w.buf, w.len), 0);
	assert_string_equal(r.why, "");
	assert_int_equal(r.version, VERSION);
	state_writer_fini(&w);
}

/* VU-200. A copy of exactly that length, so that a byte read past it is found. */
static void state_when_truncated_is_refused(void **state)
{
	struct state_writer w = sample();

	(void)state;
	for (size_t len = 0; len < w.len; len++) {
		uint8_t *cut = malloc(len ? len : 1);
		struct state_reader r;

		assert_non_null(cut);
		memcpy(cut, w.buf, len);
		assert_int_equal(read_sample(&r, cut, len), -EINVAL);
		assert_true(r.why[0] != '\0');
		free(cut);
	}
	state_writer_fini(&w);
}

static void state_when_any_byte_is_changed_is_refused(void **state)
{
	struct state_writer w = sample();

	(void)state;
	for (size_t i = 0; i < w.len; i++) {
		for (unsigned int x = 1; x < 256; x++) {
			struct state_reader r;

			w.buf[i] ^= (uint8_t)x;
			assert_int_equal(read_sample(&r, w.buf, w.len), -EINVAL);
			w.buf[i] ^= (uint8_t)x;
		}
	}
	state_writer_fini(&w);
}

/* Whoever forges a byte can forge the sum: then it is refused for what it says, or it is sound. */
static void state_when_forged_with_its_checksum_is_never_read_past(void **state)
{
	struct state_writer w = sample();
	uint8_t *forged = malloc(w.len);

	(void)state;
	assert_non_null(forged);
	for (size_t i = 0; i < w.len - STATE_CHECK_LEN; i++) {
		for (unsigned int x = 1; x < 256; x++) {
			struct state_reader r;
			const uint8_t *bytes;

			memcpy(forged, w.buf, w.len);
			forged[i] ^= (uint8_t)x;
			reseal(forged, w.len);
			state_reader_init(&r, forged, w.len, KIND, VERSION);
			state_take_number(&r, 1, "answer", UINT64_MAX);
			state_take_bytes(&r, 2, "bytes", SIZE_MAX, &bytes);
			while (state_has(&r, 4) && state_enter(&r, 4, "group"))
				state_leave(&r);
			assert_true((state_end_of(&r) == 0) == (r.why[0] == '\0'));
		}
	}
	free(forged);
	state_writer_fini(&w);
}

static void kind_and_version_when_others_are_refused(void **state)
{
	struct state_writer w;
	struct state_reader r;

	(void)state;
	state_writer_init(&w, KIND, VERSION + 1);
	assert_int_equal(state_finish(&w), 0);
	state_reader_init(&r, w.buf, w.len, KIND, VERSION);
	assert_true(r.failed);
	assert_non_null(strstr(r.why, "version 4: expected 1 to 3"));
	state_reader_init(&r, w.buf, w.len, KIND + 1, VERSION + 1);
	assert_true(r.failed);
	assert_non_null(strstr(r.why, "another thing"));
	state_writer_fini(&w);
}

static struct state_writer with_stranger(unsigned int tag)
{
	struct state_writer w;

	state_writer_init(&w, KIND, 1);
	state_put_number(&w, 1, 1);
	state_put_bytes(&w, tag, "what a later version knows", 26);
	state_put_number(&w, 3, 3);
	assert_int_equal(state_finish(&w), 0);
	return w;
}

static void field_when_unknown_and_optional_is_passed_over(void **state)
{
	struct state_writer w = with_stranger(2 + STATE_OPTIONAL);
	struct state_reader r;

	(void)state;
	state_reader_init(&r, w.buf, w.len, KIND, 1);
	assert_int_equal(state_take_number(&r, 1, "one", 9), 1);
	assert_int_equal(state_take_number(&r, 3, "three", 9), 3);
	assert_int_equal(state_end_of(&r), 0);
	state_writer_fini(&w);
}

static void field_when_unknown_and_required_is_refused_with_its_place(void **state)
{
	struct state_writer w = with_stranger(2);
	struct state_reader r;

	(void)state;
	state_reader_init(&r, w.buf, w.len, KIND, 1);
	assert_int_equal(state_take_number(&r, 1, "one", 9), 1);
	assert_int_equal(state_take_number(&r, 3, "three", 9), 0);
	assert_string_equal(r.why, "at byte 32: field 2 is required and not known here: "
				   "expected field 3");
	assert_int_equal(state_end_of(&r), -EINVAL);
	state_writer_fini(&w);
}

static void values_when_too_large_or_of_another_type_are_refused(void **state)
{
	struct state_writer w = sample();
	struct state_reader r;
	const uint8_t *bytes;

	(void)state;
	state_reader_init(&r, w.buf, w.len, KIND, VERSION);
	assert_int_equal(state_take_number(&r, 1, "answer", 41), 0);
	assert_string_equal(r.why, "at byte 16: answer is 42: expected 41 at most");
	state_reader_init(&r, w.buf, w.len, KIND, VERSION);
	assert_int_equal(state_take_bytes(&r, 1, "answer", 99, &bytes), 0);
	assert_non_null(strstr(r.why, "expected bytes, found type 1"));
	state_reader_init(&r, w.buf, w.len, KIND, VERSION);
	state_take_number(&r, 1, "answer", 42);
	assert_int_equal(state_take_bytes(&r, 2, "word", 4, &bytes), 0);
	assert_non_null(strstr(r.why, "word has 5 bytes: expected 4 at most"));
	/* What comes after the first failure is silent, and zero. */
	assert_int_equal(state_take_number(&r, 9, "more", 9), 0);
	assert_non_null(strstr(r.why, "word has 5 bytes"));
	state_writer_fini(&w);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(state_when_whole_is_read_back),
	UNIT_TEST(state_when_truncated_is_refused),
	UNIT_TEST(state_when_any_byte_is_changed_is_refused),
	UNIT_TEST(state_when_forged_with_its_checksum_is_never_read_past),
	UNIT_TEST(kind_and_version_when_others_are_refused),
	UNIT_TEST(field_when_unknown_and_optional_is_passed_over),
	UNIT_TEST(field_when_unknown_and_required_is_refused_with_its_place),
	UNIT_TEST(values_when_too_large_or_of_another_type_are_refused),
};

UNIT_MAIN(tests)
