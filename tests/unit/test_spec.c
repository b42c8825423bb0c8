/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "backends/telnet.h"
#include "daemon/spec.h"

static char why[512];
static bool have_telnet = true;

static const struct spec_defaults defaults = { .device_idx = 3,
					       .history = 1 << 20,
					       .escape = "~." };

/* Stands in for the one of telnet.c, which is as this build is. */
bool telnet_available(void)
{
	return have_telnet;
}

/* The caller frees it. */
static struct port_spec *port(const char *text)
{
	struct port_spec *spec = NULL;

	why[0] = '\0';
	if (port_spec_parse(text, &defaults, &spec, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	return spec;
}

static struct attachment_spec *attachment(const char *text)
{
	struct attachment_spec *spec = NULL;

	why[0] = '\0';
	if (attachment_spec_parse(text, &defaults, &spec, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	return spec;
}

static void assert_port_refused(const char *text, const char *message)
{
	struct port_spec *spec;

	assert_int_equal(port_spec_parse(text, &defaults, &spec, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, message);
}

static void assert_attachment_refused(const char *text, const char *message)
{
	struct attachment_spec *spec;

	assert_int_equal(attachment_spec_parse(text, &defaults, &spec, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, message);
}

static void assert_device_refused(const char *text, const char *message)
{
	struct device_spec *spec;

	assert_int_equal(device_spec_parse(text, &defaults, &spec, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, message);
}

/* The nth attachment of a port. */
static struct attachment_spec *nth(const struct port_spec *spec, unsigned int n)
{
	const struct list_node *node = spec->attachments.next;

	for (; n > 0; n--)
		node = node->next;
	assert_ptr_not_equal(node, &spec->attachments);
	return list_entry(node, struct attachment_spec, link);
}

static void port_when_only_a_number_has_the_defaults(void **state)
{
	struct port_spec *p = port("7");

	(void)state;
	assert_int_equal(p->number, 7);
	assert_false(p->console);
	assert_string_equal(p->name, "");
	assert_int_equal(p->overflow, PORT_HOLD);
	assert_int_equal(p->history, 1 << 20);
	assert_true(list_empty(&p->attachments));
	assert_string_equal(p->text, "7");
	port_spec_free(p);
}

static void port_of_the_manual_is_read(void **state)
{
	struct port_spec *p = port("1,name=org.qemu.guest_agent.0,unix:/run/ga.sock,mode=0660");
	struct attachment_spec *a = nth(p, 0);

	(void)state;
	assert_int_equal(p->number, 1);
	assert_string_equal(p->name, "org.qemu.guest_agent.0");
	assert_int_equal(a->options.kind, ATTACHMENT_unix_server);
	assert_string_equal(a->options.address, "/run/ga.sock");
	assert_int_equal(a->options.mode.value, 0660);
	assert_string_equal(a->text, "unix:/run/ga.sock,mode=0660");
	assert_ptr_equal(a->link.next, &p->attachments);
	port_spec_free(p);
}

static void port_without_a_number_asks_for_any(void **state)
{
	struct port_spec *p = port("null");

	(void)state;
	assert_int_equal(p->number, SPEC_NUMBER_ANY);
	assert_int_equal(nth(p, 0)->options.kind, ATTACHMENT_null);
	assert_null(nth(p, 0)->options.address);
	port_spec_free(p);
}

static void overflow_when_not_given_follows_the_console(void **state)
{
	static const struct {
		const char *text;
		enum port_overflow overflow;
	} cases[] = {
		{ "console", PORT_DROP },
		{ "name=x", PORT_HOLD },
		{ "console,overflow=hold", PORT_HOLD },
		{ "overflow=drop", PORT_DROP },
		{ "overflow=auto", PORT_HOLD },
		{ "overflow=auto,console", PORT_DROP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct port_spec *p = port(cases[i].text);

		assert_int_equal(p->overflow, cases[i].overflow);
		port_spec_free(p);
	}
}

static void history_is_rounded_up(void **state)
{
	struct port_spec *p = port("history=5000");

	(void)state;
	assert_int_equal(p->history, 8192);
	port_spec_free(p);
}

static void attachments_keep_their_order_and_their_words(void **state)
{
	struct port_spec *p = port("0,console,tcp:4000,ro,log:/x,keep=2,name=con,timestamps,pty");

	(void)state;
	assert_string_equal(p->name, "con");
	assert_string_equal(nth(p, 0)->text, "tcp:4000,ro");
	assert_true(nth(p, 0)->options.ro);
	/* A word of the port may stand among those of an attachment. */
	assert_string_equal(nth(p, 1)->text, "log:/x,keep=2,timestamps");
	assert_int_equal(nth(p, 1)->options.keep, 2);
	assert_true(nth(p, 1)->options.timestamps);
	assert_string_equal(nth(p, 2)->text, "pty");
	assert_int_equal(nth(p, 2)->options.kind, ATTACHMENT_pty);
	assert_ptr_equal(nth(p, 2)->link.next, &p->attachments);
	port_spec_free(p);
}

static void port_when_kept_without_its_attachments_lives(void **state)
{
	struct port_spec *p = port("name=%i,unix:/a%i");
	struct attachment_spec *a = nth(p, 0);

	(void)state;
	list_remove(&a->link);
	port_spec_free(p);
	assert_string_equal(a->options.address, "/a3");
	attachment_spec_free(a);
}

static void attachment_defaults_are_those_of_the_table(void **state)
{
	struct attachment_spec *a = attachment("tcp-connect:host:1");

	(void)state;
	assert_false(a->options.ro || a->options.steal || a->options.truncate);
	assert_false(a->options.replay.set || a->options.mode.set);
	assert_int_equal(a->options.reconnect, 500);
	assert_int_equal(a->options.reconnect_max, 30000);
	assert_null(a->options.owner);
	assert_null(a->options.escape);
	attachment_spec_free(a);
}

static void terminal_has_the_escape_of_the_daemon_unless_given(void **state)
{
	char escape[] = "^]";
	struct spec_defaults d = { .escape = escape };
	struct attachment_spec *a;

	(void)state;
	assert_int_equal(attachment_spec_parse("terminal", &d, &a, why, sizeof(why)), 0);
	escape[0] = 'x'; /* what was parsed does not need it any more */
	assert_string_equal(a->options.escape, "^]");
	attachment_spec_free(a);
	assert_int_equal(attachment_spec_parse("terminal,escape=none", &d, &a, why, sizeof(why)),
			 0);
	assert_string_equal(a->options.escape, "none");
	attachment_spec_free(a);
}

static void index_and_percent_are_replaced(void **state)
{
	struct port_spec *p = port("name=a%i-100%%,unix:/run/%i%i.sock");

	(void)state;
	assert_string_equal(p->name, "a3-100%");
	assert_string_equal(nth(p, 0)->options.address, "/run/33.sock");
	assert_string_equal(p->text, "name=a3-100%%,unix:/run/33.sock");
	port_spec_free(p);
	assert_port_refused("name=%d", "'%' is followed by something else; allowed are %i (the "
				       "device's index) and %%");
	assert_port_refused("name=%", "'%' is followed by nothing; allowed are %i (the device's "
				      "index) and %%");
}

static void sum_after_the_index_is_left_to_the_attachment(void **state)
{
	struct attachment_spec *a = attachment("tcp:4000+%i");

	(void)state;
	assert_string_equal(a->options.address, "4000+3");
	attachment_spec_free(a);
	assert_attachment_refused("tcp:65533+%i",
				  "'65533+3' is not a TCP port, a number from 0 to 65535");
	assert_attachment_refused("tcp:+%i", "'+3' is not a TCP port, a number from 0 to 65535");
	assert_attachment_refused("tcp:1+", "'1+' is not a TCP port, a number from 0 to 65535");
}

static void double_comma_is_a_comma_in_a_value(void **state)
{
	struct port_spec *p = port("name=a,,b,unix:/x,,,mode=0600");

	(void)state;
	assert_string_equal(p->name, "a,b");
	assert_string_equal(nth(p, 0)->options.address, "/x,");
	assert_string_equal(nth(p, 0)->text, "unix:/x,,,mode=0600");
	assert_int_equal(nth(p, 0)->options.mode.value, 0600);
	port_spec_free(p);
}

static void empty_word_is_refused(void **state)
{
	static const char *const texts[] = { "", ",null", "null,", "1,name=x,,," };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_port_refused(
			texts[i], "there is an empty word; words are separated by one comma each");
}

static void number_when_out_of_place_or_range_is_refused(void **state)
{
	(void)state;
	port_spec_free(port("510"));
	assert_port_refused("511", "'511' is not the number of a port, from 0 to 510");
	assert_port_refused("99999999999999999999",
			    "'99999999999999999999' is not the number of a port, from 0 to 510");
	assert_port_refused("console,1", "'1' is a number, but numbers of ports stand first");
	assert_port_refused("1,2", "'2' is a number, but numbers of ports stand first");
}

/* Clauses VC-070 and VC-072. */
static void name_that_no_guest_should_see_is_refused(void **state)
{
	static const char *const wrong[] = {
		"a/b",	    "/",    ".",    "..",	"a\nb",		"\x7f",
		"\xc2\x85", "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"
	};
	static const char *const right[] = {
		"a", "a.b", "...", "a b", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc2\xa0"
	};
	char text[64], longest[160] = "name=";
	struct port_spec *spec;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_false(port_name_valid(wrong[i]));
		snprintf(text, sizeof(text), "name=%s", wrong[i]);
		assert_int_equal(port_spec_parse(text, &defaults, &spec, why, sizeof(why)),
				 -EINVAL);
		assert_non_null(strstr(why, "is not UTF-8 without slashes and control characters"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(port_name_valid(right[i]));
	assert_false(port_name_valid(""));
	assert_port_refused("name=",
			    "name: the value has 0 bytes, allowed is a length from 1 to 128");
	memset(longest + 5, 'n', PORT_NAME_MAX);
	port_spec_free(port(longest));
	longest[5 + PORT_NAME_MAX] = 'n';
	assert_port_refused(longest,
			    "name: the value has 129 bytes, allowed is a length from 1 to 128");
	assert_false(port_name_valid(longest + 5));
}

static void word_that_is_unknown_is_refused_with_the_lists(void **state)
{
	static const char rest[] =
		" is not known; a port has console, name, overflow, history, and its attachments "
		"are terminal, tcp, telnet, unix, tcp-connect, unix-connect, pty, file, fd, log, "
		"null";
	char message[400];

	(void)state;
	snprintf(message, sizeof(message), "'udp'%s", rest);
	assert_port_refused("udp:4000", message);
	snprintf(message, sizeof(message), "'colour'%s", rest);
	assert_port_refused("unix:/x,colour=red", message);
	snprintf(message, sizeof(message), "'TCP'%s", rest);
	assert_port_refused("TCP:4000", message);
	assert_port_refused("tcp=4000", "'tcp=4000' is written tcp:ADDRESS, with a colon");
	assert_attachment_refused("udp:1",
				  "'udp' is no attachment; those are terminal, tcp, telnet, "
				  "unix, tcp-connect, unix-connect, pty, file, fd, log, null");
}

static void word_that_the_kind_does_not_take_is_refused_with_its_words(void **state)
{
	(void)state;
	assert_port_refused("file:/x,clients=2",
			    "'clients=2' does not go with file, which takes replay, mode, owner, "
			    "group, input, truncate");
	assert_port_refused("null,ro", "'ro' does not go with null, which takes nothing");
	assert_port_refused(
		"unix:/x,mode=0600,log:/y,steal",
		"'steal' does not go with log, which takes mode, owner, group, max-size, "
		"keep, timestamps, record");
	/* The same on its own, where a port's words are unknown. */
	assert_attachment_refused("null,console",
				  "'console' does not go with null, which takes nothing");
}

static void word_before_any_attachment_is_refused(void **state)
{
	(void)state;
	assert_port_refused("console,mode=0600,unix:/x",
			    "'mode=0600' belongs after an attachment, as in unix:/run/x,mode=0600");
}

static void word_that_comes_twice_is_refused(void **state)
{
	(void)state;
	assert_port_refused("name=a,name=b", "name is given twice");
	assert_port_refused("console,console", "console is given twice");
	assert_port_refused("unix:/x,mode=1,mode=1", "mode is given twice");
	port_spec_free(port("unix:/x,mode=1,unix:/y,mode=1"));
}

static void word_with_a_wrong_value_is_refused(void **state)
{
	(void)state;
	assert_port_refused("overflow=maybe", "overflow: 'maybe' is not one of auto|drop|hold");
	assert_port_refused("history=1", "history: '1' is not a size from 4K to 1G");
	assert_port_refused("console=yes", "console takes no value");
	assert_port_refused("name", "name needs a value: name=NAME");
	assert_port_refused("tcp:1,clients=0", "clients: '0' is not a number from 1 to 1024");
	assert_port_refused("unix:/x,mode=rw", "mode: 'rw' is not an octal number from 0 to 0777");
	assert_port_refused("tcp:1,replay=some",
			    "replay: 'some' is not all, none, or a size as 64K");
	assert_port_refused("tcp:1,ro=1", "ro takes no value");
	assert_port_refused("log:/x,keep", "keep needs a value: keep=N");
}

static void replay_is_all_none_or_a_size(void **state)
{
	struct attachment_spec *a = attachment("tcp:1,replay=all");

	(void)state;
	assert_true(a->options.replay.set);
	assert_true(a->options.replay.value == PORT_REPLAY_ALL);
	attachment_spec_free(a);
	a = attachment("tcp:1,replay=4K");
	assert_int_equal(a->options.replay.value, 4096);
	attachment_spec_free(a);
}

static void words_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	assert_port_refused("tcp:1,ro,steal", "ro and steal exclude each other");
	assert_port_refused("tcp-connect:h:1,reconnect=1000,reconnect-max=999",
			    "reconnect-max=999 is less than reconnect=1000");
}

static void address_that_is_missing_or_too_much_is_refused(void **state)
{
	(void)state;
	assert_port_refused("tcp", "tcp needs an address: tcp:[HOST:]PORT");
	assert_port_refused("unix:", "unix has an empty address; write unix:PATH");
	assert_port_refused("pty:", "pty has an empty address; write pty:LINK");
	assert_port_refused("null:x", "null takes no address, but ':x' follows it");
	assert_port_refused("terminal:", "terminal takes no address, but ':' follows it");
	assert_port_refused("tcp-connect:4000", "'4000' has no host; write tcp-connect:HOST:PORT");
	assert_port_refused("tcp-connect:h:0", "'h:0' has port 0, to which nobody can connect");
}

static void tcp_address_in_each_form_is_taken(void **state)
{
	static const char *const right[] = { "tcp:0",		"tcp:65535",	  "tcp:h:1",
					     "tcp:127.0.0.1:1", "tcp:[::1]:4000", "telnet:1+2+3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		attachment_spec_free(attachment(right[i]));
	assert_attachment_refused("tcp:65536",
				  "'65536' is not a TCP port, a number from 0 to 65535");
	assert_attachment_refused("tcp:h:", "'' is not a TCP port, a number from 0 to 65535");
	assert_attachment_refused("tcp:http", "'http' is not a TCP port, a number from 0 to 65535");
	assert_attachment_refused("tcp::1", "':1' has no host before its port");
	assert_attachment_refused("tcp:[]:1", "'[]:1' has no host before its port");
	assert_attachment_refused("tcp:::1:4000", "'::1:4000' has several colons; an IPv6 address "
						  "stands in brackets, as [::1]:4000");
}

static void descriptor_in_each_form_is_taken(void **state)
{
	static const char *const right[] = { "fd:3", "fd:3/4", "fd:agent", "fd:0/1" };
	static const char *const wrong[] = { "3x", "3/", "3/x", "3/4/5", "9999999999" };
	char text[32], message[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		attachment_spec_free(attachment(right[i]));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(text, sizeof(text), "fd:%s", wrong[i]);
		snprintf(message, sizeof(message),
			 "fd:%s is not a descriptor: its number, IN/OUT, or a name that begins "
			 "with no digit",
			 wrong[i]);
		assert_attachment_refused(text, message);
	}
}

static void path_that_is_too_long_for_a_socket_is_refused(void **state)
{
	char text[128] = "unix:";

	(void)state;
	memset(text + 5, 'x', 107);
	attachment_spec_free(attachment(text));
	text[5 + 107] = 'x';
	assert_attachment_refused(text,
				  "the path 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' has "
				  "108 bytes, allowed are 107");
}

static void telnet_when_this_build_has_none_is_refused(void **state)
{
	(void)state;
	have_telnet = false;
	assert_port_refused("telnet:1", "telnet needs libtelnet, which this build is without");
	have_telnet = true;
	port_spec_free(port("telnet:1"));
}

static void message_is_one_line_whatever_it_quotes(void **state)
{
	(void)state;
	assert_port_refused("tcp:1,clients=\n", "clients: '?' is not a number from 1 to 1024");
	assert_port_refused("tcp:\x1b", "'?' is not a TCP port, a number from 0 to 65535");
	assert_port_refused("1,\x1b]",
			    "'?]' is not known; a port has console, name, overflow, "
			    "history, and its attachments are terminal, tcp, telnet, unix, "
			    "tcp-connect, unix-connect, pty, file, fd, log, null");
}

static void device_of_the_manual_is_read(void **state)
{
	struct device_spec *d;

	(void)state;
	assert_int_equal(device_spec_parse("socket=/run/%i,,x,name=vm%i,max-ports=8,mode=0660,"
					   "group=kvm,resize-order=linux-legacy",
					   &defaults, &d, why, sizeof(why)),
			 0);
	assert_string_equal(d->options.socket, "/run/3,x");
	assert_string_equal(d->options.name, "vm3");
	assert_string_equal(d->options.group, "kvm");
	assert_int_equal(d->options.max_ports, 8);
	assert_int_equal(d->options.mode.value, 0660);
	assert_int_equal(d->options.resize_order, 2);
	assert_true(list_empty(&d->ports));
	device_spec_free(d);
}

static void device_without_a_name_is_called_by_its_index(void **state)
{
	struct device_spec *d;

	(void)state;
	assert_int_equal(device_spec_parse("fd=vm", &defaults, &d, why, sizeof(why)), 0);
	assert_string_equal(d->options.name, "console3");
	assert_string_equal(d->options.fd, "vm");
	assert_null(d->options.socket);
	device_spec_free(d);
	assert_int_equal(device_spec_new(1023, "/tmp/con,%", NULL, &d), 0);
	assert_string_equal(d->options.name, "console1023");
	assert_string_equal(d->options.socket, "/tmp/con,%");
	device_spec_free(d);
	assert_int_equal(device_spec_new(0, NULL, "5", &d), 0);
	assert_string_equal(d->options.fd, "5");
	device_spec_free(d);
}

static void device_that_is_wrong_is_refused(void **state)
{
	static const char one[] =
		"a device has either socket=PATH or fd=N|NAME, where its front-end is";

	(void)state;
	assert_device_refused("name=x", one);
	assert_device_refused("socket=/x,fd=3", one);
	assert_device_refused("fd=3,mode=0600", "mode, owner and group do not go with fd");
	assert_device_refused("socket=/x,name=a b",
			      "name: 'a b' is not made of letters, digits, '.', "
			      "'_' and '-', of which one at least is no digit");
	assert_device_refused("socket=/x,name=12",
			      "name: '12' is not made of letters, digits, '.', "
			      "'_' and '-', of which one at least is no digit");
	assert_device_refused("/tmp/x", "'/tmp/x' is not known; a device has socket, fd, name, "
					"max-ports, resize-order, iommu, mode, owner, group");
	assert_device_refused("socket:/x",
			      "'socket:/x' is not known; a device has socket, fd, name, "
			      "max-ports, resize-order, iommu, mode, owner, group");
	assert_device_refused("socket=/x,max-ports=512",
			      "max-ports: '512' is not a number from 1 to 511");
	assert_device_refused("socket=/x,", "there is an empty word; words are separated by one "
					    "comma each");
}

static void free_of_nothing_does_nothing(void **state)
{
	(void)state;
	attachment_spec_free(NULL);
	port_spec_free(NULL);
	device_spec_free(NULL);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(port_when_only_a_number_has_the_defaults),
	UNIT_TEST(port_of_the_manual_is_read),
	UNIT_TEST(port_without_a_number_asks_for_any),
	UNIT_TEST(overflow_when_not_given_follows_the_console),
	UNIT_TEST(history_is_rounded_up),
	UNIT_TEST(attachments_keep_their_order_and_their_words),
	UNIT_TEST(port_when_kept_without_its_attachments_lives),
	UNIT_TEST(attachment_defaults_are_those_of_the_table),
	UNIT_TEST(terminal_has_the_escape_of_the_daemon_unless_given),
	UNIT_TEST(index_and_percent_are_replaced),
	UNIT_TEST(sum_after_the_index_is_left_to_the_attachment),
	UNIT_TEST(double_comma_is_a_comma_in_a_value),
	UNIT_TEST(empty_word_is_refused),
	UNIT_TEST(number_when_out_of_place_or_range_is_refused),
	UNIT_TEST(name_that_no_guest_should_see_is_refused),
	UNIT_TEST(word_that_is_unknown_is_refused_with_the_lists),
	UNIT_TEST(word_that_the_kind_does_not_take_is_refused_with_its_words),
	UNIT_TEST(word_before_any_attachment_is_refused),
	UNIT_TEST(word_that_comes_twice_is_refused),
	UNIT_TEST(word_with_a_wrong_value_is_refused),
	UNIT_TEST(replay_is_all_none_or_a_size),
	UNIT_TEST(words_that_contradict_each_other_are_refused),
	UNIT_TEST(address_that_is_missing_or_too_much_is_refused),
	UNIT_TEST(tcp_address_in_each_form_is_taken),
	UNIT_TEST(descriptor_in_each_form_is_taken),
	UNIT_TEST(path_that_is_too_long_for_a_socket_is_refused),
	UNIT_TEST(telnet_when_this_build_has_none_is_refused),
	UNIT_TEST(message_is_one_line_whatever_it_quotes),
	UNIT_TEST(device_of_the_manual_is_read),
	UNIT_TEST(device_without_a_name_is_called_by_its_index),
	UNIT_TEST(device_that_is_wrong_is_refused),
	UNIT_TEST(free_of_nothing_does_nothing),
};

UNIT_MAIN(tests)
