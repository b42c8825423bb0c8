/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "migrate.h"

enum { LEAVING = 8 }; /* one of so many moves, some clients do not wait for the guest's return */

static unsigned int count_clients(struct run_daemon *d)
{
	const char *at = daemon_ask(d, "{\"command\":\"status\"}");
	unsigned int n = 0;

	while ((at = strstr(at, "\"what\":\"unix "))) {
		at++;
		n++;
	}
	return n;
}

static int connect_to(struct run_daemon *d, unsigned int id)
{
	char path[128];

	daemon_port_path(d, id, path);
	return daemon_dial_patiently(d, path);
}

/* Until as many are there as have come and not left. */
static void await_clients(void)
{
	int64_t deadline = monotonic_ms() + RUN_WAIT_MS;
	unsigned int n = 0;

	for (unsigned int i = 0; i < m.n_ports; i++)
		n += m.ports[i].there >= 0;
	while (count_clients(destination()) != n) {
		be_busy();
		if (monotonic_ms() > deadline)
			die("the destination has not %u clients: %s", n,
			    daemon_ask(destination(), "{\"command\":\"status\"}"));
	}
}

/*
 * A client that has sent its last byte gets output for a while longer, and one
 * that is gone looks the same: what it gets is lost with it.
 */
void clients_go_ahead(void)
{
	await_clients();
	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct move_port *p = &m.ports[i];

		if (p->there < 0 && run_random() % 2)
			p->there = connect_to(destination(), p->side.id);
	}
	await_clients();
}

void clients_read_on(void)
{
	for (unsigned int i = 0; i < m.n_ports; i++)
		if (run_random() % 2)
			side_client_receive(&m.ports[i].side);
}

void clients_drain(uint64_t *n_out, uint64_t *n_in)
{
	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct move_port *p = &m.ports[i];
		uint8_t byte;

		if (!side_client_receive(&p->side))
			die("port %u: the source has closed the connection", p->side.id);
		if (p->there >= 0 && read(p->there, &byte, 1) >= 0)
			die("port %u: the destination gives bytes, or closes, before it has any",
			    p->side.id);
		*n_out += p->side.out.sent - p->side.out.got;
		*n_in += p->side.in.sent - p->side.in.got;
	}
}

void clients_follow(void)
{
	bool some_leave = run_random() % LEAVING == 0;

	for (unsigned int i = 0; i < m.n_ports; i++)
		if (m.ports[i].there < 0) /* "closed" is told first, as nobody was there */
			control_expect_open(m.ports[i].side.id, 1);
	control_await();
	for (unsigned int i = 0; i < m.n_ports; i++) {
		struct move_port *p = &m.ports[i];
		int left = p->side.fd;

		if (p->there < 0) {
			p->there = connect_to(source(), p->side.id);
			control_expect_open(p->side.id, 1);
		}
		p->side.fd = p->there;
		p->there = some_leave && run_random() % 2 ? fd_close(left) : left;
	}
	control_await();
}

void clients_forget(void)
{
	for (unsigned int i = 0; i < m.n_ports; i++)
		m.ports[i].there = fd_close(m.ports[i].there);
}
