/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A session that goes on in another program, as a daemon's do at an upgrade: it
 * is written down, ends here unseen by its front-end, and is made again of that,
 * with the same descriptors under the same numbers.
 */
#include "session.h"

#include "handover.h"
#include "vhu/backend-handover.h"

enum {
	TAG = 1,
	KEPT_FROM = 128, /* numbers of the copies */
	KEPT_MAX = 100,
	PATCHES_MAX = 8,
	AMID = 128, /* one step of the loop is made first, in which not all is done */
	FIRST_PATCH = STATE_HEADER_LEN + STATE_FIELD_LEN, /* after the outermost group's header */
	PARK_NS = 1000 * 1000 * 1000,
};

struct kept {
	int number, copy;
};

/* Copies of what the state names. Returns how many, or -1: there are too many. */
static int keep(const struct handover_out *out, struct kept kept[KEPT_MAX])
{
	int n = 0;

	if (out->n_fds > KEPT_MAX)
		return -1;
	for (size_t i = 0; i < out->n_fds; i++, n++) {
		kept[n].number = out->fds[i];
		kept[n].copy = fcntl(out->fds[i], F_DUPFD_CLOEXEC, KEPT_FROM);
		must(kept[n].copy >= 0);
	}
	return n;
}

/* Everything but what the fields say stays whole: changed bytes, and the checksum over them. */
static void patch(struct handover_out *out, struct input *in, unsigned int n)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t len = out->state.len - STATE_CHECK_LEN;

	for (unsigned int i = 0; i < n; i++) {
		size_t at = FIRST_PATCH + input_u16(in) % (len - FIRST_PATCH);

		out->state.buf[at] = input_u8(in);
	}
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ out->state.buf[i]) * UINT64_C(0x100000001b3);
	sum = htole64(sum);
	memcpy(out->state.buf + len, &sum, sizeof(sum));
}

/* What else is open here is not to be had: in another process it would not be there. */
static void guard_others(struct handover_in *in, const struct kept *kept, int n)
{
	memset(in->taken, 1, FUZZ_FDS);
	for (int i = 0; i < n; i++)
		in->taken[kept[i].number] = 0;
}

/*
 * The program that has written its state does nothing more; here it has to end first.
 * An operation that waits for that, a reply's for one, would still be done.
 */
static void take_away(const struct kept *kept, int n)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	must(nothing >= 0);
	for (int i = 0; i < n; i++)
		must(dup3(nothing, kept[i].number, O_CLOEXEC) == kept[i].number);
	close(nothing);
}

static void load(struct session *s, const struct handover_out *out, const struct kept *kept, int n)
{
	struct handover_in in;

	for (int i = 0; i < n; i++)
		must(dup3(kept[i].copy, kept[i].number, O_CLOEXEC) == kept[i].number);
	must(handover_in_init(&in, out->state.buf, out->state.len) == 0);
	guard_others(&in, kept, n);
	must(session_load_backend(s, &in, TAG) == 0);
	if (in.state.failed) {
		must(fuzz_is_sentence(in.state.why));
		vhu_backend_close(s->b, LOG_LEVEL_ERROR, NULL);
	}
	for (int i = 0; i < n; i++) {
		if (!handover_taken(&in, kept[i].number))
			close(kept[i].number);
		close(kept[i].copy);
	}
	handover_in_fini(&in);
}

void session_upgrade(struct session *s, struct input *in)
{
	struct kept kept[KEPT_MAX];
	struct handover_out out;
	uint8_t how = input_u8(in);
	int n = -1;

	if (how & AMID)
		must(loop_step(s->loop, false) == 0);
	if (!s->b || s->b->closing || loop_park(s->loop, PARK_NS) < 0)
		return;
	handover_out_init(&out);
	if (s->b && !s->b->closing)
		vhu_backend_save(s->b, &out, TAG);
	if (s->b && !s->b->closing && out.why[0] == '\0' && !out.failed)
		n = keep(&out, kept);
	must(state_finish(&out.state) == 0);
	if (n >= 0) {
		take_away(kept, n);
		vhu_backend_close(s->b, LOG_LEVEL_INFO, NULL);
	}
	loop_unpark(s->loop);
	if (n >= 0) {
		session_close_backend(s);
		patch(&out, in, how % PATCHES_MAX);
		load(s, &out, kept, n);
	}
	handover_out_fini(&out);
}
