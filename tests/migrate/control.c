/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "migrate.h"
#include "virtio/console-ctrl.h"

enum { MAX_EXPECTED = MAX_PORTS + 4 };

enum happening { NOTHING, PLUG, RENAME, UNPLUG, RESIZE };

/* One more port than those with streams comes and goes. */
static const enum happening course[] = { PLUG, RESIZE, RENAME, NOTHING, UNPLUG, RESIZE };

struct expected {
	unsigned int id, event, n;
};

static struct {
	bool plugged;
	char name[32]; /* of the port that comes and goes */
	unsigned int cols;
	unsigned int begin; /* events before that are of earlier moves */
	struct expected expected[MAX_EXPECTED];
	unsigned int n_expected;
} c;

static unsigned int extra_id(void)
{
	return m.n_ports + 1;
}

static void expect(unsigned int id, unsigned int event, unsigned int n)
{
	for (unsigned int i = 0; i < c.n_expected; i++) {
		if (c.expected[i].id == id && c.expected[i].event == event) {
			c.expected[i].n += n;
			return;
		}
	}
	c.expected[c.n_expected++] = (struct expected){ id, event, n };
}

void control_expect_open(unsigned int id, unsigned int n)
{
	expect(id, CONSOLE_PORT_OPEN, n);
}

static void accepted(const char *answer)
{
	if (strncmp(answer, "{\"ok\":true", 10) != 0)
		die("the daemon refuses: %s", answer);
}

static void plug(struct run_daemon *d)
{
	accepted(daemon_ask(d, "{\"command\":\"add-port\",\"spec\":\"%u,name=%s,null\"}",
			    extra_id(), c.name));
}

static void set_size(struct run_daemon *d)
{
	accepted(daemon_ask(d, "{\"command\":\"set-port\",\"port\":0,\"size\":\"%ux25\"}", c.cols));
}

static void happen_at(struct run_daemon *d, enum happening what)
{
	switch (what) {
	case NOTHING:
		return;
	case PLUG:
		plug(d);
		return;
	case RENAME:
		accepted(daemon_ask(d, "{\"command\":\"rename-port\",\"port\":%u,\"name\":\"%s\"}",
				    extra_id(), c.name));
		return;
	case UNPLUG:
		accepted(daemon_ask(d, "{\"command\":\"remove-port\",\"port\":%u}", extra_id()));
		return;
	case RESIZE:
		set_size(d);
		return;
	}
}

static void expect_happening(enum happening what)
{
	if (what == RESIZE)
		expect(0, CONSOLE_RESIZE, 1);
	if (what == RENAME || what == UNPLUG)
		expect(extra_id(), CONSOLE_PORT_REMOVE, 1);
	if (what == PLUG || what == RENAME) {
		expect(extra_id(), CONSOLE_PORT_ADD, 1);
		expect(extra_id(), CONSOLE_PORT_NAME, 1);
		expect(extra_id(), CONSOLE_PORT_OPEN, 1); /* an attachment without clients */
	}
}

void control_happen(unsigned int n)
{
	enum happening what = course[n % ARRAY_SIZE(course)];

	if (what == PLUG || what == RENAME)
		snprintf(c.name, sizeof(c.name), "port-of-move-%u", n);
	if (what == RESIZE)
		c.cols = 100 + n;
	c.plugged = what == PLUG || (c.plugged && what != UNPLUG);
	happen_at(source(), what);
	happen_at(destination(), what);
	expect_happening(what);
}

void control_equip(struct run_daemon *d)
{
	if (c.plugged)
		plug(d);
	if (c.cols > 0)
		set_size(d);
}

void control_begin(void)
{
	c.begin = m.guest.n_events;
	c.n_expected = 0;
}

static unsigned int count(const struct expected *e)
{
	unsigned int n = 0;

	for (unsigned int i = c.begin; i < m.guest.n_events; i++)
		n += m.guest.events[i].id == e->id && m.guest.events[i].event == e->event;
	return n;
}

static const struct expected *first_missing(void)
{
	for (unsigned int i = 0; i < c.n_expected; i++)
		if (count(&c.expected[i]) < c.expected[i].n)
			return &c.expected[i];
	return NULL;
}

/* That nobody is there any more is told behind the last input: it is taken meanwhile. */
void control_await(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	const struct expected *e;

	while ((e = first_missing())) {
		if (monotonic_ms() > deadline)
			die("port %u: control message %u came %u times, expected %u", e->id,
			    e->event, count(e), e->n);
		for (unsigned int i = 0; i < m.n_ports; i++)
			side_receive(&m.ports[i].side, UINT_MAX);
		must(&m.fe, guest_poll_control(&m.guest), "the control queue");
		must(&m.fe, vhu_frontend_ping(&m.fe), "a barrier");
	}
}

void control_check(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c.n_expected; i++) {
		const struct expected *e = &c.expected[i];

		n += e->n;
		if (count(e) != e->n)
			die("port %u: control message %u came %u times, expected %u", e->id,
			    e->event, count(e), e->n);
	}
	if (m.guest.n_events - c.begin != n)
		die("%u control messages came, expected %u", m.guest.n_events - c.begin, n);
	if (c.plugged && strcmp(m.guest.ports[extra_id()].name, c.name) != 0)
		die("the port is called \"%s\", expected \"%s\"", m.guest.ports[extra_id()].name,
		    c.name);
	if (c.cols > 0 && (m.guest.ports[0].cols != c.cols || m.guest.ports[0].rows != 25))
		die("the console has %ux%u, expected %ux25", m.guest.ports[0].cols,
		    m.guest.ports[0].rows, c.cols);
}
