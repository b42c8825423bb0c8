/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A control socket over two devices whose ports are real. What guest.c and
 * spec.c would do is done here, and counted: opening things is not the control
 * socket's business.
 */
#ifndef VHU_TESTS_CONTROL_RIG_H
#define VHU_TESTS_CONTROL_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/control-table.h"
#include "daemon/control.h"
#include "listener.h"
#include "log.h"

enum {
	HISTORY = 4096,
	DEADLINE_SECONDS = 30,
	ANSWER_MAX = 256 * 1024,
};

struct rig {
	struct loop *loop;
	struct control *control; /* NULL once closed */
	struct list_node guests;
	struct guest guest[2];
	struct device_spec spec[2];
	char folder[32], path[64];
	unsigned int n_reloads, n_disconnects, n_detached, n_closed;
	bool reload_closes;
	const char *reload_why; /* a reload fails with this, unless it is NULL */
	char answer[ANSWER_MAX];
};

static struct rig rig;

/* Doubles of guest.c and spec.c. */

static void fake_describe(const struct attachment *a, char *buf, size_t cap)
{
	(void)a;
	snprintf(buf, cap, "somewhere");
}

static const struct attachment_ops fake_ops = { .describe = fake_describe };
static struct attachment fake_attachment = { .ops = &fake_ops };

const struct attachment_row attachment_rows[ATTACHMENT_N_KINDS] = {
#define ATTACHMENT(ident, text, need, meta, sentence)                                              \
	[ATTACHMENT_##ident] = { .name = (text), .help = (sentence) },
#include "backends/attachments.def"
#undef ATTACHMENT
};

static struct guest_port *port_at(struct list_node *node)
{
	return list_entry(node, struct guest_port, link);
}

static struct guest_port *rig_add_port(struct guest *g, unsigned int number, const char *name)
{
	struct guest_port *p = calloc(1, sizeof(*p));

	p->guest = g;
	p->number = number;
	assert_int_equal(port_init(&p->port, HISTORY), 0);
	p->port.console = number == 0;
	snprintf(p->port.name, sizeof(p->port.name), "%s", name);
	snprintf(p->who, sizeof(p->who), "%s/p%u", g->spec->options.name, number);
	list_init(&p->attachments);
	list_append(&g->ports, &p->link);
	return p;
}

struct guest_port *guest_find_port(struct guest *g, const char *text)
{
	struct list_node *node, *tmp;
	char number[16];

	list_for_each (node, tmp, &g->ports) {
		snprintf(number, sizeof(number), "%u", port_at(node)->number);
		if (strcmp(number, text) == 0 || strcmp(port_at(node)->port.name, text) == 0)
			return port_at(node);
	}
	return NULL;
}

int port_spec_parse(const char *text, const struct spec_defaults *defaults,
		    struct port_spec **ret_spec, char *ret_why, size_t why_cap)
{
	(void)defaults;
	if (strcmp(text, "bad") == 0) {
		snprintf(ret_why, why_cap, "'bad' is no port");
		return -EINVAL;
	}
	*ret_spec = calloc(1, sizeof(**ret_spec));
	(*ret_spec)->text = strdup(text);
	return 0;
}

void port_spec_free(struct port_spec *spec)
{
	free(spec->text);
	free(spec);
}

int guest_add_port(struct guest *g, struct port_spec *spec, struct guest_port **ret_port,
		   char *ret_why, size_t why_cap)
{
	bool taken = strcmp(spec->text, "taken") == 0;

	if (!taken)
		*ret_port = rig_add_port(g, 7, spec->text);
	port_spec_free(spec);
	if (taken)
		snprintf(ret_why, why_cap, "the name is in use");
	return taken ? -EEXIST : 0;
}

static void fake_attachment_free(struct guest_attachment *a)
{
	list_remove(&a->link);
	free(a->spec->text);
	free(a->spec);
	free(a);
}

void guest_remove_port(struct guest_port *p)
{
	while (!list_empty(&p->attachments))
		fake_attachment_free(list_first(&p->attachments, struct guest_attachment, link));
	list_remove(&p->link);
	port_fini(&p->port);
	free(p);
}

int guest_rename_port(struct guest_port *p, const char *name, char *ret_why, size_t why_cap)
{
	if (strchr(name, '/')) {
		snprintf(ret_why, why_cap, "no slash");
		return -EINVAL;
	}
	snprintf(p->port.name, sizeof(p->port.name), "%s", name);
	return 0;
}

int attachment_spec_parse(const char *text, const struct spec_defaults *defaults,
			  struct attachment_spec **ret_spec, char *ret_why, size_t why_cap)
{
	(void)defaults;
	if (strcmp(text, "bad") == 0) {
		snprintf(ret_why, why_cap, "'bad' is no attachment");
		return -EINVAL;
	}
	*ret_spec = calloc(1, sizeof(**ret_spec));
	(*ret_spec)->text = strdup(text);
	(*ret_spec)->options.kind = ATTACHMENT_null;
	return 0;
}

int guest_attach(struct guest_port *p, struct attachment_spec *spec,
		 struct guest_attachment **ret_attachment, char *ret_why, size_t why_cap)
{
	struct guest_attachment *a = calloc(1, sizeof(*a));

	(void)ret_why;
	(void)why_cap;
	a->port = p;
	a->id = ++p->guest->last_attachment_id;
	a->spec = spec;
	a->attachment = &fake_attachment;
	list_append(&p->attachments, &a->link);
	*ret_attachment = a;
	return 0;
}

void guest_detach(struct guest_attachment *a)
{
	a->closing = true;
	rig.n_detached++;
}

struct guest_attachment *guest_find_attachment(struct guest_port *p, unsigned int id)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &p->attachments) {
		struct guest_attachment *a = list_entry(node, struct guest_attachment, link);

		if (a->id == id && !a->closing)
			return a;
	}
	return NULL;
}

/* The loop. */

static inline time_t rig_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static inline void rig_step(void)
{
	assert_int_equal(loop_step(rig.loop, false), 0);
	sched_yield();
}

static inline void rig_step_before(time_t deadline)
{
	assert_true(rig_seconds() < deadline);
	rig_step();
}

#define PUMP_UNTIL(condition)                                                                      \
	for (time_t deadline_ = rig_seconds() + DEADLINE_SECONDS; !(condition);)                   \
	rig_step_before(deadline_)

static void rig_closed(void *arg)
{
	struct rig *r = arg;

	r->n_closed++;
	r->control = NULL;
}

static int rig_reload(void *arg, char *ret_why, size_t why_cap)
{
	struct rig *r = arg;

	r->n_reloads++;
	if (r->reload_closes)
		control_close(r->control, rig_closed, r);
	if (r->reload_why)
		snprintf(ret_why, why_cap, "%s", r->reload_why);
	return r->reload_why ? -EINVAL : 0;
}

/* console0 has ports 0 and 4, "data"; console1, unless n is 1, has port 0. */
static inline void rig_begin(unsigned int n_guests)
{
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	memset(&rig, 0, sizeof(rig));
	if (loop_new(256, &rig.loop, &why) < 0)
		fail_msg("%s", why);
	list_init(&rig.guests);
	for (unsigned int i = 0; i < n_guests; i++) {
		static const struct guest_env env = { .loop_idx = 3 };
		struct guest *g = &rig.guest[i];

		rig.spec[i].options.name = i == 0 ? "console0" : "console1";
		g->spec = &rig.spec[i];
		g->env = &env;
		g->console.ctrl.n_ports = 8;
		list_init(&g->ports);
		list_append(&rig.guests, &g->link);
		rig_add_port(g, 0, "");
	}
	rig.spec[0].options.socket = "/tmp/con0";
	rig_add_port(&rig.guest[0], 4, "data");
}

/* Serves a listening socket (taken); path is its file, or NULL. */
static inline void rig_serve(int fd, const char *path)
{
	const struct control_args args = {
		.loop = rig.loop,
		.fd = fd,
		.path = path,
		.guests = &rig.guests,
		.reload = rig_reload,
		.arg = &rig,
	};

	assert_true(fd >= 0);
	assert_int_equal(control_new(&args, &rig.control), 0);
}

static inline void rig_make_folder(void)
{
	snprintf(rig.folder, sizeof(rig.folder), "/tmp/vhu-control.XXXXXX");
	assert_non_null(mkdtemp(rig.folder));
	snprintf(rig.path, sizeof(rig.path), "%s/c", rig.folder);
}

static inline void rig_listen(void)
{
	char why[256];

	rig_make_folder();
	rig_serve(listener_unix_socket(rig.path, why, sizeof(why)), rig.path);
}

static inline void rig_end(void)
{
	if (rig.control)
		control_close(rig.control, rig_closed, &rig);
	PUMP_UNTIL(rig.n_closed > 0);
	assert_int_equal(rig.n_closed, 1);
	assert_int_equal(access(rig.path, F_OK), -1); /* its file is gone with it */
	assert_int_equal(rmdir(rig.folder), 0);
	while (!list_empty(&rig.guests)) {
		struct guest *g = list_first(&rig.guests, struct guest, link);

		while (!list_empty(&g->ports))
			guest_remove_port(list_first(&g->ports, struct guest_port, link));
		list_remove(&g->link);
	}
	loop_free(rig.loop);
}

/* A client of the control socket; its descriptor does not block. */
static inline int rig_connect(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig.path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void rig_send(int fd, const void *data, size_t len)
{
	const char *at = data;

	for (time_t deadline = rig_seconds() + DEADLINE_SECONDS; len > 0;) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		rig_step_before(deadline);
	}
}

/* The next line, without its end; NULL at the end of the connection. */
static inline const char *rig_line(int fd)
{
	time_t deadline = rig_seconds() + DEADLINE_SECONDS;
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, rig.answer + len, 1, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			assert_int_equal(len, 0);
			return NULL;
		}
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else if (rig.answer[len++] == '\n')
			break;
		assert_true(len < sizeof(rig.answer));
		if (n < 0)
			rig_step_before(deadline);
	}
	rig.answer[len - 1] = '\0';
	return rig.answer;
}

static inline const char *rig_ask(int fd, const char *request)
{
	rig_send(fd, request, strlen(request));
	rig_send(fd, "\n", 1);
	return rig_line(fd);
}

/* One request over a connection of its own. */
static inline const char *rig_ask_once(const char *request)
{
	int fd = rig_connect();
	const char *answer = rig_ask(fd, request);

	close(fd);
	assert_non_null(answer);
	return answer;
}

static inline void rig_expect(const char *request, const char *answer)
{
	assert_string_equal(rig_ask_once(request), answer);
}

#define OK_ANSWER "{\"ok\":true,\"result\":{}}"
#define REFUSED(why) "{\"ok\":false,\"error\":\"" why "\"}"

#endif
