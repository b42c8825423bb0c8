/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "conform/needs.h"

/* A back-end that offers little, started by the tester, and all else that needs ask for. */
struct asked {
	struct target target;
	const struct device *device;
};

static char path[] = "/tmp/vhu.sock";

static struct asked well_known(void)
{
	static struct option_text resize = { .text = "resize=true" };

	return (struct asked){
		.target = {
			.exec = "back-end {socket}",
			.connect_fd = -1,
			.peer = "unix:{dir}/con",
			.actions = { &resize, 1 },
			.path = path,
			.visible = true,
			.info = {
				.features = BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(3),
				.protocol = BIT(VHU_PF_MQ_BIT),
				.n_rings = 2,
				.persistent = true,
			},
		},
		.device = device_find("console"),
	};
}

static struct asked unknown(void)
{
	return (struct asked){ .target = { .socket = path, .connect_fd = -1, .path = path } };
}

/* A verdict, with its reason in text. */
static enum verdict check(const struct asked *a, const char *needs, char text[256])
{
	const struct case_row row = { .id = "vu/test/01", .needs = needs };

	text[0] = '\0';
	return needs_check(&row, &a->target, a->device, text, 256);
}

static void assert_lacks(const struct asked *a, const char *needs, enum verdict verdict,
			 const char *reason)
{
	char text[256];

	assert_int_equal(check(a, needs, text), verdict);
	if (!strstr(text, reason))
		print_error("%s: '%s'\n", needs, text);
	assert_non_null(strstr(text, reason));
}

static void all_when_there_hold(void **state)
{
	static const char *const needs[] = {
		"",
		"pf:MQ",
		"no-pf:CONFIG",
		"f:PROTOCOL_FEATURES",
		"f:3",
		"no-f:4",
		"rings:2",
		"device:console",
		"traffic",
		"peer",
		"do:resize",
		"process",
		"exec",
		"connect",
		"persistent",
		"  exec   process ",
		"exec process persistent connect peer traffic rings:1 pf:MQ",
	};
	struct asked a = well_known();
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		enum verdict verdict = check(&a, needs[i], text);

		if (verdict != VERDICT_PASS)
			print_error("%s: %s\n", needs[i], text);
		assert_int_equal(verdict, VERDICT_PASS);
	}
}

static void offer_when_missing_does_not_apply(void **state)
{
	struct asked a = well_known();

	(void)state;
	assert_lacks(&a, "pf:CONFIG", VERDICT_NA, "VHOST_USER_PROTOCOL_F_CONFIG is not offered");
	assert_lacks(&a, "no-pf:MQ", VERDICT_NA, "VHOST_USER_PROTOCOL_F_MQ is offered");
	assert_lacks(&a, "f:EVENT_IDX", VERDICT_NA, "feature EVENT_IDX is not offered");
	assert_lacks(&a, "f:63", VERDICT_NA, "feature 63 is not offered");
	assert_lacks(&a, "no-f:3", VERDICT_NA, "feature 3 is offered");
	assert_lacks(&a, "rings:3", VERDICT_NA, "it has 2 rings, and the case needs 3");
}

static void device_when_another_does_not_apply(void **state)
{
	struct asked a = well_known();

	(void)state;
	assert_lacks(&a, "device:rng", VERDICT_NA, "it is console, and the case is for rng");
}

static void service_when_for_one_front_end_does_not_apply(void **state)
{
	struct asked a = well_known();

	(void)state;
	a.target.info.persistent = false;
	assert_lacks(&a, "persistent", VERDICT_NA, "it serves one front-end and ends");
	assert_lacks(&a, "connect exec persistent", VERDICT_NA, "one front-end");
	a.target.exec = NULL;
	assert_lacks(&a, "connect", VERDICT_NA, "it serves one connection only");
}

static void option_when_not_given_skips_and_is_named(void **state)
{
	struct asked a = unknown();

	(void)state;
	assert_lacks(&a, "device:console", VERDICT_SKIP, "--device was not given");
	assert_lacks(&a, "traffic", VERDICT_SKIP, "--device was not given: no data can flow");
	assert_lacks(&a, "peer", VERDICT_SKIP, "--peer was not given");
	assert_lacks(&a, "do:resize", VERDICT_SKIP, "--do resize= was not given");
	assert_lacks(&a, "exec", VERDICT_SKIP, "--exec was not given");
	assert_lacks(&a, "process", VERDICT_SKIP, "its process cannot be looked at");
}

static void connections_when_there_is_one_alone_skip(void **state)
{
	struct asked a = unknown();

	(void)state;
	a.target.path = NULL;
	assert_lacks(&a, "connect", VERDICT_SKIP, "--connect-fd gives one connection only");
	assert_lacks(&a, "persistent", VERDICT_SKIP, "--connect-fd gives one connection only");
}

static void offer_when_missing_says_more_than_option_not_given(void **state)
{
	struct asked a = unknown();

	(void)state;
	assert_lacks(&a, "traffic exec pf:CONFIG", VERDICT_NA, "CONFIG is not offered");
	assert_lacks(&a, "pf:CONFIG traffic", VERDICT_NA, "CONFIG is not offered");
}

static void options_when_two_are_missing_name_the_first(void **state)
{
	struct asked a = unknown();

	(void)state;
	assert_lacks(&a, "peer exec", VERDICT_SKIP, "--peer was not given");
	assert_lacks(&a, "exec peer", VERDICT_SKIP, "--exec was not given");
}

static void word_when_it_means_nothing_is_an_error(void **state)
{
	struct asked a = well_known();

	(void)state;
	assert_lacks(&a, "nonsense", VERDICT_ERROR, "'nonsense', which means nothing");
	assert_lacks(&a, "execs", VERDICT_ERROR, "'execs'");
	assert_lacks(&a, "pf:NONSENSE", VERDICT_ERROR, "NONSENSE, which has no number");
	assert_lacks(&a, "f:64", VERDICT_ERROR, "64, which has no number");
	assert_lacks(&a, "rings:many", VERDICT_ERROR, "'many' rings");
}

static void names_when_found_give_their_bits(void **state)
{
	unsigned int bit = 99;

	(void)state;
	assert_true(needs_find_protocol("CONFIG", &bit));
	assert_int_equal(bit, VHU_PF_CONFIG_BIT);
	assert_true(needs_find_protocol("17", &bit));
	assert_int_equal(bit, 17);
	assert_true(needs_find_feature("PROTOCOL_FEATURES", &bit));
	assert_int_equal(bit, VHU_F_PROTOCOL_FEATURES_BIT);
	assert_false(needs_find_feature("CONFIG", &bit));
	assert_false(needs_find_protocol("config", &bit));
	assert_false(needs_find_protocol("", &bit));
	assert_int_equal(bit, VHU_F_PROTOCOL_FEATURES_BIT);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(all_when_there_hold),
	UNIT_TEST(offer_when_missing_does_not_apply),
	UNIT_TEST(device_when_another_does_not_apply),
	UNIT_TEST(service_when_for_one_front_end_does_not_apply),
	UNIT_TEST(option_when_not_given_skips_and_is_named),
	UNIT_TEST(connections_when_there_is_one_alone_skip),
	UNIT_TEST(offer_when_missing_says_more_than_option_not_given),
	UNIT_TEST(options_when_two_are_missing_name_the_first),
	UNIT_TEST(word_when_it_means_nothing_is_an_error),
	UNIT_TEST(names_when_found_give_their_bits),
};

UNIT_MAIN(tests)
