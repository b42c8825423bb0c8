/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "backends/sanitize.h"
#include "harmless.h"

#define ESC "\x1b"
#define CSI ESC "["
#define OSC ESC "]"
#define DCS ESC "P"
#define ST ESC "\\"
#define BEL "\a"
#define C1_CSI "\xc2\x9b"
#define C1_OSC "\xc2\x9d"
#define C1_DCS "\xc2\x90"
#define C1_ST "\xc2\x9c"

#define BYTES(s) s, sizeof(s) - 1

enum { CAP = 4096, N_RANDOM = 4000, RANDOM_MAX = 200 };

/* All of in, the first cut bytes by themselves and then piece at a time. */
static size_t filter(enum sanitize_level level, const char *in, size_t len, size_t cut,
		     size_t piece, char *out)
{
	struct sanitize s = { .level = (uint8_t)level };
	size_t n = sanitize_filter(&s, in, cut, out);

	for (size_t at = cut; at < len; at += piece) {
		size_t take = min_size(piece, len - at);

		n += sanitize_filter(&s, in + at, take, out + n);
		assert_true(sanitize_is_valid(&s));
		assert_true(n + s.n_held <= at + take || s.dropped);
	}
	return n;
}

static void expect(enum sanitize_level level, const char *in, size_t len, const char *want,
		   size_t want_len)
{
	char out[CAP];
	size_t n = filter(level, in, len, 0, len, out);

	assert_true(len <= CAP);
	if (n != want_len || memcmp(out, want, n) != 0)
		print_error("of %.*s\n", (int)len, in);
	assert_int_equal(n, want_len);
	assert_memory_equal(out, want, n);
	for (size_t cut = 0; cut <= len; cut++) {
		assert_int_equal(filter(level, in, len, cut, 1, out), want_len);
		assert_memory_equal(out, want, want_len);
	}
}

/* "a", the sequence, "b": of which the sequence is gone, or not. */
static void expect_around(enum sanitize_level level, const char *sequence, bool gone)
{
	char in[CAP];
	int len = snprintf(in, sizeof(in), "a%sb", sequence);

	expect(level, in, (size_t)len, gone ? "ab" : in, gone ? 2 : (size_t)len);
}

static const char *const harmless[] = {
	CSI "m",    CSI "0m",	  CSI "1;31m",	CSI "38;2;1;2;3;48;5;200;4:3;58:2::9:8:7m",
	CSI "H",    CSI "12;40H", CSI "5A",	CSI "B",
	CSI "C",    CSI "D",	  CSI "E",	CSI "F",
	CSI "9G",   CSI "J",	  CSI "2J",	CSI "1K",
	CSI "3L",   CSI "3M",	  CSI "2P",	CSI "4@",
	CSI "7X",   CSI "S",	  CSI "2T",	CSI "5d",
	CSI "5`",   CSI "3;3f",	  CSI "2;20r",	CSI "s",
	CSI "u",    CSI "g",	  CSI "4b",	CSI "I",
	CSI "2Z",   CSI "4h",	  CSI "4l",	CSI "?J",
	CSI "?2K",  CSI "!p",	  CSI "2 q",	CSI "?25h",
	CSI "?25l", CSI "?1049h", CSI "?1049l", CSI "?12;25h",
	CSI "?7l",  CSI "?1h",	  CSI "?2004h", CSI "?2026h",
	ESC "7",    ESC "8",	  ESC "M",	ESC "D",
	ESC "E",    ESC "H",	  ESC "=",	ESC ">",
	ESC "(0",   ESC "(B",	  ESC ")0",	ESC "#8",
};

static const char *const harmful[] = {
	/* questions */
	"\x05",
	CSI "5n",
	CSI "6n",
	CSI "?6n",
	CSI "c",
	CSI "0c",
	CSI ">c",
	CSI "=c",
	CSI "x",
	ESC "Z",
	CSI "?1$p",
	CSI "4$p",
	CSI ">q",
	CSI "?u",
	CSI "1;1;1;1;1;1*y",
	CSI "1$w",
	CSI "1$u",
	CSI "&u",
	CSI "?1;1;0S",
	CSI "?4m",
	CSI "#R",
	CSI "#S",
	CSI "1'|",
	CSI "\"v",
	DCS "$qm" ST,
	DCS "+q544e" ST,
	ESC "_Gi=1,a=q;AAAA" ST,
	/* titles, the clipboard, links, colours, folders, notes */
	OSC "0;title" BEL,
	OSC "2;title" ST,
	OSC "52;c;QUJD" BEL,
	OSC "52;c;?" ST,
	OSC "8;;http://a/" ST,
	OSC "4;1;?" BEL,
	OSC "10;#123456" BEL,
	OSC "104" BEL,
	OSC "7;f" BEL,
	OSC "9;note" BEL,
	OSC "777;notify;a;b" ST,
	OSC "1337;File=inline=1:AAAA" BEL,
	ESC "ktitle" ST,
	OSC "P1aabbcc",
	OSC "R",
	/* the window, its titles, what has scrolled away */
	CSI "t",
	CSI "8;50;100t",
	CSI "14t",
	CSI "21t",
	CSI "22;0t",
	CSI "23;0t",
	CSI ">1t",
	CSI "?3h",
	CSI "3J",
	ESC "c",
	/* printers, keys, lights, locks, tests, fonts */
	CSI "i",
	CSI "4i",
	CSI "5i",
	CSI "?5i",
	DCS "0;1|17/48" ST,
	CSI ">4;2m",
	CSI ">1u",
	CSI "=1u",
	CSI "<u",
	CSI "2h",
	CSI "12l",
	CSI "20h",
	CSI "?8l",
	CSI "1q",
	CSI "0q",
	CSI "4;1y",
	ESC "l",
	ESC "m",
	CSI "12]",
	CSI "9;0]",
	/* mouse, focus, saved modes; modes that end what is known here */
	CSI "?9h",
	CSI "?1000h",
	CSI "?1002;1006h",
	CSI "?1004h",
	CSI "?25;1000h",
	CSI "?1s",
	CSI "?1r",
	CSI "1;1;1;1;1T",
	CSI "'z",
	CSI "?2l",
	CSI "62\"p",
	ESC " F",
	ESC " G",
	ESC "%@",
	ESC "%G",
	ESC "$B",
	ESC "( @",
	ESC "n",
	ESC "|",
	/* strings of all kinds, and 8-bit controls */
	DCS "q#0~-" ST,
	ESC "_x" ST,
	ESC "^x" ST,
	ESC "Xx" ST,
	ST,
	C1_CSI "31m",
	C1_CSI "6n",
	C1_OSC "0;t" C1_ST,
	C1_OSC "0;t" BEL,
	C1_DCS "$qm" C1_ST,
	"\xc2\x98x" ST,
	"\xc2\x9a",
	C1_ST,
	"\xc2\x85",
	"\x9b",
	"\x90",
	"\x85",
	/* what has no form */
	CSI "1?25h",
	CSI ";1<m",
	CSI "1 1q",
	CSI "123456A",
	CSI "=3h",
	CSI "?c",
	CSI "  q",
	CSI "1!p",
	"\x7f",
	"\x11",
	"\x13",
	"\x18",
	"\x1a",
	"\x02",
};

static void harmless_sequences_when_safe_pass_as_they_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		expect_around(SANITIZE_SAFE, harmless[i], false);
}

static void harmful_sequences_when_safe_are_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
		expect_around(SANITIZE_SAFE, harmful[i], true);
}

static void every_sequence_when_plain_is_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		expect_around(SANITIZE_PLAIN, harmless[i], true);
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
		expect_around(SANITIZE_PLAIN, harmful[i], true);
	expect(SANITIZE_PLAIN, BYTES("\a\b\t\n\r\v\f\x0e\x0f"), BYTES("\a\b\t\n\r"));
}

static void everything_when_off_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
		expect_around(SANITIZE_OFF, harmful[i], false);
}

static void text_when_filtered_passes_byte_for_byte(void **state)
{
	static const char text[] = "plain, \xc3\xa4\xc3\x9b\xc3\x9f, \xe2\x82\xac \xe4\xbd\xa0, "
				   "\xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80\r\n"
				   "\ttab \xc2\xa0 and \xe4\xf6\xfc of Latin-1\b\a";

	(void)state;
	expect(SANITIZE_SAFE, BYTES(text), BYTES(text));
	expect(SANITIZE_PLAIN, BYTES(text), BYTES(text));
}

static void overlong_and_broken_characters_when_met_lose_what_could_be_a_control(void **state)
{
	(void)state;
	/* ESC and U+009B in forms that are too long, a surrogate, half a character */
	expect(SANITIZE_SAFE, BYTES("\xc0\x9b[6n"), BYTES("\xc0[6n"));
	expect(SANITIZE_SAFE,
	       BYTES("\xe0\x82\x9b"
		     "6n"),
	       BYTES("\xe0"
		     "6n"));
	expect(SANITIZE_SAFE, BYTES("\xf0\x80\x82\x9bx"), BYTES("\xf0x"));
	expect(SANITIZE_SAFE, BYTES("\xed\xa0\x80x"), BYTES("\xed\xa0x"));
	expect(SANITIZE_SAFE, BYTES("\xe2\x82x"), BYTES("\xe2x"));
	expect(SANITIZE_SAFE,
	       BYTES("\xc2" CSI "5n"
		     "\x9b"
		     "5n"),
	       BYTES("\xc2"
		     "5n"));
	expect(SANITIZE_SAFE,
	       BYTES("\xc2\xc2\x9b"
		     "5n"
		     "x"),
	       BYTES("\xc2x"));
}

static void sequences_when_broken_off_begin_anew_as_in_a_terminal(void **state)
{
	(void)state;
	expect(SANITIZE_SAFE, BYTES("a" CSI "3\n1mb"), BYTES("a\n" CSI "31mb"));
	expect(SANITIZE_SAFE,
	       BYTES("a" CSI "3\x05\x7f"
		     "1mb"),
	       BYTES("a" CSI "31mb"));
	expect(SANITIZE_SAFE, BYTES("a" CSI "3" CSI "1mb"), BYTES("a" CSI "1mb"));
	expect(SANITIZE_SAFE,
	       BYTES("a" CSI "3\x18"
		     "1mb"),
	       BYTES("a1mb"));
	expect(SANITIZE_SAFE, BYTES("a" ESC ESC "]0;t" BEL "cb"), BYTES("acb"));
	expect(SANITIZE_SAFE, BYTES("a" ESC OSC "0;t" BEL "[6nb"), BYTES("a[6nb"));
	expect(SANITIZE_SAFE, BYTES("a" OSC "0;t" CSI "31mb"), BYTES("a" CSI "31mb"));
	expect(SANITIZE_SAFE, BYTES("a" OSC "0;\xc3\x9cx" BEL "b"), BYTES("ab"));
	expect(SANITIZE_SAFE, BYTES("a" OSC "PZb" BEL "c"), BYTES("ac"));
	/* tmux and screen pass strings on within strings */
	expect(SANITIZE_SAFE, BYTES("a" DCS "tmux;" ESC OSC "52;c;QQ" BEL ST "b"), BYTES("ab"));
}

static void sequence_when_too_long_becomes_text(void **state)
{
	char in[2 * SANITIZE_HELD_MAX + 8], out[sizeof(in)];
	size_t n;

	(void)state;
	memcpy(in, "a" CSI, 3);
	memset(in + 3, '1', sizeof(in) - 4);
	in[sizeof(in) - 1] = 'n';
	n = filter(SANITIZE_SAFE, in, sizeof(in), 0, 7, out);
	assert_int_equal(n, sizeof(in) - SANITIZE_HELD_MAX);
	assert_null(memchr(out, '\x1b', n));
}

static void string_when_it_has_no_end_is_dropped_up_to_a_limit(void **state)
{
	struct sanitize s = { .level = SANITIZE_SAFE };
	char in[1024], out[sizeof(in)];
	size_t n, total = 0;

	(void)state;
	assert_int_equal(sanitize_filter(&s, BYTES(DCS), out), 0);
	memset(in, 'x', sizeof(in));
	while (total < SANITIZE_STRING_MAX) {
		n = sanitize_filter(&s, in, sizeof(in), out);
		assert_int_equal(n, 0);
		total += sizeof(in);
	}
	assert_int_equal(sanitize_filter(&s, BYTES("text again"), out), 10);
	assert_memory_equal(out, "text again", 10);
}

static void bytes_when_lost_leave_no_sequence_behind(void **state)
{
	struct sanitize s = { .level = SANITIZE_SAFE };
	char out[16];

	(void)state;
	assert_int_equal(sanitize_filter(&s, BYTES(CSI "3"), out), 0);
	sanitize_restart(&s);
	assert_int_equal(sanitize_filter(&s, BYTES("1mx"), out), 3);
	assert_memory_equal(out, "1mx", 3);
}

static void one_from_elsewhere_when_it_makes_no_sense_is_not_valid(void **state)
{
	struct sanitize s = { .level = SANITIZE_SAFE };
	char out[64];

	(void)state;
	assert_true(sanitize_is_valid(&s));
	s.level = SANITIZE_N_LEVELS;
	assert_false(sanitize_is_valid(&s));
	for (unsigned int phase = 0; phase < 256; phase++)
		for (unsigned int n = 0; n < 256; n++) {
			s = (struct sanitize){ .level = SANITIZE_SAFE,
					       .phase = (uint8_t)phase,
					       .n_held = (uint8_t)n };
			if (sanitize_is_valid(&s))
				sanitize_filter(&s,
						BYTES("\xc2\x9b"
						      "1m" ESC "[1m"),
						out);
		}
	s = (struct sanitize){ .level = SANITIZE_SAFE, .n_string = SANITIZE_STRING_MAX };
	assert_false(sanitize_is_valid(&s));
}

/* Properties of whatever comes. */

static uint64_t seed = 88172645463325252;

static unsigned int below(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed % n);
}

/* Pieces of sequences, so that whole ones come about, and broken ones. */
static size_t make_random(char *in, size_t cap)
{
	static const char *const pieces[] = {
		ESC,	CSI,	OSC,	    DCS,
		ST,	BEL,	C1_CSI,	    C1_OSC,
		C1_ST,	"\xc2", "\x9b",	    "\xe2",
		"\x82", "\xac", "\xf0",	    "\x9f",
		"\xe0", "\xed", "\xc0",	    "?",
		">",	"=",	"!",	    "$",
		" ",	"#",	"(",	    "%",
		"0",	"1",	"6",	    "25",
		"1049", "1000", "2004",	    ";",
		":",	"h",	"l",	    "m",
		"n",	"c",	"t",	    "i",
		"p",	"q",	"H",	    "J",
		"T",	"Z",	"k",	    "]",
		"P",	"R",	"_",	    "^",
		"X",	"@",	"\n",	    "\r",
		"\x05", "\x18", "\x1a",	    "\x7f",
		"\x0e", "text", "\xc3\xa4", "\xe2\x82\xac",
	};
	size_t len = 0, n = below(RANDOM_MAX);

	while (len < n && len + 8 < cap) {
		const char *piece = pieces[below(ARRAY_SIZE(pieces))];

		if (below(8) == 0) {
			in[len++] = (char)below(256);
			continue;
		}
		memcpy(in + len, piece, strlen(piece));
		len += strlen(piece);
	}
	return len;
}

static regex_t safe_sequence;

static void check_output(enum sanitize_level level, const char *out, size_t len)
{
	size_t n = harmless_len(&safe_sequence, level, out, len);

	if (n < len)
		fail_msg("passed: %.*s", (int)(len - n), out + n);
}

static void check_random(enum sanitize_level level)
{
	char in[2 * RANDOM_MAX], out[sizeof(in)], other[sizeof(in)];
	size_t len = make_random(in, sizeof(in));
	size_t n = filter(level, in, len, 0, len, out);
	char room[SANITIZE_HELD_MAX + sizeof(in)];
	struct sanitize s = { .level = (uint8_t)level };

	assert_true(n <= len);
	check_output(level, out, n);
	/* however it is cut */
	assert_int_equal(filter(level, in, len, below((unsigned int)len + 1), 1 + below(9), other),
			 n);
	assert_memory_equal(other, out, n);
	/* in the same memory */
	memcpy(room + SANITIZE_HELD_MAX, in, len);
	assert_int_equal(sanitize_filter(&s, room + SANITIZE_HELD_MAX, len, room), n);
	assert_memory_equal(room, out, n);
	/* and twice; the first half of a character may wait at the end */
	s = (struct sanitize){ .level = (uint8_t)level };
	assert_int_equal(sanitize_filter(&s, out, n, other) + s.n_held, n);
	assert_memory_equal(other, out, n - s.n_held);
}

static void output_of_any_input_when_checked_by_other_means_is_harmless(void **state)
{
	(void)state;
	assert_true(harmless_init(&safe_sequence));
	for (unsigned int i = 0; i < N_RANDOM; i++) {
		check_random(SANITIZE_SAFE);
		check_random(SANITIZE_PLAIN);
	}
	regfree(&safe_sequence);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(harmless_sequences_when_safe_pass_as_they_are),
	UNIT_TEST(harmful_sequences_when_safe_are_gone),
	UNIT_TEST(every_sequence_when_plain_is_gone),
	UNIT_TEST(everything_when_off_passes),
	UNIT_TEST(text_when_filtered_passes_byte_for_byte),
	UNIT_TEST(overlong_and_broken_characters_when_met_lose_what_could_be_a_control),
	UNIT_TEST(sequences_when_broken_off_begin_anew_as_in_a_terminal),
	UNIT_TEST(sequence_when_too_long_becomes_text),
	UNIT_TEST(string_when_it_has_no_end_is_dropped_up_to_a_limit),
	UNIT_TEST(bytes_when_lost_leave_no_sequence_behind),
	UNIT_TEST(one_from_elsewhere_when_it_makes_no_sense_is_not_valid),
	UNIT_TEST(output_of_any_input_when_checked_by_other_means_is_harmless),
};
UNIT_MAIN(tests)
