/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packed rings: what arrives of a console's output. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-packed.h"

enum {
	PIECES = 5,
	ROUNDS = 4,
	TRIES = 8, /* until the host's side is taken */
	HEARD_MAX = 65536,
};

/* Whether the host's side gets the bytes of request 0 within ms, whatever comes before them. */
static int arrives(struct packed *p, int ms, bool *ret_seen)
{
	const struct device_request *r = &p->h.q[0].r;
	int64_t deadline = monotonic_ms() + trial_ms(p->t, ms);
	struct pollfd peer = { .fd = p->t->peer_fd, .events = POLLIN };
	static uint8_t heard[HEARD_MAX];
	size_t len = 0;

	*ret_seen = false;
	while (!*ret_seen && len < sizeof(heard)) {
		int64_t left = deadline - monotonic_ms();
		ssize_t n;

		if (left <= 0 || poll(&peer, 1, (int)left) <= 0)
			return 0;
		n = read(peer.fd, heard + len, sizeof(heard) - len);
		if (n <= 0)
			return trial_fail(p->t, "the console's other side: expected output, but "
						"the connection ended");
		len += (size_t)n;
		*ret_seen = memmem(heard, len, r->out, r->out_len) != NULL;
	}
	return 0;
}

/* The host's side, and the first request that it gets. */
static int join(struct packed *p)
{
	struct trial *t = p->t;
	bool seen = false;
	int err = 0;

	if (target_connect_peer(t->target, &t->peer_fd) < 0)
		return trial_error(t, "the console's other side: %s", t->target->error);
	for (unsigned int i = 0; i < TRIES && err == 0 && !seen; i++) {
		err = packed_burst(p, 1, 1, false);
		if (err == 0)
			err = arrives(p, TRIAL_ANSWER_MS / TRIES, &seen);
	}
	if (err < 0 || seen)
		return err;
	return trial_fail(t, "output in one descriptor: expected it at the host's side, but it did "
			     "not come");
}

static int all_arrive(struct trial *t, bool indirect)
{
	AUTO(packed_fini) struct packed p = { .t = t };
	int err = packed_boot(t, NULL, &p);

	if (err == 0)
		err = join(&p);
	for (unsigned int i = 0; i < ROUNDS && err == 0; i++) {
		bool seen = false;

		err = packed_burst(&p, 1, PIECES, indirect);
		if (err == 0)
			err = arrives(&p, TRIAL_ANSWER_MS, &seen);
		if (err == 0 && !seen)
			err = trial_fail(t,
					 "output of %zu bytes in %d pieces%s: expected it at the "
					 "host's side, but it did not come as it is",
					 p.h.q[0].r.out_len, PIECES, indirect ? " of a table" : "");
	}
	return err;
}

int case_packed_list_arrives(struct trial *t)
{
	return all_arrive(t, false);
}

int case_packed_table_arrives(struct trial *t)
{
	return all_arrive(t, true);
}
