/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Journals of a guest: which files, and who has one. */
#include "daemon/guest-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/port-journal.h"
#include "log.h"
#include "virtio/console-journal.h"

/* Of the device, or of a port of it. */
static int journal_path(const struct guest *g, const struct guest_port *p, char *path, size_t cap,
			char *ret_why, size_t why_cap)
{
	const char *name = g->spec->options.name;
	int n;

	if (p)
		n = snprintf(path, cap, "%s/%s.p%u.journal", g->env->journal, name, p->number);
	else
		n = snprintf(path, cap, "%s/%s.journal", g->env->journal, name);
	if (strchr(name, '/') || (size_t)n >= cap) {
		snprintf(ret_why, why_cap, "%s: expected a name that can be that of a file in %s",
			 name, g->env->journal);
		return -EINVAL;
	}
	return 0;
}

int guest_open_journal(struct guest *g, char *ret_why, size_t why_cap)
{
	char path[4096];
	int err;

	if (!g->env->journal)
		return 0;
	err = journal_path(g, NULL, path, sizeof(path), ret_why, why_cap);
	return err < 0 ? err : console_journal_new(&g->console, path, ret_why, why_cap);
}

int guest_open_port_journal(struct guest_port *p, char *ret_why, size_t why_cap)
{
	struct port_journal *j;
	char path[4096];
	int err;

	if (!p->guest->env->journal || p->port.overflow != PORT_HOLD)
		return 0;
	err = journal_path(p->guest, p, path, sizeof(path), ret_why, why_cap);
	if (err < 0)
		return err;
	err = port_journal_new(path, p->port.out.size, &j, ret_why, why_cap);
	if (err < 0)
		return err;
	port_journal_begin(j, &p->port);
	if (bytering_used(&p->port.out) > 0 || bytering_used(&p->port.in) > 0)
		log_info(p->who, "%zu bytes of output and %zu of input are kept from before",
			 bytering_used(&p->port.out), bytering_used(&p->port.in));
	return 0;
}

/* seccomp: stat fstat newfstatat */
bool guest_journal_is_there(const struct guest *g)
{
	char path[4096], why[GUEST_WHY_MAX];
	struct stat here, there;

	return g->env->journal &&
	       journal_path(g, NULL, path, sizeof(path), why, sizeof(why)) == 0 &&
	       fstat(console_journal_fd(&g->console), &here) == 0 && stat(path, &there) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* seccomp: unlink unlinkat */
void guest_remove_port_journal(struct guest_port *p)
{
	char path[4096], why[GUEST_WHY_MAX];

	if (p->port.journal && journal_path(p->guest, p, path, sizeof(path), why, sizeof(why)) == 0)
		unlink(path);
}
