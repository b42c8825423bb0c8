/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "backends/replay.h"

#define ESC "\x1b"
#define CSI ESC "["
#define OSC ESC "]"
#define DCS ESC "P"
#define APC ESC "_"
#define ST ESC "\\"
#define BEL "\a"
#define ENQ "\x05"

#define BYTES(s) s, sizeof(s) - 1

enum { CAP = 4096 };

/* All of in, the first cut bytes by themselves and then piece at a time. */
static size_t filter(const char *in, size_t len, size_t cut, size_t piece, char *out)
{
	struct replay r = { 0 };
	size_t n = replay_filter(&r, in, cut, out);

	for (size_t at = cut; at < len; at += piece)
		n += replay_filter(&r, in + at, min_size(piece, len - at), out + n);
	n += replay_flush(&r, out + n);
	assert_int_equal(replay_flush(&r, out + n), 0);
	return n;
}

static void expect(const char *in, size_t len, const char *want, size_t want_len)
{
	char out[CAP + REPLAY_HELD_MAX];
	size_t n = filter(in, len, 0, len, out);

	assert_true(len <= CAP);
	if (n != want_len || memcmp(out, want, n) != 0)
		print_error("of %.*s\n", (int)len, in);
	assert_int_equal(n, want_len);
	assert_memory_equal(out, want, n);
	for (size_t cut = 0; cut <= len; cut++) {
		assert_int_equal(filter(in, len, cut, len, out), want_len);
		assert_memory_equal(out, want, want_len);
	}
	assert_int_equal(filter(in, len, 0, 1, out), want_len);
	assert_memory_equal(out, want, want_len);
}

/* "a", the sequence, "b": of which the sequence is gone, or not. */
static void expect_around(const char *sequence, bool gone)
{
	char in[CAP];
	int len = snprintf(in, sizeof(in), "a%sb", sequence);

	if (gone)
		expect(in, (size_t)len, "ab", 2);
	else
		expect(in, (size_t)len, in, (size_t)len);
}

static void expect_gone(const char *const *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_around(rows[i], true);
}

static void expect_kept(const char *const *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_around(rows[i], false);
}

static void questions_of_control_sequences_are_dropped(void **state)
{
	static const char *const rows[] = {
		CSI "5n",	 CSI "6n",
		CSI "?6n",	 CSI "?15n",
		CSI "?25n",	 CSI "?26n",
		CSI "?996n",	 CSI "c",
		CSI "0c",	 CSI ">c",
		CSI ">0c",	 CSI "=c",
		CSI "=0c",	 CSI "x",
		CSI "1x",	 CSI "4$p",
		CSI "$p",	 CSI "?2026$p",
		CSI ">q",	 CSI ">0q",
		CSI "?u",	 CSI "1$u",
		CSI "&u",	 CSI "?1;1S",
		CSI "?2;1;0S",	 CSI "?4m",
		CSI "?1g",	 CSI "1$w",
		CSI "\"v",	 CSI "'|",
		CSI "1;1;1;1#|", CSI "#R",
		CSI "#S",	 CSI "1;2*y",
		CSI "*y",	 ESC "Z",
		CSI "6\x7fn",	 CSI "1;1;1;1;2;2*y",
	};

	(void)state;
	expect_gone(rows, ARRAY_SIZE(rows));
}

static void window_reports_are_dropped(void **state)
{
	static const char *const rows[] = {
		CSI "11t", CSI "13t", CSI "13;2t", CSI "14t", CSI "14;2t", CSI "15t",  CSI "15;2t",
		CSI "16t", CSI "18t", CSI "19t",   CSI "20t", CSI "21t",   CSI "018t",
	};

	(void)state;
	expect_gone(rows, ARRAY_SIZE(rows));
}

static void control_sequences_that_ask_nothing_are_kept(void **state)
{
	static const char *const rows[] = {
		CSI "8;24;80t",	 CSI "1t",
		CSI "22;0t",	 CSI "23;2t",
		CSI "t",	 CSI ">2t",
		CSI "2 t",	 CSI "1;1;2;2;1$t",
		CSI "?25h",	 CSI "?25l",
		CSI "?1049h",	 CSI "m",
		CSI "1;31m",	 CSI "38:2::1:2:3m",
		CSI ">4;1m",	 CSI ">4n",
		CSI "!p",	 CSI "61\"p",
		CSI ">2p",	 CSI " q",
		CSI "2 q",	 CSI "1\"q",
		CSI "#q",	 CSI "0q",
		CSI "u",	 CSI "=1;1u",
		CSI ">1u",	 CSI "<u",
		CSI "?6c",	 CSI "H",
		CSI "2J",	 CSI "10;20H",
		CSI "3S",	 CSI "3T",
		CSI "1;1;2;2$x", CSI "2*x",
		CSI "1;24r",	 CSI "s",
		CSI "3g",	 CSI "4l",
		CSI "1'w",	 CSI "1'{",
		CSI "1000t",	 CSI "118t",
	};

	(void)state;
	expect_kept(rows, ARRAY_SIZE(rows));
}

/* Terminals do nothing for these, so neither is there an answer to be afraid of. */
static void malformed_control_sequences_are_kept(void **state)
{
	static const char *const rows[] = { CSI "6?n", CSI "??6n", CSI "6$5n", CSI "4$$p",
					    CSI "6 n" };

	(void)state;
	expect_kept(rows, ARRAY_SIZE(rows));
}

static void escape_sequences_are_kept(void **state)
{
	static const char *const rows[] = { ESC "7",  ESC "8",	ESC "M",  ESC "=",   ESC ">",
					    ESC "c",  ESC "(B", ESC "(0", ESC "(Z",  ESC "#8",
					    ESC "%G", ESC " F", ST,	  ESC "$(Z", ESC "n" };

	(void)state;
	expect_kept(rows, ARRAY_SIZE(rows));
}

static void questions_of_strings_are_dropped(void **state)
{
	static const char *const rows[] = {
		OSC "4;1;?",
		OSC "5;0;?",
		OSC "10;?",
		OSC "11;?",
		OSC "12;?",
		OSC "17;?",
		OSC "19;?",
		OSC "10;?;?;?",
		OSC "4;1;red;2;?",
		OSC "4;?",
		OSC "52;c;?",
		OSC "52;;?",
		OSC "50;?",
		OSC "50;?+1",
		OSC "21;foreground=?",
		OSC "22;?__current__",
		OSC "104;?",
		OSC "60",
		OSC "61;allowWindowOps",
		OSC "1337;ReportCellSize",
		OSC "99;i=1:p=?;",
		OSC "702;?",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const char *const ends[] = { BEL, ST, "\xc2\x9c" };

		for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
			char sequence[100];

			snprintf(sequence, sizeof(sequence), "%s%s", rows[i], ends[e]);
			expect_around(sequence, true);
		}
	}
}

static void questions_of_device_strings_are_dropped(void **state)
{
	static const char *const rows[] = {
		DCS "$qm" ST,
		DCS "$q q" ST,
		DCS "+q544e" ST,
		DCS "+q544e;524742" ST,
		DCS "1$q\"p"
		    "\xc2\x9c",
		APC "Gi=31,s=1,a=q,t=d;AAAA" ST,
		APC "Ga=q" ST,
	};

	(void)state;
	expect_gone(rows, ARRAY_SIZE(rows));
}

static void strings_that_ask_nothing_are_kept(void **state)
{
	static const char *const rows[] = {
		OSC "0;title" BEL,
		OSC "0;what; ?" BEL,
		OSC "2;?" ST,
		OSC "0;?"
		    "\xc2\x9c",
		OSC "8;;http://example.org/a;?" ST,
		OSC "7;file://host/a=?" ST,
		OSC "4;1;rgb:00/80/ff" BEL,
		OSC "10;#ffffff" BEL,
		OSC "104" ST,
		OSC "52;c;aGVsbG8=" BEL,
		OSC "133;A" BEL,
		OSC "1337;SetUserVar=a=?" BEL,
		OSC "P0112233" BEL,
		OSC "" BEL,
		OSC "lwhat;?" ST,
		OSC "999999999999;?" ST,
		OSC "0;\xc3\x9c\xc2\xa9\xe2\x82\xac\xc2" BEL,
		DCS "0;1q\"1;1;#0;2;0;0;0#0~~@@vv" ST,
		DCS "1$r0m" ST,
		DCS "1+r544e=78" ST,
		APC "Gf=24,s=1,v=1,a=T;a=q" ST,
		APC "tmux" ST,
		ESC "^$q" ST,
		ESC "X10;?" ST,
	};

	(void)state;
	expect_kept(rows, ARRAY_SIZE(rows));
}

/* BEL ends an OSC string only: what follows it is the question's, and goes with it. */
static void bel_does_not_end_a_device_string(void **state)
{
	(void)state;
	expect(BYTES("a" DCS "$qm" BEL "x" ST "b"), BYTES("ab"));
}

static void introducers_of_eight_bits_in_utf8_are_known(void **state)
{
	(void)state;
	expect_around("\xc2\x9b"
		      "6n",
		      true);
	expect_around("\xc2\x9a", true);
	expect_around("\xc2\x9d"
		      "11;?" BEL,
		      true);
	expect_around("\xc2\x90"
		      "$qm"
		      "\xc2\x9c",
		      true);
	expect_around("\xc2\x9f"
		      "Ga=q" ST,
		      true);
	expect_around("\xc2\x9b"
		      "1m",
		      false);
	expect_around("\xc2\x85", false);
	expect_around("\xc2\x9c", false);
}

/* VC-069: a byte of 0x80 to 0x9f is a part of a character here. */
static void text_of_any_encoding_is_kept(void **state)
{
	static const char utf8[] = "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xc4\x9b"
				   "6n \xc2\xa9 \xc2";
	char all[256];
	size_t n = 0;

	(void)state;
	expect(BYTES(utf8), BYTES(utf8));
	for (unsigned int c = 0; c < 256; c++)
		if (c != 5 && c != 0x1b)
			all[n++] = (char)c;
	expect(all, n, all, n);
}

static void enquiry_is_dropped(void **state)
{
	(void)state;
	expect(BYTES(ENQ "a" ENQ ENQ "b" ENQ), BYTES("ab"));
	expect(BYTES("a" CSI ENQ "1" ENQ "m"
		     "b"),
	       BYTES("a" CSI "1mb"));
	expect(BYTES("a" ESC ENQ "7b"), BYTES("a" ESC "7b"));
}

static void controls_amid_a_question_are_kept(void **state)
{
	(void)state;
	expect(BYTES("a" CSI "6\r\nnb"), BYTES("a\r\nb"));
	expect(BYTES("a" ESC "\n[\t6nb"), BYTES("a\n\tb"));
	expect(BYTES("a" ESC "\bZb"), BYTES("a\bb"));
	expect(BYTES("a" CSI "6" ENQ "nb"), BYTES("ab"));
}

static void controls_amid_another_sequence_stay_where_they_are(void **state)
{
	(void)state;
	expect_around(CSI "1;\r\n31m", false);
	expect_around(ESC "\n(B", false);
}

static void cancelled_sequences_are_kept(void **state)
{
	(void)state;
	expect_around(CSI "6\x18n", false);
	expect_around(CSI "6\x1an", false);
	expect_around(ESC "\x18Z", false);
	expect_around(OSC "0;title\x18", false);
	/* Some terminals take this for the end of the string. */
	expect(BYTES("a" OSC "10;?\x18"
		     "b"),
	       BYTES("a\x18"
		     "b"));
}

/* What a terminal gave up at the question's ESC must not go on without it. */
static void question_that_cuts_a_sequence_leaves_its_end(void **state)
{
	(void)state;
	expect(BYTES("a" CSI "3" CSI "6nb"), BYTES("a" CSI "3" ST "b"));
	expect(BYTES("a" OSC "0;t" CSI "6nb"), BYTES("a" OSC "0;t" ST "b"));
	expect(BYTES("a" OSC "0;t\xc2\x9b"
		     "6nb"),
	       BYTES("a" OSC "0;t" ST "b"));
	expect(BYTES("a" ESC ESC "Zb"), BYTES("a" ESC ST "b"));
	expect(BYTES("a" CSI "3" OSC "10;?" BEL "b"), BYTES("a" CSI "3" ST "b"));
	expect(BYTES("a\xc2\xc2\x9a\x9b"
		     "6n"),
	       BYTES("a\xc2" ST "\x9b"
		     "6n"));
	expect(BYTES("a\xc2" ENQ "\x9b"
		     "6n"),
	       BYTES("a\xc2\0\x9b"
		     "6n"));
}

static void sequence_that_cuts_a_question_is_kept(void **state)
{
	(void)state;
	expect(BYTES("a" OSC "10;?" CSI "1mb"), BYTES("a" CSI "1mb"));
	expect(BYTES("a" CSI "6" CSI "1mb"), BYTES("a" CSI "6" CSI "1mb"));
	expect(BYTES("a" DCS "$qm\xc2\x9b"
		     "1mb"),
	       BYTES("a\xc2\x9b"
		     "1mb"));
	expect(BYTES("a" CSI "6\xc3\xa9nb"), BYTES("a" CSI "6\xc3\xa9nb"));
}

static size_t repeat(char *buf, const char *begin, const char *unit, unsigned int n,
		     const char *end)
{
	size_t len = (size_t)sprintf(buf, "%s", begin);

	for (unsigned int i = 0; i < n; i++)
		len += (size_t)sprintf(buf + len, "%s", unit);
	return len + (size_t)sprintf(buf + len, "%s", end);
}

static void long_sequences_are_kept(void **state)
{
	static const struct {
		const char *begin, *unit;
		unsigned int n;
		const char *end;
	} rows[] = {
		{ CSI, "1;", 200, "m" },
		{ OSC "52;c;", "QUJD", 300, BEL "x" },
		{ OSC "0;", "\xc2\xa9", 300, ST "x" },
		{ OSC "0;t", "\xc2\xa9", 300,
		  "\xc2\x9c"
		  "x" },
		{ DCS "q", "#0~", 300, ST "x" },
		{ APC "Gf=24;", "AAAA", 300, ST "x" },
	};
	char in[CAP];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = repeat(in, rows[i].begin, rows[i].unit, rows[i].n, rows[i].end);

		expect(in, len, in, len);
	}
}

static void long_questions_are_dropped_whole(void **state)
{
	static const char *const ends[] = { BEL "x", ST "x", "\xc2\x9cx" };
	char in[CAP];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		expect(in, repeat(in, OSC "4", ";7;?", 256, ends[i]), "x", 1);
	expect(in, repeat(in, DCS "+q", "544e;\xc2\xa9", 100, ST "x"), "x", 1);
	expect(in, repeat(in, DCS "+q", "544e;", 100, CSI "1mx"), BYTES(CSI "1mx"));
}

static void question_after_a_long_string_leaves_its_end(void **state)
{
	char in[CAP], want[CAP];
	size_t len = repeat(in, OSC "0;", "t", 400, CSI "6nx");
	size_t want_len = repeat(want, OSC "0;", "t", 400, ST "x");

	(void)state;
	expect(in, len, want, want_len);
}

static void sequences_as_long_as_what_is_held_are_right(void **state)
{
	char in[CAP];

	(void)state;
	for (unsigned int n = REPLAY_HELD_MAX - 6; n <= REPLAY_HELD_MAX + 2; n++) {
		size_t len = repeat(in, CSI, "0", n, "nx");

		/* ESC, [, the final: one more is too long, which no program sends. */
		if (n + 3 <= REPLAY_HELD_MAX)
			expect(in, len, "x", 1);
		else
			expect(in, len, in, len);
		expect(in, repeat(in, OSC "10;?;", "0", n, ST "x"), "x", 1);
		len = repeat(in, OSC "0;", "0", n,
			     "\xc2\x9c"
			     "x");
		expect(in, len, in, len);
	}
}

static void what_is_unfinished_at_the_end_is_kept(void **state)
{
	(void)state;
	expect(BYTES("a" ESC), BYTES("a" ESC));
	expect(BYTES("a" CSI "6"), BYTES("a" CSI "6"));
	expect(BYTES("a" OSC "10;?"), BYTES("a" OSC "10;?"));
	expect(BYTES("a\xc2"), BYTES("a\xc2"));
	expect(BYTES(""), BYTES(""));
}

/* Else the rest of it, which comes live, would be text on the screen. */
static void long_question_unfinished_at_the_end_leaves_its_beginning(void **state)
{
	char in[CAP];

	(void)state;
	expect(in, repeat(in, "a" OSC "4", ";7;?", 100, ""), BYTES("a" OSC));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(questions_of_control_sequences_are_dropped),
	UNIT_TEST(window_reports_are_dropped),
	UNIT_TEST(control_sequences_that_ask_nothing_are_kept),
	UNIT_TEST(malformed_control_sequences_are_kept),
	UNIT_TEST(escape_sequences_are_kept),
	UNIT_TEST(questions_of_strings_are_dropped),
	UNIT_TEST(questions_of_device_strings_are_dropped),
	UNIT_TEST(strings_that_ask_nothing_are_kept),
	UNIT_TEST(bel_does_not_end_a_device_string),
	UNIT_TEST(introducers_of_eight_bits_in_utf8_are_known),
	UNIT_TEST(text_of_any_encoding_is_kept),
	UNIT_TEST(enquiry_is_dropped),
	UNIT_TEST(controls_amid_a_question_are_kept),
	UNIT_TEST(controls_amid_another_sequence_stay_where_they_are),
	UNIT_TEST(cancelled_sequences_are_kept),
	UNIT_TEST(question_that_cuts_a_sequence_leaves_its_end),
	UNIT_TEST(sequence_that_cuts_a_question_is_kept),
	UNIT_TEST(long_sequences_are_kept),
	UNIT_TEST(long_questions_are_dropped_whole),
	UNIT_TEST(question_after_a_long_string_leaves_its_end),
	UNIT_TEST(sequences_as_long_as_what_is_held_are_right),
	UNIT_TEST(what_is_unfinished_at_the_end_is_kept),
	UNIT_TEST(long_question_unfinished_at_the_end_leaves_its_beginning),
};
UNIT_MAIN(tests)
