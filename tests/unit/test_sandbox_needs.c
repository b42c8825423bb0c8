/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "daemon/sandbox-needs.h"
#include "daemon/sandbox-seccomp.h"

static struct setup *setup;
static struct sandbox_needs needs;

static const struct sandbox_options nothing_more;

/* What a daemon with these words needs, as it was asked for. */
static void load(const char *words, const struct sandbox_options *options)
{
	static char text[1024];
	char *argv[32] = { (char[]){ "daemon" } }, *rest = text, why[512];
	int argc = 1;

	snprintf(text, sizeof(text), "%s", words);
	while ((argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	if (setup_load(argc, argv, &setup, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	sandbox_needs_init(&needs);
	sandbox_needs_of_setup(&needs, setup, options);
	assert_false(needs.no_memory);
}

static int unload(void **state)
{
	sandbox_needs_fini(&needs);
	setup_free(setup);
	setup = NULL;
	return unit_teardown(state);
}

static bool has(enum sandbox_group group)
{
	return needs.groups & BIT(group);
}

/* What is allowed at exactly this path. */
static unsigned int access_to(const char *path)
{
	for (size_t i = 0; i < needs.n_places; i++)
		if (strcmp(needs.places[i].path, path) == 0)
			return needs.places[i].access;
	return 0;
}

/* A sanitizer's runtime opens files, and its build has groups for that. */
static bool instrumented(void)
{
	return has(SANDBOX_GROUP_instruments);
}

static void groups_when_only_sockets_listen_are_next_to_none(void **state)
{
	(void)state;
	load("-s /run/x/s -b network", &nothing_more);
	assert_true(has(SANDBOX_GROUP_always));
	assert_true(!has(SANDBOX_GROUP_open) || instrumented());
	assert_false(has(SANDBOX_GROUP_connect_tcp));
	assert_false(has(SANDBOX_GROUP_connect_unix));
	assert_false(has(SANDBOX_GROUP_listen_tcp));
	assert_false(has(SANDBOX_GROUP_listen_unix));
	assert_false(has(SANDBOX_GROUP_terminals));
	assert_false(has(SANDBOX_GROUP_owners));
	assert_false(has(SANDBOX_GROUP_start));
	assert_false(has(SANDBOX_GROUP_upgrade));
	assert_false(has(SANDBOX_GROUP_once));
	assert_false(needs.binds || needs.any_port || needs.abstract);
}

static void folder_when_a_socket_is_there_may_lose_it(void **state)
{
	(void)state;
	load("-s /run/x/s -b network", &nothing_more);
	assert_int_equal(access_to("/run/x"), SANDBOX_SOCKETS);
	assert_int_equal(access_to("/run"), 0);
}

static void connector_when_it_connects_names_its_port(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,tcp-connect:127.0.0.1:4000+7", &nothing_more);
	assert_true(has(SANDBOX_GROUP_connect_tcp));
	assert_false(has(SANDBOX_GROUP_connect_unix));
	assert_int_equal(needs.n_ports, 1);
	assert_int_equal(needs.ports[0], 4007);
	assert_false(needs.any_port);
}

static void connector_when_its_socket_is_abstract_needs_that_scope(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,unix-connect:@name", &nothing_more);
	assert_true(has(SANDBOX_GROUP_connect_unix));
	assert_true(needs.abstract);
}

static void log_when_it_rotates_needs_its_folder(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,log:/var/log/x/vm.log", &nothing_more);
	assert_true(has(SANDBOX_GROUP_open));
	assert_false(has(SANDBOX_GROUP_owners));
	assert_int_equal(access_to("/var/log/x"), SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES);
}

static void log_when_it_is_given_away_needs_owners(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,log:/var/log/x/vm.log,group=4", &nothing_more);
	assert_true(has(SANDBOX_GROUP_owners));
}

static void file_when_it_is_opened_anew_needs_its_folder(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,file:/var/lib/x/out", &nothing_more);
	assert_true(has(SANDBOX_GROUP_open));
	assert_int_equal(access_to("/var/lib/x"), SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES);
}

static void pty_when_it_has_a_link_needs_its_folder(void **state)
{
	(void)state;
	load("-s /run/x/s --port 0,console,pty:/run/links/tty", &nothing_more);
	assert_true(has(SANDBOX_GROUP_terminals));
	assert_int_equal(access_to("/run/links"), SANDBOX_LINKS);
	assert_int_equal(access_to("/dev/pts"), 0);
}

static void control_socket_when_it_is_there_brings_every_kind(void **state)
{
	const struct sandbox_options options = { .control = true };

	(void)state;
	load("-s /run/x/s -b network --control /run/c/ctl", &options);
	assert_true(has(SANDBOX_GROUP_connect_tcp) && has(SANDBOX_GROUP_connect_unix) &&
		    has(SANDBOX_GROUP_listen_tcp) && has(SANDBOX_GROUP_listen_unix) &&
		    has(SANDBOX_GROUP_terminals) && has(SANDBOX_GROUP_open));
	assert_true(needs.binds && needs.any_port && needs.abstract);
	assert_false(has(SANDBOX_GROUP_upgrade));
	assert_int_equal(access_to("/run/c"), SANDBOX_SOCKETS);
}

static void upgrade_when_it_may_come_needs_programs(void **state)
{
	const struct sandbox_options options = { .upgrade = true };

	(void)state;
	load("-s /run/x/s -b network", &options);
	assert_true(has(SANDBOX_GROUP_start) && has(SANDBOX_GROUP_upgrade));
	assert_false(has(SANDBOX_GROUP_once));
	assert_false(has(SANDBOX_GROUP_connect_unix));
	assert_int_equal(access_to("/etc/ld.so.cache"), SANDBOX_READ);
}

static void folder_when_it_is_named_may_hold_anything(void **state)
{
	(void)state;
	load("-s /run/x/s -b network --sandbox-path /srv/later", &nothing_more);
	assert_true(has(SANDBOX_GROUP_open));
	assert_int_equal(access_to("/srv/later"), SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FILES |
							  SANDBOX_SOCKETS | SANDBOX_LINKS |
							  SANDBOX_LIST);
}

static void configuration_when_it_is_read_again_is_its_folder(void **state)
{
	char dir[] = "/tmp/vhu-needs-XXXXXX", path[64], words[128];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("socket-path=/run/x/s\nbackend=network\n", f);
	fclose(f);
	snprintf(words, sizeof(words), "--config %s", path);
	load(words, &nothing_more);
	assert_int_equal(access_to(dir), SANDBOX_READ);
	/* What is there may come back, and no other kind. */
	assert_true(has(SANDBOX_GROUP_listen_tcp) && has(SANDBOX_GROUP_listen_unix));
	assert_false(has(SANDBOX_GROUP_connect_tcp) || has(SANDBOX_GROUP_connect_unix));
	unlink(path);
	rmdir(dir);
}

static void tell_unknown(const char *name)
{
	print_message("unknown: %s\n", name);
}

static void list_when_it_is_looked_up_is_known(void **state)
{
	(void)state;
	if (sandbox_seccomp_missing())
		return;
	assert_true(sandbox_seccomp_check(tell_unknown) > 100);
}

#define NEEDS_TEST(f) UNIT_TEST_WITH(f, unit_setup, unload)

static const struct CMUnitTest tests[] = {
	NEEDS_TEST(groups_when_only_sockets_listen_are_next_to_none),
	NEEDS_TEST(folder_when_a_socket_is_there_may_lose_it),
	NEEDS_TEST(connector_when_it_connects_names_its_port),
	NEEDS_TEST(connector_when_its_socket_is_abstract_needs_that_scope),
	NEEDS_TEST(log_when_it_rotates_needs_its_folder),
	NEEDS_TEST(log_when_it_is_given_away_needs_owners),
	NEEDS_TEST(file_when_it_is_opened_anew_needs_its_folder),
	NEEDS_TEST(pty_when_it_has_a_link_needs_its_folder),
	NEEDS_TEST(control_socket_when_it_is_there_brings_every_kind),
	NEEDS_TEST(upgrade_when_it_may_come_needs_programs),
	NEEDS_TEST(folder_when_it_is_named_may_hold_anything),
	NEEDS_TEST(configuration_when_it_is_read_again_is_its_folder),
	UNIT_TEST(list_when_it_is_looked_up_is_known),
};

UNIT_MAIN(tests)
