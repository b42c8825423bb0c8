/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who may attach, as it is written down. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "daemon/setup.h"

static const struct spec_defaults defaults = { .history = 4096 };
static char why[256];

static void attachment_when_it_names_users_and_groups_has_their_numbers(void **state)
{
	struct attachment_spec *a;

	(void)state;
	assert_int_equal(attachment_spec_parse("unix:/x,allow-uid=root+7,allow-gid=8", &defaults,
					       &a, why, sizeof(why)),
			 0);
	assert_int_equal(a->options.allow.uids.n, 2);
	assert_int_equal(a->options.allow.uids.id[0], 0);
	assert_int_equal(a->options.allow.uids.id[1], 7);
	assert_int_equal(a->options.allow.gids.n, 1);
	assert_int_equal(a->options.allow.gids.id[0], 8);
	attachment_spec_free(a);
	assert_int_equal(attachment_spec_parse("unix:/x", &defaults, &a, why, sizeof(why)), 0);
	assert_false(peer_rules_exist(&a->options.allow));
	attachment_spec_free(a);
}

static void attachment_when_it_has_no_unix_peer_takes_no_users(void **state)
{
	struct attachment_spec *a;

	(void)state;
	assert_int_equal(
		attachment_spec_parse("tcp:1,allow-uid=0", &defaults, &a, why, sizeof(why)),
		-EINVAL);
	assert_non_null(strstr(why, "'allow-uid=0' does not go with tcp, which takes"));
}

static void names_that_are_wrong_when_read_are_refused(void **state)
{
	struct attachment_spec *a;
	struct device_spec *d;

	(void)state;
	assert_int_equal(
		attachment_spec_parse("unix:/x,allow-gid=1++2", &defaults, &a, why, sizeof(why)),
		-EINVAL);
	assert_string_equal(why,
			    "allow-gid: names or numbers with one + between them are expected");
	assert_int_equal(device_spec_parse("socket=/x,allow-uid=no-such-user-here", &defaults, &d,
					   why, sizeof(why)),
			 -EINVAL);
	assert_string_equal(why, "allow-uid: there is no user \"no-such-user-here\" here");
}

static void device_when_it_names_users_has_their_numbers(void **state)
{
	struct device_spec *d;

	(void)state;
	assert_int_equal(
		device_spec_parse("socket=/x,allow-uid=9", &defaults, &d, why, sizeof(why)), 0);
	assert_int_equal(d->allow.uids.n, 1);
	assert_int_equal(d->allow.uids.id[0], 9);
	assert_int_equal(d->allow.gids.n, 0);
	device_spec_free(d);
}

static void control_when_it_names_users_and_groups_has_their_numbers(void **state)
{
	char *argv[] = { (char[]){ "x" }, (char[]){ "-s" }, (char[]){ "p" },
			 (char[]){ "--control" },
			 (char[]){ "/run/c.sock,allow-uid=5,allow-gid=6+7" } };
	struct setup *setup;

	(void)state;
	if (setup_load(ARRAY_SIZE(argv), argv, &setup, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_int_equal(setup->control->options.allow.uids.id[0], 5);
	assert_int_equal(setup->control->options.allow.gids.n, 2);
	assert_int_equal(setup->control->options.allow.gids.id[1], 7);
	setup_free(setup);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(attachment_when_it_names_users_and_groups_has_their_numbers),
	UNIT_TEST(attachment_when_it_has_no_unix_peer_takes_no_users),
	UNIT_TEST(names_that_are_wrong_when_read_are_refused),
	UNIT_TEST(device_when_it_names_users_has_their_numbers),
	UNIT_TEST(control_when_it_names_users_and_groups_has_their_numbers),
};
UNIT_MAIN(tests)
