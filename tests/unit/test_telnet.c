/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "backends/telnet.h"

#define IAC "\xff"
#define DONT "\xfe"
#define DO "\xfd"
#define WONT "\xfc"
#define WILL "\xfb"
#define SB "\xfa"
#define SE "\xf0"
#define BINARY "\x00"
#define ECHO "\x01"
#define SGA "\x03"
#define NAWS "\x1f"

/* A text without its NUL, which may have others in it. */
#define BYTES(s) s, sizeof(s) - 1

enum { CAP = 128 * 1024 };

struct side {
	uint8_t bytes[CAP];
	size_t len;
};

/* The guest on one side, the wire on the other. */
struct rig {
	struct telnet *t;
	struct side guest, wire;
	unsigned int n_resized, n_failed;
	uint16_t cols, rows;
};

static struct rig rig;

static void add(struct side *s, const void *data, size_t len)
{
	assert_true(len <= CAP - s->len);
	memcpy(s->bytes + s->len, data, len);
	s->len += len;
}

static void on_input(void *arg, const void *data, size_t len)
{
	add(&((struct rig *)arg)->guest, data, len);
}

static void on_send(void *arg, const void *data, size_t len)
{
	add(&((struct rig *)arg)->wire, data, len);
}

static void on_resized(void *arg, uint16_t cols, uint16_t rows)
{
	struct rig *r = arg;

	r->n_resized++;
	r->cols = cols;
	r->rows = rows;
}

static void on_failed(void *arg, const char *why)
{
	assert_true(strlen(why) > 0);
	((struct rig *)arg)->n_failed++;
}

static const struct telnet_ops ops = {
	.input = on_input,
	.send = on_send,
	.resized = on_resized,
	.failed = on_failed,
};

/* What came since the last time is this. */
static void expect(struct side *s, const void *data, size_t len)
{
	assert_int_equal(s->len, len);
	assert_memory_equal(s->bytes, data, len);
	s->len = 0;
}

static int setup(void **state)
{
	if (unit_setup(state) != 0)
		return -1;
	rig.n_resized = rig.n_failed = 0;
	rig.guest.len = rig.wire.len = 0;
	if (telnet_new(&ops, &rig, &rig.t) != 0)
		return -1;
	return 0;
}

static int setup_quiet(void **state)
{
	int err = setup(state);

	rig.wire.len = 0; /* the opening */
	return err;
}

static int teardown(void **state)
{
	telnet_end(rig.t);
	return unit_teardown(state);
}

static void receive(const void *data, size_t len)
{
	telnet_receive(rig.t, data, len);
}

static void opening_asks_for_characters_bytes_and_the_size(void **state)
{
	(void)state;
	expect(&rig.wire, BYTES(IAC WILL ECHO IAC WILL SGA IAC DO SGA IAC WILL BINARY IAC DO BINARY
					IAC DO NAWS));
}

static void agreement_is_not_answered(void **state)
{
	(void)state;
	receive(BYTES(
		IAC DO ECHO IAC DO SGA IAC WILL SGA IAC DO BINARY IAC WILL BINARY IAC WILL NAWS));
	assert_int_equal(rig.wire.len, 0);
	assert_int_equal(rig.guest.len, 0);
}

static void unknown_options_are_refused(void **state)
{
	(void)state;
	receive(BYTES(IAC WILL "\x18" IAC DO "\x06" IAC WILL "\xff"));
	expect(&rig.wire, BYTES(IAC DONT "\x18" IAC WONT "\x06" IAC DONT "\xff"));
	/* 255 was the option, not the beginning of a command. */
	receive(BYTES("x"));
	expect(&rig.guest, BYTES("x"));
}

static void end_of_line_without_binary_is_one_byte(void **state)
{
	(void)state;
	receive(BYTES("a\r\nb\r\0c\rd\ne\r\r\n\n"));
	expect(&rig.guest, BYTES("a\rb\rc\rd\ne\r\r\n"));
}

static void end_of_line_cut_in_two_is_one_byte(void **state)
{
	(void)state;
	receive(BYTES("a\r"));
	expect(&rig.guest, BYTES("a\r"));
	receive(BYTES("\n"));
	receive(BYTES("\r"));
	receive(BYTES("\0b"));
	expect(&rig.guest, BYTES("\rb"));
}

/* VC-069 */
static void input_with_binary_is_unchanged(void **state)
{
	uint8_t in[512], all[256];
	size_t n = 0;

	(void)state;
	receive(BYTES(IAC WILL BINARY));
	for (unsigned int i = 0; i < 256; i++) {
		all[i] = (uint8_t)(255 - i);
		in[n++] = all[i];
		if (all[i] == 0xff)
			in[n++] = 0xff;
	}
	receive(in, n);
	expect(&rig.guest, all, sizeof(all));
	receive(BYTES("\r\n\r\0"));
	expect(&rig.guest, BYTES("\r\n\r\0"));
	receive(BYTES(IAC WONT BINARY "\r\n\r\0"));
	expect(&rig.guest, BYTES("\r\r"));
}

static void long_text_without_binary_is_whole(void **state)
{
	static uint8_t text[3000];

	(void)state;
	memset(text, 't', sizeof(text));
	receive(text, sizeof(text));
	expect(&rig.guest, text, sizeof(text));
}

static void commands_amid_text_leave_it_whole(void **state)
{
	static const char stream[] = "ab" IAC "\xf1" /* NOP */ "cd" IAC SB NAWS
				     "\x00\x50\x00\x18" IAC SE "ef" IAC WILL "\x20"
				     "gh" IAC IAC "ij";

	(void)state;
	receive(BYTES(stream));
	expect(&rig.guest, BYTES("abcdefgh\xffij"));
}

/* Bytes, sizes and answers, cut everywhere. */
static void stream_cut_anywhere_means_the_same(void **state)
{
	static const char stream[] = "a\r\n" IAC WILL BINARY "\r\n" IAC "\xf3" IAC IAC IAC SB NAWS
				     "\x01" IAC IAC "\x00\x18" IAC SE IAC SB "\x18"
				     "junk" IAC SE IAC WILL "\x20"
				     "z";

	(void)state;
	for (size_t cut = 0; cut <= sizeof(stream) - 1; cut++) {
		if (cut > 0) {
			telnet_end(rig.t);
			assert_int_equal(telnet_new(&ops, &rig, &rig.t), 0);
			rig.wire.len = 0;
		}
		rig.n_resized = 0;
		receive(stream, cut);
		receive(stream + cut, sizeof(stream) - 1 - cut);
		expect(&rig.guest, BYTES("a\r\r\n\x0f\xffz"));
		expect(&rig.wire, BYTES(IAC DONT "\x20"));
		assert_int_equal(rig.n_resized, 1);
		assert_int_equal(rig.cols, 0x1ff);
		assert_int_equal(rig.rows, 24);
	}
}

static void break_is_the_byte_of_magic_sysrq(void **state)
{
	(void)state;
	receive(BYTES("x" IAC "\xf3"
		      "h"));
	expect(&rig.guest, BYTES("x\x0fh"));
}

static void keys_with_commands_become_control_characters(void **state)
{
	(void)state;
	receive(BYTES(IAC "\xf4" IAC "\xee" IAC "\xed" IAC "\xec" IAC "\xf7" IAC "\xf8"));
	expect(&rig.guest, BYTES("\x03\x1c\x1a\x04\x7f\x15"));
}

static void are_you_there_is_answered_once_a_call(void **state)
{
	(void)state;
	receive(BYTES(IAC "\xf6" IAC "\xf6" IAC "\xf6"));
	expect(&rig.wire, BYTES("\r\n[yes]\r\n"));
	receive(BYTES(IAC "\xf6"));
	expect(&rig.wire, BYTES("\r\n[yes]\r\n"));
	assert_int_equal(rig.guest.len, 0);
}

static void window_size_is_told_each_time(void **state)
{
	(void)state;
	receive(BYTES(IAC WILL NAWS IAC SB NAWS "\x00\x50\x00\x18" IAC SE));
	assert_int_equal(rig.n_resized, 1);
	assert_int_equal(rig.cols, 80);
	assert_int_equal(rig.rows, 24);
	receive(BYTES(IAC SB NAWS "\x00\x84\x00\x2b" IAC SE));
	assert_int_equal(rig.n_resized, 2);
	assert_int_equal(rig.cols, 132);
	assert_int_equal(rig.rows, 43);
}

static void window_size_of_the_wrong_length_is_ignored(void **state)
{
	(void)state;
	receive(BYTES(IAC SB NAWS "\x00\x50\x00" IAC SE));
	receive(BYTES(IAC SB NAWS "\x00\x50\x00\x18\x00" IAC SE));
	receive(BYTES(IAC SB NAWS IAC SE "x"));
	assert_int_equal(rig.n_resized, 0);
	expect(&rig.guest, BYTES("x"));
}

static void subnegotiation_without_an_end_is_ended_by_a_command(void **state)
{
	(void)state;
	receive(BYTES(IAC SB NAWS "\x00\x50" IAC "\xf3"
				  "x"));
	expect(&rig.guest, BYTES("\x0fx"));
	assert_int_equal(rig.n_resized, 0);
}

/* COMPRESS2: libtelnet would begin to inflate what follows. */
static void compression_that_nobody_agreed_to_does_not_begin(void **state)
{
	(void)state;
	receive(BYTES(IAC SB "\x56" IAC SE "plain"));
	expect(&rig.guest, BYTES("plain"));
}

static void endless_subnegotiation_fails_once(void **state)
{
	static const uint8_t junk[1000];

	(void)state;
	receive(BYTES(IAC SB NAWS));
	for (size_t n = 0; n + sizeof(junk) <= TELNET_SUBNEGOTIATION_MAX; n += sizeof(junk))
		receive(junk, sizeof(junk));
	assert_int_equal(rig.n_failed, 0);
	for (unsigned int i = 0; i < 3; i++)
		receive(junk, sizeof(junk));
	assert_int_equal(rig.n_failed, 1);
	receive(BYTES(IAC SE "x"));
	assert_int_equal(rig.guest.len, 0);
}

/* Every option, asked for and refused over and over: never more out than in. */
static void endless_negotiation_is_answered_byte_for_byte_at_most(void **state)
{
	static const uint8_t commands[] = { 0xfb, 0xfc, 0xfd, 0xfe };
	unsigned int seed = 1;

	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		uint8_t in[3 * 1000];

		for (size_t i = 0; i < sizeof(in); i += 3) {
			seed = seed * 1103515245 + 12345;
			in[i] = 0xff;
			in[i + 1] = commands[seed >> 16 & 3];
			in[i + 2] = (uint8_t)(seed >> 20);
		}
		rig.wire.len = 0;
		receive(in, sizeof(in));
		assert_true(rig.wire.len > 0 && rig.wire.len <= sizeof(in));
	}
	assert_int_equal(rig.guest.len, 0);
	assert_int_equal(rig.n_failed, 0);
}

static void any_bytes_make_no_more_than_was_promised(void **state)
{
	unsigned int seed = 7;

	(void)state;
	for (unsigned int round = 0; round < 3000 && rig.n_failed == 0; round++) {
		uint8_t in[64];
		size_t n = 1 + round % sizeof(in);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			/* Mostly what has a meaning. */
			in[i] = seed & 0x10000 ? 0xff : (uint8_t)(0xec + (seed >> 20) % 0x14);
		}
		rig.wire.len = rig.guest.len = 0;
		receive(in, n);
		assert_true(rig.wire.len <= n + TELNET_ANSWER_MAX);
		assert_true(rig.guest.len <= n);
	}
}

static void output_doubles_iac_only_with_binary(void **state)
{
	uint8_t all[256], want[257];
	size_t n = 0;

	(void)state;
	receive(BYTES(IAC DO BINARY));
	for (unsigned int i = 0; i < 256; i++) {
		all[i] = (uint8_t)(255 - i);
		want[n++] = all[i];
		if (all[i] == 0xff)
			want[n++] = 0xff;
	}
	telnet_output(rig.t, all, sizeof(all));
	expect(&rig.wire, want, n);
	telnet_output(rig.t, BYTES("a\rb\r\n\r"));
	expect(&rig.wire, BYTES("a\rb\r\n\r"));
}

static void bare_cr_without_binary_is_followed_by_nul(void **state)
{
	(void)state;
	telnet_output(rig.t, BYTES("50%\r51%\r\ndone\r\r\n\xff\r"));
	expect(&rig.wire, BYTES("50%\r\00051%\r\ndone\r\0\r\n\xff\xff\r\0"));
	telnet_output(rig.t, BYTES(""));
	assert_int_equal(rig.wire.len, 0);
}

static void output_is_at_most_twice_as_long(void **state)
{
	static uint8_t worst[2][1000];

	(void)state;
	memset(worst[0], 0xff, sizeof(worst[0]));
	memset(worst[1], '\r', sizeof(worst[1]));
	for (size_t i = 0; i < ARRAY_SIZE(worst); i++) {
		telnet_output(rig.t, worst[i], sizeof(worst[i]));
		assert_int_equal(rig.wire.len, 2 * sizeof(worst[i]));
		rig.wire.len = 0;
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST_WITH(opening_asks_for_characters_bytes_and_the_size, setup, teardown),
#define QUIET(f) UNIT_TEST_WITH(f, setup_quiet, teardown)
	QUIET(agreement_is_not_answered),
	QUIET(unknown_options_are_refused),
	QUIET(end_of_line_without_binary_is_one_byte),
	QUIET(end_of_line_cut_in_two_is_one_byte),
	QUIET(input_with_binary_is_unchanged),
	QUIET(long_text_without_binary_is_whole),
	QUIET(commands_amid_text_leave_it_whole),
	QUIET(stream_cut_anywhere_means_the_same),
	QUIET(break_is_the_byte_of_magic_sysrq),
	QUIET(keys_with_commands_become_control_characters),
	QUIET(are_you_there_is_answered_once_a_call),
	QUIET(window_size_is_told_each_time),
	QUIET(window_size_of_the_wrong_length_is_ignored),
	QUIET(subnegotiation_without_an_end_is_ended_by_a_command),
	QUIET(compression_that_nobody_agreed_to_does_not_begin),
	QUIET(endless_subnegotiation_fails_once),
	QUIET(endless_negotiation_is_answered_byte_for_byte_at_most),
	QUIET(any_bytes_make_no_more_than_was_promised),
	QUIET(output_doubles_iac_only_with_binary),
	QUIET(bare_cr_without_binary_is_followed_by_nul),
	QUIET(output_is_at_most_twice_as_long),
};

static void without_libtelnet_there_is_no_telnet(void **state)
{
	(void)state;
	assert_int_equal(telnet_new(&ops, &rig, &rig.t), -EOPNOTSUPP);
	telnet_end(NULL);
}

static const struct CMUnitTest tests_without[] = {
	UNIT_TEST(without_libtelnet_there_is_no_telnet),
};

int main(void)
{
	unit_start_alarm();
	if (!telnet_available())
		return cmocka_run_group_tests(tests_without, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
