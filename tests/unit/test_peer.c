/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who may attach. The peer is this process, or as root a child of another user:
 * it is the rules that differ.
 */
#include "said_rig.h"
#include "socket_rig.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backends/peer.h"

enum { OTHER_UID = 65001, OTHER_GID = 65002, MORE_GID = 65003 };

static char folder[64], path[100];
static struct said said_here;
static char why[PEER_WHY_MAX];

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/vhu-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/port.sock", folder);
	rig_begin();
	assert_int_equal(said_begin(&said_here), 0);
}

static void end(void)
{
	rig_close();
	rig_end();
	said_end(&said_here);
	assert_int_equal(rmdir(folder), 0);
}

static struct peer_rules rules_of(const char *uids, const char *gids)
{
	struct peer_rules rules;

	if (peer_rules_parse(uids, gids, &rules, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return rules;
}

static void only_user(struct peer_rules *rules, uid_t uid)
{
	*rules = (struct peer_rules){ .uids = { .id = { uid }, .n = 1 } };
}

/* Lists. */

static void rules_when_names_and_numbers_are_mixed_are_numbers(void **state)
{
	char text[PEER_IDS_TEXT_MAX];
	struct peer_rules rules = rules_of("root+1000+4294967294", "root");

	(void)state;
	peer_ids_format(&rules.uids, text);
	assert_string_equal(text, "0+1000+4294967294");
	peer_ids_format(&rules.gids, text);
	assert_string_equal(text, "0");
	rules = rules_of(NULL, NULL);
	assert_false(peer_rules_exist(&rules));
	peer_ids_format(&rules.uids, text);
	assert_string_equal(text, "");
}

static void rules_when_there_are_the_most_allowed_have_room_as_text(void **state)
{
	char list[PEER_IDS_TEXT_MAX] = "", text[PEER_IDS_TEXT_MAX];
	struct peer_rules rules;

	(void)state;
	for (unsigned int i = 0; i < PEER_IDS_MAX; i++)
		strcat(list, i > 0 ? "+4294967294" : "4294967294");
	rules = rules_of(list, NULL);
	peer_ids_format(&rules.uids, text);
	assert_string_equal(text, list);
}

static void expect_refused(const char *uids, const char *gids, const char *sentence)
{
	struct peer_rules rules;

	assert_int_equal(peer_rules_parse(uids, gids, &rules, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, sentence);
}

static void rules_when_wrong_are_refused_with_a_sentence(void **state)
{
	static const char shape[] = ": names or numbers with one + between them are expected";
	char text[128];

	(void)state;
	snprintf(text, sizeof(text), "allow-uid%s", shape);
	expect_refused("1000++1001", NULL, text);
	expect_refused("+1000", NULL, text);
	expect_refused("1000+", NULL, text);
	snprintf(text, sizeof(text), "allow-gid%s", shape);
	expect_refused(NULL, "", text);
	expect_refused("no-such-user-here", NULL,
		       "allow-uid: there is no user \"no-such-user-here\" here");
	expect_refused("0", "no-such-group-here",
		       "allow-gid: there is no group \"no-such-group-here\" here");
	expect_refused("4294967295", NULL, "allow-uid: there is no user \"4294967295\" here");
	expect_refused("0+1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16", NULL,
		       "allow-uid: more than 16 are given, which is the most allowed");
}

/* The last test, as there is no way back. */
static void names_when_the_daemon_serves_are_those_of_files_and_of_before(void **state)
{
	unsigned int id = 1;

	(void)state;
	peer_names_stay_local();
	assert_int_equal(peer_find_id(false, "root", &id, why, sizeof(why)), 0);
	assert_int_equal(id, 0);
	/* not seen before, so from the files */
	assert_int_equal(peer_find_id(true, "daemon", &id, why, sizeof(why)), 0);
	assert_int_equal(id, getgrnam("daemon")->gr_gid);
	assert_int_equal(peer_find_id(true, "123", &id, why, sizeof(why)), 0);
	assert_int_equal(id, 123);
	assert_int_equal(peer_find_id(false, "no-such-user-here", &id, why, sizeof(why)), -EINVAL);
	assert_string_equal(why,
			    "there is no user \"no-such-user-here\" in /etc/passwd, which alone "
			    "is asked while the daemon serves; its number does as well");
}

/* Decisions. */

static void peer_when_neither_user_nor_group_is_named_is_not_allowed(void **state)
{
	gid_t more[] = { 30, 31 };
	const struct peer peer = { .uid = 10, .gid = 20, .groups = more, .n_groups = 2 };
	const struct peer root = { .uid = 0, .gid = 0 };
	const struct {
		const char *uids, *gids;
		bool peer, root;
	} rows[] = {
		{ NULL, NULL, true, true },    { "10", NULL, true, false },
		{ "11", NULL, false, false },  { "11+10", NULL, true, false },
		{ "11+0", NULL, false, true }, { NULL, "20", true, false },
		{ NULL, "31", true, false },   { NULL, "32", false, false },
		{ "11", "30", true, false },   { "10", "32", true, false },
		{ "20", "10", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer_rules rules = rules_of(rows[i].uids, rows[i].gids);

		assert_int_equal(peer_is_allowed(&rules, &peer), rows[i].peer);
		assert_int_equal(peer_is_allowed(&rules, &root), rows[i].root);
	}
}

static void peer_when_not_admitted_is_described(void **state)
{
	struct peer_rules rules;
	char text[PEER_WHY_MAX];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	only_user(&rules, getuid());
	assert_true(peer_admitted(&rules, fds[0], why, sizeof(why)));
	only_user(&rules, getuid() + 1);
	assert_false(peer_admitted(&rules, fds[0], why, sizeof(why)));
	snprintf(text, sizeof(text), "allow-uid does not name user %u in group %u (pid %d)",
		 getuid(), getgid(), getpid());
	assert_string_equal(why, text);
	close(fds[0]);
	close(fds[1]);
}

static void peer_when_it_is_no_unix_socket_is_not_admitted(void **state)
{
	struct peer_rules rules;
	int fds[2];

	(void)state;
	only_user(&rules, getuid());
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_false(peer_admitted(&rules, fds[0], why, sizeof(why)));
	assert_non_null(strstr(why, "who it is cannot be told"));
	assert_false(peer_can_be_asked(fds[0]));
	close(fds[0]);
	close(fds[1]);
}

/* Servers. */

static void client_that_is_named_when_it_connects_joins(void **state)
{
	int fd;

	(void)state;
	begin();
	only_user(&rig.options.allow, getuid());
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	fd = dial_unix(path);
	send_all(fd, "typed", 5);
	rig_expect_input("typed");
	end();
	close(fd);
}

static void client_that_is_not_named_when_it_connects_is_told_nothing(void **state)
{
	char byte;
	ssize_t n;
	int fd;

	(void)state;
	begin();
	rig_output("secret", 6);
	only_user(&rig.options.allow, getuid() + 1);
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	fd = dial_unix(path);
	assert_int_equal(write(fd, "typed", 5), 5);
	PUMP_UNTIL((n = read(fd, &byte, 1)) >= 0 || errno != EAGAIN);
	assert_true(n <= 0); /* nothing, whether by an end or a reset */
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(port_input_pending(&rig.port), 0);
	assert_true(said(&said_here, "was turned away: allow-uid does not name user"));
	close(fd);
	end();
}

static void clients_that_are_not_named_when_they_flood_fill_no_log(void **state)
{
	unsigned int n_lines = 0;
	char byte;

	(void)state;
	begin();
	only_user(&rig.options.allow, getuid() + 1);
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	for (unsigned int i = 0; i < 200; i++) {
		int fd = dial_unix(path);

		PUMP_UNTIL(read(fd, &byte, 1) >= 0 || errno != EAGAIN);
		close(fd);
	}
	said(&said_here, "");
	for (const char *at = said_here.text; (at = strstr(at, "turned away")); at++)
		n_lines++;
	assert_in_range(n_lines, 1, 30);
	end();
}

/* A child of another user and its groups dials; the rest of it waits to be ended. */
static pid_t dial_as_other(void)
{
	const gid_t more = MORE_GID;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (setgroups(1, &more) < 0 || setresgid(OTHER_GID, OTHER_GID, OTHER_GID) < 0 ||
	    setresuid(OTHER_UID, OTHER_UID, OTHER_UID) < 0 || dial_unix(path) < 0)
		_exit(1);
	pause();
	_exit(0);
}

/* Whether that child joins under these rules. Else it was turned away in its own words. */
static bool other_joins(const char *uids, const char *gids)
{
	int status;
	bool joined;
	pid_t pid;

	begin();
	assert_int_equal(chmod(folder, 0755), 0);
	rig.options.allow = rules_of(uids, gids);
	rig.options.mode = (struct option_maybe){ .set = true, .value = 0666 };
	assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
	pid = dial_as_other();
	PUMP_UNTIL(rig.port.n_clients == 1 || said(&said_here, "turned away"));
	joined = rig.port.n_clients == 1;
	assert_true(joined || said(&said_here, "names user 65001 in group 65002") ||
		    said(&said_here, "name user 65001 in group 65002"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	end();
	return joined;
}

static void client_of_another_user_when_named_by_user_or_any_group_joins(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return; /* nobody else to be; tests/sys/peers.sh says so */
	assert_true(other_joins("65001", NULL));
	assert_true(other_joins("0+65001", NULL));
	assert_true(other_joins(NULL, "65002"));
	assert_true(other_joins(NULL, "65003"));
	assert_true(other_joins("0", "65003"));
	assert_false(other_joins("0", NULL));
	assert_false(other_joins("65002", "65001"));
	assert_false(other_joins(NULL, "0+65004"));
}

/* Connectors. */

static int listen_here(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void server_that_is_not_named_when_connected_to_gets_nothing(void **state)
{
	int listener, fd = -1, again = -1;
	char byte;

	(void)state;
	begin();
	listener = listen_here();
	rig_output("secret", 6);
	only_user(&rig.options.allow, getuid() + 1);
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, path), 0);
	PUMP_UNTIL((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	PUMP_UNTIL((again = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	assert_int_equal(read(fd, &byte, 1), 0);
	assert_int_equal(rig.port.n_clients, 0);
	assert_true(said(&said_here, "is not let in: allow-uid does not name user"));
	assert_false(said(&said_here, "cannot connect"));
	close(fd);
	close(again);
	close(listener);
	unlink(path);
	end();
}

static void server_that_is_named_when_connected_to_is_served(void **state)
{
	int listener, fd = -1;

	(void)state;
	begin();
	listener = listen_here();
	only_user(&rig.options.allow, getuid());
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, path), 0);
	PUMP_UNTIL((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	rig_output("shown", 5);
	rig_expect_output(fd, "shown");
	close(fd);
	close(listener);
	unlink(path);
	end();
}

/* Descriptors. */

static void descriptor_that_does_not_listen_when_there_are_rules_is_refused(void **state)
{
	char number[16];
	int fds[2];

	(void)state;
	rig_begin();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	snprintf(number, sizeof(number), "%d", fds[0]);
	only_user(&rig.options.allow, getuid());
	assert_int_equal(rig_open(ATTACHMENT_descriptor, number), -EINVAL);
	assert_non_null(strstr(rig.why, "is no Unix socket that listens"));
	close(fds[0]);
	close(fds[1]);
	rig_end();
}

/* Files. */

static void socket_when_no_mode_is_given_is_never_for_everybody(void **state)
{
	static const struct {
		mode_t umask, mode;
	} rows[] = { { 0000, 0660 }, { 0022, 0640 }, { 0007, 0660 }, { 0077, 0600 } };
	struct stat st;
	mode_t before;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin();
		before = umask(rows[i].umask);
		assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
		umask(before);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, rows[i].mode);
		end();
	}
}

static void folder_when_everybody_may_replace_the_socket_is_warned_of(void **state)
{
	static const struct {
		mode_t mode;
		bool warned;
	} rows[] = {
		{ 0700, false }, { 0755, false }, { 0775, false }, { 01777, false }, { 0777, true }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin();
		assert_int_equal(chmod(folder, rows[i].mode), 0);
		assert_int_equal(rig_open(ATTACHMENT_unix_server, path), 0);
		assert_int_equal(said(&said_here, "every user may write to this folder"),
				 rows[i].warned);
		end();
	}
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(rules_when_names_and_numbers_are_mixed_are_numbers),
	UNIT_TEST(rules_when_there_are_the_most_allowed_have_room_as_text),
	UNIT_TEST(rules_when_wrong_are_refused_with_a_sentence),
	UNIT_TEST(peer_when_neither_user_nor_group_is_named_is_not_allowed),
	UNIT_TEST(peer_when_not_admitted_is_described),
	UNIT_TEST(peer_when_it_is_no_unix_socket_is_not_admitted),
	UNIT_TEST(client_that_is_named_when_it_connects_joins),
	UNIT_TEST(client_that_is_not_named_when_it_connects_is_told_nothing),
	UNIT_TEST(clients_that_are_not_named_when_they_flood_fill_no_log),
	UNIT_TEST(client_of_another_user_when_named_by_user_or_any_group_joins),
	UNIT_TEST(server_that_is_not_named_when_connected_to_gets_nothing),
	UNIT_TEST(server_that_is_named_when_connected_to_is_served),
	UNIT_TEST(descriptor_that_does_not_listen_when_there_are_rules_is_refused),
	UNIT_TEST(socket_when_no_mode_is_given_is_never_for_everybody),
	UNIT_TEST(folder_when_everybody_may_replace_the_socket_is_warned_of),
	UNIT_TEST(names_when_the_daemon_serves_are_those_of_files_and_of_before),
};
UNIT_MAIN(tests)
