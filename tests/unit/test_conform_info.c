/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/info.h"
#include "virtio/features.h"

/* A console of 80 columns, 25 rows and 31 ports, behind a back-end that says all it can. */
static struct target_info talkative(void)
{
	return (struct target_info){
		.features = BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VIRTIO_F_VERSION_1_BIT) |
			    BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(0) | BIT(1) | BIT(50),
		.protocol = BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_CONFIG_BIT) |
			    BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(60),
		.n_rings = 64,
		.max_slots = 509,
		.config_len = 12,
		.config = { 80, 0, 25, 0, 31, 0, 0, 0, 0, 0, 0, 0 },
		.persistent = true,
	};
}

static struct target_info silent(void)
{
	return (struct target_info){ .features = BIT(VIRTIO_F_VERSION_1_BIT), .n_rings = 1 };
}

typedef void print_fn(FILE *out, const struct target_info *info, const struct device *device);

static const char *printed(print_fn *print, const struct target_info *info, const char *device)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	print(out, info, device ? device_find(device) : NULL);
	fclose(out);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("no '%s' in:\n%s", part, text);
	assert_non_null(strstr(text, part));
}

static bool offers(const struct target_info *info, const char *device, const char *name)
{
	bool offered;

	assert_int_equal(info_find(info, device ? device_find(device) : NULL, name, &offered), 0);
	return offered;
}

static void feature_when_offered_is_found_by_any_of_its_names(void **state)
{
	static const char *const names[] = {
		"CONFIG",    "VHOST_USER_PROTOCOL_F_CONFIG", "config",
		"VERSION_1", "VIRTIO_F_VERSION_1",	     "EVENT_IDX",
		"MQ",	     "VIRTIO_F_EVENT_IDX",	     "PROTOCOL_FEATURES",
	};
	struct target_info info = talkative();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!offers(&info, NULL, names[i]))
			print_error("%s\n", names[i]);
		assert_true(offers(&info, NULL, names[i]));
	}
}

static void feature_when_not_offered_is_known_all_the_same(void **state)
{
	struct target_info info = silent();

	(void)state;
	assert_true(offers(&info, NULL, "VERSION_1"));
	assert_false(offers(&info, NULL, "CONFIG"));
	assert_false(offers(&info, NULL, "EVENT_IDX"));
	assert_false(offers(&info, NULL, "REPLY_ACK"));
}

static void feature_when_the_devices_own_needs_the_device(void **state)
{
	struct target_info info = talkative();
	bool offered;

	(void)state;
	assert_true(offers(&info, "console", "MULTIPORT"));
	assert_true(offers(&info, "console", "VIRTIO_CONSOLE_F_SIZE"));
	assert_false(offers(&info, "console", "EMERG_WRITE"));
	assert_int_equal(info_find(&info, NULL, "MULTIPORT", &offered), -ENOENT);
}

static void feature_when_its_name_is_none_is_not_found(void **state)
{
	static const char *const names[] = { "NONSENSE", "", "VHOST_USER_PROTOCOL_F_VERSION_1",
					     "_F_", "CONFIGS" };
	struct target_info info = talkative();
	bool offered;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(info_find(&info, device_find("console"), names[i], &offered),
				 -ENOENT);
}

static void text_when_device_is_known_names_its_config(void **state)
{
	struct target_info info = talkative();
	const char *text = printed(info_print, &info, "console");

	(void)state;
	assert_has(text, "VERSION_1");
	assert_has(text, "MULTIPORT");
	assert_has(text, "bit 50");
	assert_has(text, "bit 60");
	assert_has(text, "64\n");
	assert_has(text, "509\n");
	assert_has(text, "12 bytes");
	assert_has(text, "cols");
	assert_has(text, "80\n");
	assert_has(text, "max_nr_ports");
	assert_has(text, "one after the other");
	assert_null(strstr(text, "emerg_wr")); /* not offered */
}

static void text_when_device_is_unknown_has_bytes(void **state)
{
	struct target_info info = talkative();
	const char *text = printed(info_print, &info, NULL);

	(void)state;
	assert_has(text, "500019001f00000000000000");
	assert_null(strstr(text, "cols"));
}

static void text_when_little_is_offered_says_what_is_not_told(void **state)
{
	struct target_info info = silent();
	const char *text = printed(info_print, &info, NULL);

	(void)state;
	assert_has(text, "not told (no MQ)");
	assert_has(text, "not told (no CONFIGURE_MEM_SLOTS)");
	assert_has(text, "0 bytes");
	assert_has(text, "one, then it ends");
}

static void json_when_printed_has_every_key(void **state)
{
	struct target_info info = talkative();
	const char *text = printed(info_print_json, &info, "console");

	(void)state;
	assert_has(text, "\"schema\": 1");
	assert_has(text, "\"device\": \"console\"");
	assert_has(text, "\"bit 50\"");
	assert_has(text, "\"rings\": 64");
	assert_has(text, "\"memory_slots\": 509");
	assert_has(text, "\"length\": 12");
	assert_has(text, "\"cols\": 80, \"rows\": 25, \"max_nr_ports\": 31}");
	assert_has(text, "\"persistent\": true");
	assert_has(text, "\"parallel\": false");
}

static void json_when_little_is_offered_has_nulls(void **state)
{
	struct target_info info = silent();
	const char *text = printed(info_print_json, &info, NULL);

	(void)state;
	assert_has(text, "\"rings\": null");
	assert_has(text, "\"memory_slots\": null");
	assert_has(text, "\"fields\": {}");
	assert_null(strstr(text, "\"device\""));
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(feature_when_offered_is_found_by_any_of_its_names),
	UNIT_TEST(feature_when_not_offered_is_known_all_the_same),
	UNIT_TEST(feature_when_the_devices_own_needs_the_device),
	UNIT_TEST(feature_when_its_name_is_none_is_not_found),
	UNIT_TEST(text_when_device_is_known_names_its_config),
	UNIT_TEST(text_when_device_is_unknown_has_bytes),
	UNIT_TEST(text_when_little_is_offered_says_what_is_not_told),
	UNIT_TEST(json_when_printed_has_every_key),
	UNIT_TEST(json_when_little_is_offered_has_nulls),
};

UNIT_MAIN(tests)
