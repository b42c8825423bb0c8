/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <string.h>

#include "trace/story/story.h"
#include "virtio/console-ctrl.h"

static void names_of_features_are_the_devices_first(void **state)
{
	(void)state;
	assert_string_equal(story_feature_name("console", 1), "MULTIPORT");
	assert_string_equal(story_feature_name("block", 9), "FLUSH");
	assert_string_equal(story_feature_name("console", 32), "VERSION_1");
	assert_null(story_feature_name("console", 9));
	assert_null(story_feature_name(NULL, 1));
	assert_string_equal(story_feature_name(NULL, 30), "PROTOCOL_FEATURES");
	assert_null(story_feature_name("nothing like it", 1));
}

static void names_of_states_and_causes_are_words(void **state)
{
	(void)state;
	assert_string_equal(story_state_name(STORY_STOPPED), "stopped");
	assert_string_equal(story_state_name(STORY_RUNNING), "running");
	assert_string_equal(story_state_name(STORY_N_STATES), "unknown");
	assert_string_equal(trace_cause_name(TRACE_KICK), "kick");
	assert_string_equal(trace_cause_name(TRACE_FINISH), "finish");
	assert_string_equal(trace_cause_name(TRACE_N_CAUSES), "unknown");
}

static void assert_control(const char *expected, uint32_t port, uint16_t event, uint16_t value,
			   const void *data, size_t len)
{
	uint8_t bytes[64] = { (uint8_t)port, 0, 0, 0, (uint8_t)event, 0, (uint8_t)value, 0 };
	char text[128];

	memcpy(bytes + 8, data, len);
	assert_int_equal(story_control_text(text, sizeof(text), bytes, 8 + len), strlen(expected));
	assert_string_equal(text, expected);
}

static void control_messages_are_told_in_words(void **state)
{
	(void)state;
	assert_control("DEVICE_READY: ready", 0, CONSOLE_DEVICE_READY, 1, "", 0);
	assert_control("PORT_ADD port 1", 1, CONSOLE_PORT_ADD, 1, "", 0);
	assert_control("PORT_READY port 1: failed", 1, CONSOLE_PORT_READY, 0, "", 0);
	assert_control("PORT_OPEN port 2: open", 2, CONSOLE_PORT_OPEN, 1, "", 0);
	assert_control("PORT_NAME port 1 \"org.x\"", 1, CONSOLE_PORT_NAME, 1, "org.x", 5);
	assert_control("RESIZE port 0: 80 columns, 24 rows", 0, CONSOLE_RESIZE, 0,
		       "\x50\x00\x18\x00", 4);
	assert_control("RESIZE port 0, without a size", 0, CONSOLE_RESIZE, 0, "\x50", 1);
	assert_control("event 99, port 3, value 4", 3, 99, 4, "", 0);
}

static void control_name_with_controls_has_none(void **state)
{
	(void)state;
	assert_control("PORT_NAME port 1 \"\xef\xbf\xbd[2J\\\"x\"", 1, CONSOLE_PORT_NAME, 1,
		       "\033[2J\"x", 6);
}

static void control_message_that_is_short_says_so(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(story_control_text(text, sizeof(text), (const uint8_t *)"1234567", 7),
			 strlen("7 bytes, too few for a control message"));
	assert_string_equal(text, "7 bytes");
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(names_of_features_are_the_devices_first),
	UNIT_TEST(names_of_states_and_causes_are_words),
	UNIT_TEST(control_messages_are_told_in_words),
	UNIT_TEST(control_name_with_controls_has_none),
	UNIT_TEST(control_message_that_is_short_says_so),
};

UNIT_MAIN(tests)
