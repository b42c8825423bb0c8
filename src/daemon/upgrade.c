/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "daemon/daemon.h"
#include "daemon/sandbox.h"
#include "daemon/upgrade-private.h"
#include "fd.h"
#include "log.h"
#include "systemd.h"

enum daemon_tag {
	TAG_VERSION = 1, /* of the old program, for the log */
	TAG_BEGAN,	 /* when it held still, monotonic ns */
	TAG_SYSTEMD,
	TAG_SANDBOX,
	TAG_CONTROL,
	TAG_GUEST,
	TAG_FDS, /* numbers of all descriptors that are named before */
};

enum {
	NS_PER_MS = 1000 * 1000,
	PARK_MS = 2000,	  /* for operations to be taken back */
	BUSY_MS = 20,	  /* until it is tried again */
	BUSY_TRIES = 100, /* while something is amid its end */
	PROGRAM_MAX = 4096,
};

/* Of the process, as it is about the process. */
static char program[PROGRAM_MAX];

/* The old program. */

/* Clients that cannot go along leave when it is sure that another program goes on. */
static void part(struct daemon *d, bool parting)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests)
		guest_part(list_entry(node, struct guest, link), parting);
}

static void refused(struct daemon *d, const char *why)
{
	char sentence[UPGRADE_WHY_MAX + 256];

	snprintf(sentence, sizeof(sentence), "not upgraded: %.200s: %s; all goes on as before",
		 program, why);
	d->upgrading = d->probed = false;
	part(d, false);
	d->n_upgrade_tries = 0;
	log_error(NULL, "%s", sentence);
	daemon_notify_ready(d);
	if (d->control)
		control_upgrade_failed(d->control, sentence);
}

void upgrade_ask(struct daemon *d)
{
	char why[UPGRADE_WHY_MAX];

	if (d->ending || d->upgrading)
		return;
	if (sandbox_permits_upgrade(why, sizeof(why)) < 0) {
		refused(d, why);
		return;
	}
	d->upgrading = true;
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns() / 1000);
	loop_stop(d->loop);
}

/* The probe has ended, or its time has. */
static void end_first_probe(struct daemon *d)
{
	struct upgrade_probe *probe = d->probe;
	char why[UPGRADE_WHY_MAX];
	int err;

	if (!probe)
		return;
	d->probe = NULL;
	err = upgrade_probe_finish(probe, 0, why, sizeof(why));
	if (d->ending)
		return;
	if (err < 0) {
		refused(d, why);
		return;
	}
	d->probed = true;
	part(d, true);
	loop_stop(d->loop);
}

static void probe_over(struct op *op, int res)
{
	struct daemon *d = container_of(op, struct daemon, probe_over);

	(void)res;
	op_cancel(&d->upgrade_later.op);
	end_first_probe(d);
}

static void later(struct op *op, int res)
{
	struct daemon *d = container_of(op, struct daemon, upgrade_later.op);

	if (d->probe && res == -ETIME) {
		op_cancel(&d->probe_over);
		end_first_probe(d);
	} else if (res == -ETIME && !scope_cancelling(&d->scope) && !d->ending) {
		loop_stop(d->loop);
	}
}

/* seccomp: readlink readlinkat */
void upgrade_init(struct daemon *d)
{
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[n > 0 ? n : 0] = '\0';
	op_init(&d->probe_over, &d->scope, probe_over);
	timer_init(&d->upgrade_later, &d->scope, later);
}

/* What is amid its end will be over soon; what is not is a reason not to. */
static void try_later(struct daemon *d, const char *why)
{
	if (++d->n_upgrade_tries > BUSY_TRIES) {
		refused(d, why);
		return;
	}
	log_debug(NULL, "the upgrade waits: %s", why);
	timer_arm(&d->upgrade_later, (uint64_t)BUSY_MS * NS_PER_MS);
}

static void save(const struct daemon *d, struct handover_out *out)
{
	const struct list_node *node;

	if (d->reloading || !list_empty(&d->leaving))
		handover_busy(out, "the setup is being read again");
	if (d->trace)
		handover_busy(out, "--trace cannot be handed over");
	handover_put_text(out, TAG_VERSION, PACKAGE_VERSION);
	state_put_number(&out->state, TAG_BEGAN, monotonic_ns());
	systemd_save(out, TAG_SYSTEMD);
	sandbox_save(out, TAG_SANDBOX | STATE_OPTIONAL);
	if (d->control)
		control_save(d->control, out, TAG_CONTROL);
	for (node = d->guests.next; node != &d->guests; node = node->next)
		guest_save(list_entry(node, const struct guest, link), out, TAG_GUEST);
	state_put_bytes(&out->state, TAG_FDS, out->fds, out->n_fds * sizeof(*out->fds));
}

/* The state as a file. -errno on failure. */
/* seccomp(upgrade): memfd_create write */
static int make_file(struct handover_out *out)
{
	AUTO_FD int fd = memfd_create("vhu-upgrade", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < out->state.len;) {
		ssize_t n = write(fd, out->state.buf + at, out->state.len - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return fd_take(&fd);
}

/* While everything goes on. */
static int begin_first_probe(struct daemon *d, int fd, const struct handover_out *out)
{
	int err = upgrade_probe_start(program, d->argv, fd, out, &d->probe);

	if (err < 0)
		return err;
	op_poll(&d->probe_over, upgrade_probe_fd(d->probe), POLLIN);
	timer_arm(&d->upgrade_later, (uint64_t)UPGRADE_FIRST_MS * NS_PER_MS);
	return 0;
}

/* While everything is at rest. Returns only on failure. */
static int probe_and_execute(struct daemon *d, int fd, const struct handover_out *out,
			     char *ret_why, size_t why_cap)
{
	struct upgrade_probe *probe;
	int err = upgrade_probe_start(program, d->argv, fd, out, &probe);

	if (err == 0)
		err = upgrade_probe_finish(probe, UPGRADE_LAST_MS, ret_why, why_cap);
	if (err < 0)
		return err;
	err = upgrade_exec(program, d->argv, fd, out);
	snprintf(ret_why, why_cap, "it cannot be executed: %s", strerror(-err));
	return err;
}

/* Everything is at rest. Zero also when that comes later: then out says why. */
static int hand_over(struct daemon *d, struct handover_out *out, char *ret_why, size_t why_cap)
{
	AUTO_FD int fd = -1;
	int err;

	save(d, out);
	if (out->why[0])
		return 0;
	err = out->failed ? -ENOMEM : state_finish(&out->state);
	if (err == 0)
		err = fd = make_file(out);
	if (err >= 0 && d->probed)
		return probe_and_execute(d, fd, out, ret_why, why_cap);
	if (err >= 0)
		err = begin_first_probe(d, fd, out);
	if (err < 0)
		snprintf(ret_why, why_cap, "it cannot be asked: %s", strerror(-err));
	return err;
}

static void hold_and_hand_over(struct daemon *d)
{
	struct handover_out out;
	char why[UPGRADE_WHY_MAX] = "it cannot be started";
	int err;

	if (!places_at_rest(d->places)) {
		try_later(d, "something has just happened");
		return;
	}
	handover_out_init(&out);
	err = hand_over(d, &out, why, sizeof(why));
	if (err < 0)
		refused(d, why);
	else if (out.why[0])
		try_later(d, out.why);
	handover_out_fini(&out);
}

void upgrade_now(struct daemon *d)
{
	const uint64_t patience = (uint64_t)PARK_MS * NS_PER_MS;
	int err;

	if (d->ending || !d->upgrading)
		return;
	err = places_park(d->places, patience);
	if (err == 0) {
		err = loop_park(d->loop, patience);
		if (err == 0) {
			if (!d->ending)
				hold_and_hand_over(d);
			loop_unpark(d->loop);
		}
		places_unpark(d->places);
	}
	if (err < 0)
		refused(d, "an operation could not be taken back in time");
}

/* The new program. */

static int parse_variable(const char *text, int *ret_fd, bool *ret_check)
{
	char *end;
	unsigned long fd = strtoul(text, &end, 10);

	*ret_check = strcmp(end, "," UPGRADE_CHECK) == 0;
	if (end == text || fd >= HANDOVER_FD_MAX || (*end && !*ret_check))
		return -EINVAL;
	*ret_fd = (int)fd;
	return 0;
}

/* seccomp(start): fstat newfstatat mmap munmap */
static int map_file(struct upgrade_from *from, int fd)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return -EINVAL;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	from->bytes = bytes;
	from->len = (size_t)st.st_size;
	return 0;
}

int upgrade_find(struct upgrade_from *ret_from, char *ret_why, size_t why_cap)
{
	const char *text = getenv(UPGRADE_VARIABLE);
	char version[64];
	int err, fd;

	*ret_from = (struct upgrade_from){ .len = 0 };
	if (!text)
		return 0;
	err = parse_variable(text, &fd, &ret_from->check);
	unsetenv(UPGRADE_VARIABLE);
	if (ret_from->check)
		unsetenv("NOTIFY_SOCKET"); /* a probe has nothing to tell */
	if (err == 0)
		err = map_file(ret_from, fd);
	if (err == 0)
		err = handover_in_init(&ret_from->in, ret_from->bytes, ret_from->len);
	if (err < 0) {
		snprintf(ret_why, why_cap, "no state to go on from (" UPGRADE_VARIABLE "): %s",
			 strerror(-err));
		return err;
	}
	fd_close(fd);
	handover_take_text(&ret_from->in, TAG_VERSION, "version", version, sizeof(version));
	ret_from->began_ns =
		state_take_number(&ret_from->in.state, TAG_BEGAN, "beginning", UINT64_MAX);
	systemd_load(&ret_from->in, TAG_SYSTEMD);
	sandbox_load(&ret_from->in, TAG_SANDBOX);
	if (ret_from->in.state.failed) {
		snprintf(ret_why, why_cap, "the state to go on from: %s", ret_from->in.state.why);
		return -EINVAL;
	}
	return 1;
}

void upgrade_drop(struct upgrade_from *from)
{
	handover_in_fini(&from->in);
	if (from->bytes)
		munmap(from->bytes, from->len);
	from->bytes = NULL;
}

static void load_guest(struct daemon *d, struct handover_in *in)
{
	const struct spec_defaults defaults = {
		.history = d->setup->options.history,
		.escape = d->setup->options.escape,
	};
	struct guest *g;

	guest_load(places_pick(d->places), &defaults, in, TAG_GUEST, &g);
	if (!g)
		return;
	list_append(&d->guests, &g->link);
	places_count(g, 1);
}

/* Descriptors that the state names, and nobody wanted: of what this program does not know. */
static void close_rest(struct handover_in *in)
{
	const uint8_t *bytes;
	size_t len = state_take_bytes(&in->state, TAG_FDS, "descriptors",
				      HANDOVER_FD_MAX * sizeof(int), &bytes);

	for (size_t i = 0; i + sizeof(int) <= len; i += sizeof(int)) {
		int fd;

		memcpy(&fd, bytes + i, sizeof(fd));
		if (!handover_taken(in, fd) && fd > STDERR_FILENO)
			fd_close(fd);
	}
}

int upgrade_load(struct daemon *d, struct upgrade_from *from)
{
	struct handover_in *in = &from->in;
	int err;

	if (state_has(&in->state, TAG_CONTROL))
		daemon_load_control(d, in, TAG_CONTROL);
	while (state_has(&in->state, TAG_GUEST))
		load_guest(d, in);
	close_rest(in);
	err = state_end_of(&in->state);
	if (err < 0)
		log_error(NULL, "cannot go on from the state that was handed over: %s",
			  in->state.why);
	return err;
}

/* seccomp(start): write exit_group */
void upgrade_go_on(struct daemon *d, struct upgrade_from *from)
{
	uint64_t ms = (monotonic_ns() - from->began_ns) / NS_PER_MS;

	if (from->check) {
		static const char ready[] = UPGRADE_READY "\n";

		(void)!write(STDOUT_FILENO, ready, sizeof(ready) - 1);
		_exit(EXIT_SUCCESS);
	}
	upgrade_drop(from);
	places_go_on(d->places);
	if (loop_is_parked(d->loop))
		loop_unpark(d->loop);
	log_info(NULL, "upgraded: version " PACKAGE_VERSION " goes on after %" PRIu64 " ms", ms);
}
