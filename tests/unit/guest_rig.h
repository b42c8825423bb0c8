/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest of the daemon in a folder of its own, its loop turned by hand. */
#ifndef VHU_TESTS_GUEST_RIG_H
#define VHU_TESTS_GUEST_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "daemon/guest.h"
#include "log.h"

enum {
	RIG_MAX_PORTS = 8,
	DEADLINE_SECONDS = 30,
};

struct rig {
	struct loop *loop;
	struct guest_env env;
	struct spec_defaults defaults;
	struct guest *guest;
	char folder[32];
	char path[96];
	char why[GUEST_WHY_MAX];
	unsigned int n_disconnected, n_closed, n_settled;
};

static struct rig rig;

static inline const char *rig_path(const char *name)
{
	snprintf(rig.path, sizeof(rig.path), "%s/%s", rig.folder, name);
	return rig.path;
}

static inline void on_settled(void *arg)
{
	((struct rig *)arg)->n_settled++;
}

static inline void on_never(void *arg)
{
	(void)arg;
	fail_msg("nobody has left");
}

static inline void on_disconnected(struct guest *g)
{
	(void)g;
	rig.n_disconnected++;
}

static inline void on_closed(struct guest *g)
{
	(void)g;
	rig.n_closed++;
}

static inline time_t rig_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static inline void rig_step_before(time_t deadline)
{
	assert_true(rig_seconds() < deadline);
	assert_int_equal(loop_step(rig.loop, false), 0);
	sched_yield();
}

#define PUMP_UNTIL(condition)                                                                      \
	for (time_t deadline_ = rig_seconds() + DEADLINE_SECONDS; !(condition);)                   \
	rig_step_before(deadline_)

static inline void rig_prepare(void)
{
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	memset(&rig, 0, sizeof(rig));
	snprintf(rig.folder, sizeof(rig.folder), "/tmp/vhu-guest.XXXXXX");
	assert_non_null(mkdtemp(rig.folder));
	if (loop_new(256, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	rig.env = (struct guest_env){
		.loop = rig.loop,
		.max_queue_size = 256,
		.quit = on_never,
		.finished = on_never,
		.settled = on_settled,
		.arg = &rig,
	};
	rig.defaults = (struct spec_defaults){ .history = 64 * 1024, .escape = "none" };
}

/* A path after a kind is put into our folder: "unix:a" is "unix:/tmp/vhu-guest.x/a". */
static inline void rig_text(const char *text, char *buf, size_t cap)
{
	size_t len = 0;

	while (*text != '\0') {
		bool path = strncmp(text, ",unix:", 6) == 0 || strncmp(text, ",log:", 5) == 0;
		size_t n = path ? strcspn(text, ":") + 1 : 1;

		if (strncmp(text, "unix:", 5) == 0 && len == 0) {
			path = true;
			n = 5;
		}
		len += (size_t)snprintf(buf + len, cap - len, "%.*s%s%s", (int)n, text,
					path ? rig.folder : "", path ? "/" : "");
		text += n;
	}
}

static inline struct port_spec *rig_port(const char *text)
{
	struct port_spec *spec = NULL;
	char buf[512];

	rig_text(text, buf, sizeof(buf));
	if (port_spec_parse(buf, &rig.defaults, &spec, rig.why, sizeof(rig.why)) < 0)
		fail_msg("%s: %s", buf, rig.why);
	return spec;
}

/* As setup.c does it: a port without a number gets the lowest that no port has. */
static inline bool rig_number_taken(const struct device_spec *device, int number)
{
	const struct list_node *node = device->ports.next;

	for (; node != &device->ports; node = node->next)
		if (list_entry(node, const struct port_spec, link)->number == number)
			return true;
	return false;
}

static inline struct device_spec *rig_device_of(const char *const *ports)
{
	struct device_spec *spec = NULL;
	char text[256];

	snprintf(text, sizeof(text), "name=vm,max-ports=%d,socket=%s", RIG_MAX_PORTS,
		 rig_path("front"));
	if (device_spec_parse(text, &rig.defaults, &spec, rig.why, sizeof(rig.why)) < 0)
		fail_msg("%s", rig.why);
	for (; *ports; ports++) {
		struct port_spec *port = rig_port(*ports);
		int number = 1;

		while (port->number == SPEC_NUMBER_ANY && rig_number_taken(spec, number))
			number++;
		if (port->number == SPEC_NUMBER_ANY)
			port->number = number;
		list_append(&spec->ports, &port->link);
	}
	return spec;
}

#define rig_device(...) rig_device_of((const char *const[]){ __VA_ARGS__, NULL })

static inline void rig_begin_with(const char *const *ports)
{
	rig_prepare();
	if (guest_new(&rig.env, rig_device_of(ports), &rig.defaults, -1, &rig.guest, rig.why,
		      sizeof(rig.why)) < 0)
		fail_msg("%s", rig.why);
}

#define rig_begin(...) rig_begin_with((const char *const[]){ __VA_ARGS__, NULL })

static inline void rig_settle(void)
{
	PUMP_UNTIL(guest_settled(rig.guest));
}

static inline void rig_apply_all(const char *const *ports)
{
	struct device_spec *spec = rig_device_of(ports);

	guest_apply(rig.guest, spec, &rig.defaults);
	device_spec_free(spec);
	rig_settle();
	guest_apply_rest(rig.guest);
}

#define rig_apply(...) rig_apply_all((const char *const[]){ __VA_ARGS__, NULL })

static inline int rig_add(const char *text)
{
	struct guest_port *p;

	return guest_add_port(rig.guest, rig_port(text), &p, rig.why, sizeof(rig.why));
}

static inline int rig_attach(struct guest_port *p, const char *text,
			     struct guest_attachment **ret_attachment)
{
	struct attachment_spec *spec = NULL;
	char buf[512];

	rig_text(text, buf, sizeof(buf));
	if (attachment_spec_parse(buf, &rig.defaults, &spec, rig.why, sizeof(rig.why)) < 0)
		fail_msg("%s", rig.why);
	return guest_attach(p, spec, ret_attachment, rig.why, sizeof(rig.why));
}

static inline const struct guest_port *guest_find_number_of(unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return guest_find_port(rig.guest, text);
}

static inline unsigned int rig_n_clients(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RIG_MAX_PORTS; i++) {
		const struct port *port = console_port(&rig.guest->console, i);

		n += port ? port->n_clients : 0;
	}
	return n;
}

/* A client of a Unix attachment, when the port has it. */
static inline int rig_connect(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned int before = rig_n_clients();

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig_path(name));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail_msg("%s: %s", rig.path, strerror(errno));
	PUMP_UNTIL(rig_n_clients() > before);
	return fd;
}

static inline void rig_output(unsigned int number, const char *text)
{
	struct port *port = console_port(&rig.guest->console, number);

	assert_non_null(port);
	port_output(port, text, strlen(text));
	port_output_done(port);
}

static inline void rig_output_bytes(unsigned int number, size_t n)
{
	static const char zeroes[65536];
	struct port *port = console_port(&rig.guest->console, number);

	assert_true(n <= sizeof(zeroes));
	port_output(port, zeroes, n);
	port_output_done(port);
}

/* What comes next is text. */
static inline void rig_expect(int fd, const char *text)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t len = strlen(text), done = 0;
	char buf[256];

	while (done < len) {
		ssize_t n = recv(fd, buf + done, len - done, 0);

		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else
			assert_true(n > 0);
		done += n > 0 ? (size_t)n : 0;
		rig_step_before(deadline);
	}
	assert_memory_equal(buf, text, len);
}

/* Nothing more comes, and the other side has closed. */
static inline void rig_expect_end(int fd)
{
	char byte;

	PUMP_UNTIL(recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET);
}

static inline void rig_end(void)
{
	char command[64];

	guest_disconnect(rig.guest, on_disconnected);
	PUMP_UNTIL(rig.n_disconnected > 0);
	guest_close(rig.guest, false, on_closed);
	assert_int_equal(rig.n_closed, 0);
	PUMP_UNTIL(rig.n_closed > 0);
	guest_free(rig.guest);
	loop_free(rig.loop);
	snprintf(command, sizeof(command), "rm -rf %s", rig.folder);
	assert_int_equal(system(command), 0);
}

#endif
