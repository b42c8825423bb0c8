/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "backends/telnet.h"
#include "daemon/setup.h"
#include "systemd.h"

enum { WORDS_MAX = 600, LISTEN_FDS_START = 3 };

static char why[768];
static struct setup *setup;
static char config_path[64];

/* Sockets of a service manager that is not there: names, from descriptor 3 on. */
static const char *inherited[4];

unsigned int systemd_n_sockets(void)
{
	unsigned int n = 0;

	while (n < ARRAY_SIZE(inherited) && inherited[n])
		n++;
	return n;
}

const char *systemd_socket_name(unsigned int idx)
{
	return inherited[idx];
}

int systemd_socket_fd(unsigned int idx)
{
	return LISTEN_FDS_START + (int)idx;
}

int systemd_find_fd(const char *text, unsigned int nth)
{
	if (text[0] >= '0' && text[0] <= '9')
		return atoi(text);
	for (unsigned int i = 0; i < systemd_n_sockets(); i++) {
		if (strcmp(inherited[i], text) == 0 && nth-- == 0)
			return systemd_socket_fd(i);
	}
	return -1;
}

bool telnet_available(void)
{
	return true;
}

static void inherit(const char *first, const char *second, const char *third)
{
	inherited[0] = first;
	inherited[1] = second;
	inherited[2] = third;
}

static int setup_test(void **state)
{
	inherit(NULL, NULL, NULL);
	setup = NULL;
	snprintf(config_path, sizeof(config_path), "/tmp/vhu-setup.%d", getpid());
	return unit_setup(state);
}

static int teardown_test(void **state)
{
	setup_free(setup);
	unlink(config_path);
	return unit_teardown(state);
}

/* Loads words separated by spaces, FILE standing for config_path, into setup. */
static int load(const char *line)
{
	char copy[8192], joined[96], *argv[WORDS_MAX] = { copy };
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	snprintf(joined, sizeof(joined), "--config=%s", config_path);
	for (char *word = strtok(copy, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "FILE") == 0	    ? config_path
			       : strcmp(word, "--config=FILE") == 0 ? joined
								    : word;
	setup_free(setup);
	setup = NULL;
	why[0] = '\0';
	return setup_load(argc, argv, &setup, why, sizeof(why));
}

static void load_good(const char *line)
{
	if (load(line) < 0)
		fail_msg("%s: %s", line, why);
}

static void assert_refused(const char *line, const char *message)
{
	assert_int_equal(load(line), -EINVAL);
	assert_string_equal(why, message);
}

static void write_config(const char *text)
{
	FILE *file = fopen(config_path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct device_spec *device(unsigned int idx)
{
	const struct list_node *node = setup->devices.next;

	assert_true(idx < setup->n_devices);
	for (; idx > 0; idx--)
		node = node->next;
	return list_entry(node, struct device_spec, link);
}

/* "0 0,console,terminal|1 name=x": numbers and texts of a device's ports. */
static void assert_ports(unsigned int idx, const char *want)
{
	const struct list_node *head = &device(idx)->ports;
	char got[1024] = "";

	for (const struct list_node *node = head->next; node != head; node = node->next) {
		const struct port_spec *port = list_entry(node, struct port_spec, link);

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%d %s", got[0] ? "|" : "",
			 port->number, port->text);
	}
	assert_string_equal(got, want);
}

static void socket_path_alone_is_a_console_on_the_terminal(void **state)
{
	(void)state;
	load_good("-s /tmp/con --escape ^] --history 8K");
	assert_int_equal(setup->n_devices, 1);
	assert_string_equal(device(0)->options.socket, "/tmp/con0");
	assert_string_equal(device(0)->options.name, "console0");
	assert_int_equal(device(0)->options.max_ports, 1);
	assert_false(device(0)->rows_first);
	assert_ports(0, "0 0,console,terminal");
	{
		const struct port_spec *p = list_first(&device(0)->ports, struct port_spec, link);
		const struct attachment_spec *a =
			list_first(&p->attachments, struct attachment_spec, link);

		assert_true(p->console);
		assert_int_equal(p->overflow, PORT_DROP);
		assert_int_equal(p->history, 8192);
		assert_string_equal(p->name, "");
		assert_int_equal(a->options.kind, ATTACHMENT_terminal);
		assert_string_equal(a->options.escape, "^]");
	}
	assert_null(setup->control);
}

static void network_is_one_tcp_port_after_the_other(void **state)
{
	(void)state;
	load_good("-s /tmp/con -c 3 -b network -p 4000");
	assert_int_equal(setup->n_devices, 3);
	assert_ports(0, "0 0,console,tcp:127.0.0.1:4000");
	assert_ports(2, "0 0,console,tcp:127.0.0.1:4002");
	assert_string_equal(device(2)->options.socket, "/tmp/con2");
	assert_string_equal(device(2)->options.name, "console2");
}

/* The seed's messages, whichever ports are there. */
static void shorthands_that_cannot_be_are_refused(void **state)
{
	(void)state;
	assert_refused("", "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
	assert_refused("-b network",
		       "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
	assert_refused("-s p --fd 3", "--fd does not go together with --socket-path");
	assert_refused("-s p -c 2",
		       "--backend nested serves one guest, not 2: use --backend network");
	assert_refused("-s p -b network -c 3 -p 65534",
		       "--tcp-port: 3 guests need ports up to 65536, the highest is 65535");
	assert_refused("--fd 0",
		       "--fd 0 is the console's own; pass the socket as another descriptor");
	assert_refused("-s p -c 2 --port name=x",
		       "--backend nested serves one guest, not 2: use --backend network");
}

static void fds_are_devices_in_order(void **state)
{
	(void)state;
	load_good("--fd 7 --fd 5 -b network");
	assert_int_equal(setup->n_devices, 2);
	assert_string_equal(device(0)->options.fd, "7");
	assert_string_equal(device(1)->options.fd, "5");
	assert_null(device(0)->options.socket);
	assert_ports(1, "0 0,console,tcp:127.0.0.1:12346");
}

static void port_comes_beside_the_console(void **state)
{
	(void)state;
	load_good("-s /tmp/con --port name=org.qemu.guest_agent.0,unix:/run/g%i.sock");
	assert_ports(0, "0 0,console,terminal|"
			"1 name=org.qemu.guest_agent.0,unix:/run/g0.sock");
	assert_int_equal(device(0)->options.max_ports, 2);
}

static void port_with_number_0_takes_the_place_of_the_console(void **state)
{
	(void)state;
	load_good("-s /tmp/con -c 2 --port 0,unix:/a%i --port null");
	assert_ports(1, "0 0,unix:/a1|1 null");
	load_good("-s /tmp/con --port null --port console,pty");
	assert_ports(0, "0 console,pty|1 null");
	assert_refused("-s p -b nested --port 0,null",
		       "--backend is port 0, and so is --port 0,null: leave one out");
	assert_refused("-s p -b network --port console,null",
		       "--backend is port 0, and so is --port console,null: leave one out");
}

static void console_when_0_is_taken_is_another_console(void **state)
{
	(void)state;
	load_good("-s p --port 0,console,null --port console,pty --port 1,name=x");
	assert_ports(0, "0 0,console,null|1 1,name=x|2 console,pty");
	load_good("-s p --port console --port console");
	assert_ports(0, "0 console|1 console");
}

static void numbers_that_are_free_are_given_from_1_on(void **state)
{
	(void)state;
	load_good(
		"--device socket=/d --port name=a --port 2,name=b --port name=c --port 1 --port 9");
	assert_ports(0, "1 1|2 2,name=b|3 name=a|4 name=c|9 9");
	assert_int_equal(device(0)->options.max_ports, 10);
}

static void ports_after_a_device_are_its_own(void **state)
{
	(void)state;
	load_good("-s /tmp/con -c 2 -b network --port name=all "
		  "--device socket=/d2,name=vm --port console,null "
		  "--device socket=/d%i,max-ports=5 --port name=own%i --port 3");
	assert_int_equal(setup->n_devices, 4);
	assert_ports(0, "0 0,console,tcp:127.0.0.1:12345|1 name=all");
	assert_ports(1, "0 0,console,tcp:127.0.0.1:12346|1 name=all");
	assert_ports(2, "0 console,null");
	assert_ports(3, "1 name=own3|3 3");
	assert_string_equal(device(2)->options.name, "vm");
	assert_string_equal(device(3)->options.name, "console3");
	assert_string_equal(device(3)->options.socket, "/d3");
	assert_int_equal(device(3)->options.max_ports, 5);
}

static void device_without_ports_is_refused(void **state)
{
	(void)state;
	assert_refused("--device socket=/d",
		       "console0 has no ports: add --port after its --device");
	assert_refused("--device socket=/a --device socket=/b --port null",
		       "console0 has no ports: add --port after its --device");
}

static void options_that_are_for_no_device_are_refused(void **state)
{
	(void)state;
	assert_refused("--port null --device socket=/d --port null",
		       "--port null stands before the first --device, but there is no "
		       "--socket-path that it could be for");
	assert_refused("-b network --device socket=/d --port null",
		       "--backend and --tcp-port are not for --device, which has --port");
	assert_refused("-c 2 --device socket=/d --port null", "--socket-count needs --socket-path");
}

static void number_at_or_above_max_ports_is_refused(void **state)
{
	(void)state;
	load_good("-s p --port 3 --max-ports 4");
	assert_int_equal(device(0)->options.max_ports, 4);
	assert_refused("-s p --port 4 --max-ports 4",
		       "console0 has a port of number 4, but max-ports is 4");
	assert_refused("--device socket=/d,max-ports=1 --port name=x",
		       "console0 has a port of number 1, but max-ports is 1");
	load_good("--device socket=/d,max-ports=6 --port name=x --max-ports 1");
	assert_int_equal(device(0)->options.max_ports, 6);
}

static void all_511_numbers_can_be_given(void **state)
{
	char line[8192] = "--device socket=/d";

	(void)state;
	for (int i = 0; i < 511; i++)
		strcat(line, " --port=pty");
	assert_refused(line, "console0 has no number left below 511 for port 'pty'");
	strcpy(strstr(line, "--port=pty"), "--port=null,console");
	for (int i = 0; i < 510; i++)
		strcat(line, " --port=pty");
	load_good(line);
	assert_int_equal(device(0)->options.max_ports, 511);
}

static void number_that_comes_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("-s p --port 3 --port 3,name=x", "console0 has two ports of number 3");
	load_good("--device socket=/a --port 3 --device socket=/b --port 3");
}

/* Clause VC-071. */
static void name_that_comes_twice_in_a_guest_is_refused(void **state)
{
	(void)state;
	assert_refused("-s p --port 3,name=a --port name=a",
		       "console0 has two ports of the name 'a', 1 and 3");
	load_good("--device socket=/a --port name=a --device socket=/b --port name=a");
}

static void thing_that_is_used_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("-s /con --port unix:/con0",
		       "path /con0 is used twice, by device console0 and console0 port 1");
	assert_refused("-s /con -b network --port tcp:12345",
		       "TCP port 12345 of 127.0.0.1 is used twice, by console0 port 0 and console0 "
		       "port 1");
	assert_refused("-s /con -c 2 -b network --port log:/x",
		       "path /x is used twice, by console0 port 1 and console1 port 1");
	assert_refused("-s /con --control /c --port pty:/c",
		       "path /c is used twice, by --control and console0 port 1");
	assert_refused("--fd 5 --port fd:5",
		       "descriptor 5 is used twice, by device console0 and console0 port 1");
	assert_refused("-s /con --port fd:7/8 --port fd:8",
		       "descriptor 8 is used twice, by console0 port 1 and console0 port 2");
	assert_refused("--device socket=/a,name=x --port 0 --device socket=/b,name=x --port 0",
		       "the name x is used twice, by device x and device x");
	assert_refused("--device socket=/a,name=console1 --port 0 --device socket=/b --port 0",
		       "the name console1 is used twice, by device console1 and device console1");
	assert_refused("-s p --port 1,terminal",
		       "a second terminal, on console0 port 1: there is one only");
	assert_refused("-s p --port fd:2", "fd 2 is for messages; pass another descriptor");
	assert_refused("-s p --port fd:1",
		       "descriptor 1 is used twice, by console0 port 0 and console0 port 1");
}

static void things_that_can_be_shared_are_allowed(void **state)
{
	(void)state;
	load_good("-s p -c 2 -b network --port file:/dev/null --port unix-connect:/x "
		  "--port tcp-connect:h:1 --port tcp:0 --port pty");
	load_good("-s p -b network --port tcp:[::1]:12345 --port fd:0/1");
}

static void message_about_a_port_quotes_it(void **state)
{
	(void)state;
	assert_refused("-s p --port 1,tcp:x",
		       "--port 1,tcp:x: 'x' is not a TCP port, a number from 0 to 65535");
	assert_refused("--device /d --port 0",
		       "--device /d: '/d' is not known; a device has socket, fd, name, max-ports, "
		       "resize-order, iommu, mode, owner, group, allow-uid, allow-gid");
}

static void resize_order_is_the_daemons_unless_the_device_has_one(void **state)
{
	(void)state;
	load_good("--resize-order linux-legacy --device socket=/a --port 0 "
		  "--device socket=/b,resize-order=spec --port 0 "
		  "--device socket=/c,resize-order=auto --port 0");
	assert_true(device(0)->rows_first);
	assert_false(device(1)->rows_first);
	assert_true(device(2)->rows_first);
	load_good("-s p");
	assert_false(device(0)->rows_first);
	load_good("--device socket=/b,resize-order=linux-legacy --port 0");
	assert_true(device(0)->rows_first);
}

static void control_is_a_path_with_mode_and_owner(void **state)
{
	(void)state;
	load_good("-s p --control /run/c.sock,mode=0660,group=kvm");
	assert_string_equal(setup->control->options.address, "/run/c.sock");
	assert_int_equal(setup->control->options.mode.value, 0660);
	assert_string_equal(setup->control->options.group, "kvm");
	assert_refused("-s p --control /c,ro",
		       "--control /c,ro: 'ro' is not known; mode, owner, group, allow-uid and "
		       "allow-gid may follow the path");
	assert_refused("-s p --control /c,clients=64",
		       "--control /c,clients=64: 'clients=64' is not known; mode, owner, group, "
		       "allow-uid and allow-gid may follow the path");
	assert_refused("-s p --control /c,mode=9",
		       "--control /c,mode=9: mode: '9' is not an octal number from 0 to 0777");
	assert_refused("-s p --control ,mode=0600",
		       "--control ,mode=0600: there is no path; write --control PATH[,mode=MODE]");
}

static void config_file_stands_where_its_option_stands(void **state)
{
	(void)state;
	write_config("# ports for all\nport name=first\n\nsocket-count = 2\nbackend network\n");
	load_good("-s /tmp/con --port name=zero --config FILE --port name=last --tcp-port 80");
	assert_int_equal(setup->n_devices, 2);
	assert_ports(1, "0 0,console,tcp:127.0.0.1:81|1 name=zero|2 name=first|3 name=last");
	load_good("-c 1 --config=FILE -s q");
	assert_int_equal(setup->options.socket_count, 2);
	load_good("--config FILE -c 1 -s q");
	assert_int_equal(setup->options.socket_count, 1);
}

static void config_file_may_have_everything(void **state)
{
	(void)state;
	write_config("device socket=/run/vm1,name=vm1\n"
		     "  port = console,telnet:4000+%i,log:/var/log/vm1.log,max-size=1M,keep=3\n"
		     "  port = name=org.qemu.guest_agent.0,unix:/run/vm1-ga.sock,mode=0660\n"
		     "device socket=/run/vm2,name=vm2\n"
		     "  port = console,tcp:4000+%i\n"
		     "control /run/c,mode=0660\n");
	load_good("--config FILE");
	assert_int_equal(setup->n_devices, 2);
	assert_ports(0, "0 console,telnet:4000+0,log:/var/log/vm1.log,max-size=1M,keep=3|"
			"1 name=org.qemu.guest_agent.0,unix:/run/vm1-ga.sock,mode=0660");
	assert_ports(1, "0 console,tcp:4000+1");
}

static void config_word_that_looks_like_the_option_is_a_value(void **state)
{
	(void)state;
	load_good("-s --config --escape x -b network");
	assert_string_equal(setup->options.socket_path, "--config");
	assert_int_equal(setup->options.configs.n_items, 0);
}

static void message_about_a_config_file_names_its_line(void **state)
{
	char message[300];

	(void)state;
	write_config("socket-path p\n\nport 1,colour\n");
	assert_int_equal(load("--config FILE"), -EINVAL);
	snprintf(message, sizeof(message), "%s:3: --port 1,colour: 'colour' is not known",
		 config_path);
	assert_memory_equal(why, message, strlen(message));
	write_config("tcp-port 0\n");
	assert_int_equal(load("--config FILE -s p"), -EINVAL);
	snprintf(message, sizeof(message), "%s:1: --tcp-port: '0' is not a number from 1 to 65535",
		 config_path);
	assert_string_equal(why, message);
	write_config("\nport\n");
	assert_int_equal(load("--config FILE -s p"), -EINVAL);
	snprintf(message, sizeof(message), "%s:2: --port needs a value: --port SPEC", config_path);
	assert_string_equal(why, message);
	write_config("config other\n");
	assert_int_equal(load("--config FILE -s p"), -EINVAL);
	snprintf(message, sizeof(message),
		 "%s:1: config belongs on the command line, not in a file", config_path);
	assert_string_equal(why, message);
}

static void config_file_that_is_not_there_is_refused(void **state)
{
	char message[128];

	(void)state;
	assert_int_equal(load("-s p --config FILE"), -ENOENT);
	snprintf(message, sizeof(message), "%s: No such file or directory", config_path);
	assert_string_equal(why, message);
}

static void load_again_gives_another_setup(void **state)
{
	struct setup *first;

	(void)state;
	write_config("port name=a\n");
	load_good("-s p --config FILE");
	first = setup;
	setup = NULL;
	write_config("port name=b\n");
	load_good("-s p --config FILE");
	assert_ports(0, "0 0,console,terminal|1 name=b");
	setup_free(first);
	assert_ports(0, "0 0,console,terminal|1 name=b");
}

static void inherited_sockets_are_devices(void **state)
{
	(void)state;
	inherit("unknown", "control", "unknown");
	load_good("-b network --port name=x");
	assert_int_equal(setup->n_devices, 2);
	assert_string_equal(device(0)->options.fd, "3");
	assert_string_equal(device(1)->options.fd, "5");
	assert_ports(1, "0 0,console,tcp:127.0.0.1:12346|1 name=x");
}

static void inherited_socket_of_an_attachment_is_no_device(void **state)
{
	(void)state;
	inherit("vm", "agent", NULL);
	load_good("--port name=x,fd:agent");
	assert_int_equal(setup->n_devices, 1);
	assert_string_equal(device(0)->options.fd, "3");
	inherit("agent", "vm", NULL);
	load_good("--port name=x,fd:3");
	assert_int_equal(setup->n_devices, 1);
	assert_string_equal(device(0)->options.fd, "4");
}

static void inherited_sockets_when_others_are_named_are_no_devices(void **state)
{
	(void)state;
	inherit("vm", "agent", NULL);
	load_good("-s p --port fd:agent");
	assert_int_equal(setup->n_devices, 1);
	assert_string_equal(device(0)->options.socket, "p0");
	load_good("--device fd=vm,name=guest --port fd:agent");
	assert_int_equal(setup->n_devices, 1);
	assert_string_equal(device(0)->options.fd, "vm");
	assert_refused("--device fd=vn --port 0", "no socket of the name 'vn' was inherited");
	assert_refused("--device fd=vm --port fd:3",
		       "descriptor 3 is used twice, by device console0 and console0 port 1");
}

static void inherited_control_socket_alone_serves_nobody(void **state)
{
	(void)state;
	inherit("control", NULL, NULL);
	assert_refused("", "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
}

static void more_devices_than_allowed_are_refused(void **state)
{
	(void)state;
	load_good("-s p -c 1024 -b network");
	assert_refused("-s p -c 1024 -b network --device socket=/d --port 0",
		       "there are more than 1024 devices, which is the most allowed");
}

static void words_without_a_service_have_no_devices(void **state)
{
	(void)state;
	load_good("--help --junk");
	assert_true(setup->options.help);
	assert_int_equal(setup->n_devices, 0);
	load_good("--junk --config FILE --print-capabilities");
	assert_true(setup->options.print_capabilities);
	load_good("-V");
	assert_true(setup->options.version);
	setup_free(NULL);
}

#define SETUP_TEST(f) UNIT_TEST_WITH(f, setup_test, teardown_test)

static const struct CMUnitTest tests[] = {
	SETUP_TEST(socket_path_alone_is_a_console_on_the_terminal),
	SETUP_TEST(network_is_one_tcp_port_after_the_other),
	SETUP_TEST(shorthands_that_cannot_be_are_refused),
	SETUP_TEST(fds_are_devices_in_order),
	SETUP_TEST(port_comes_beside_the_console),
	SETUP_TEST(port_with_number_0_takes_the_place_of_the_console),
	SETUP_TEST(console_when_0_is_taken_is_another_console),
	SETUP_TEST(numbers_that_are_free_are_given_from_1_on),
	SETUP_TEST(ports_after_a_device_are_its_own),
	SETUP_TEST(device_without_ports_is_refused),
	SETUP_TEST(options_that_are_for_no_device_are_refused),
	SETUP_TEST(number_at_or_above_max_ports_is_refused),
	SETUP_TEST(all_511_numbers_can_be_given),
	SETUP_TEST(number_that_comes_twice_is_refused),
	SETUP_TEST(name_that_comes_twice_in_a_guest_is_refused),
	SETUP_TEST(thing_that_is_used_twice_is_refused),
	SETUP_TEST(things_that_can_be_shared_are_allowed),
	SETUP_TEST(message_about_a_port_quotes_it),
	SETUP_TEST(resize_order_is_the_daemons_unless_the_device_has_one),
	SETUP_TEST(control_is_a_path_with_mode_and_owner),
	SETUP_TEST(config_file_stands_where_its_option_stands),
	SETUP_TEST(config_file_may_have_everything),
	SETUP_TEST(config_word_that_looks_like_the_option_is_a_value),
	SETUP_TEST(message_about_a_config_file_names_its_line),
	SETUP_TEST(config_file_that_is_not_there_is_refused),
	SETUP_TEST(load_again_gives_another_setup),
	SETUP_TEST(inherited_sockets_are_devices),
	SETUP_TEST(inherited_socket_of_an_attachment_is_no_device),
	SETUP_TEST(inherited_sockets_when_others_are_named_are_no_devices),
	SETUP_TEST(inherited_control_socket_alone_serves_nobody),
	SETUP_TEST(more_devices_than_allowed_are_refused),
	SETUP_TEST(words_without_a_service_have_no_devices),
};

UNIT_MAIN(tests)
