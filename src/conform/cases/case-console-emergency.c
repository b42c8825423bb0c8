/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Characters that a guest writes before it has a driver. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum { EMERG_OFFSET = 8, FIELD_LEN = 4, CONFIG_LEN = 12 };

static int write_at(struct trial *t, uint32_t off, const void *bytes, uint32_t len)
{
	int err = vhu_frontend_set_config(&t->fe, off, bytes, len, VHU_CONFIG_GUEST, true);

	return trial_step(t, err, "SET_CONFIG of %u bytes at %u", len, off);
}

/* Only the low byte is the character. */
static int emergency(struct trial *t, char c)
{
	const uint8_t field[FIELD_LEN] = { (uint8_t)c, 0x56, 0x34, 0x12 };

	return write_at(t, EMERG_OFFSET, field, sizeof(field));
}

static int bare(struct trial *t)
{
	return trial_handshake_protocol(t, trial_protocol(t));
}

int case_vc_emergency_early(struct trial *t)
{
	int err = bare(t);

	if (err == 0)
		err = emergency(t, 'A');
	return err < 0 ? err : trial_ping(t);
}

int case_vc_emergency_offered(struct trial *t)
{
	int err = trial_handshake_with(t, trial_features(t) | BIT(2), trial_protocol(t));

	if (err == 0)
		err = emergency(t, 'B');
	return err < 0 ? err : trial_ping(t);
}

int case_vc_emergency_byte(struct trial *t)
{
	int err = bare(t);

	if (err == 0)
		err = write_at(t, EMERG_OFFSET, "C", 1);
	return err < 0 ? err : trial_ping(t);
}

int case_vc_emergency_readback(struct trial *t)
{
	static const uint8_t zeros[FIELD_LEN];
	uint8_t got[FIELD_LEN];
	int err = bare(t);

	if (err == 0)
		err = emergency(t, 'D');
	if (err == 0)
		err = con_read_config(t, EMERG_OFFSET, sizeof(got), got);
	if (err == 0 && memcmp(got, zeros, sizeof(got)) != 0)
		err = trial_fail(t,
				 "after a write to emerg_wr: expected it to read as 0, but its low "
				 "byte is %#x",
				 got[0]);
	return err;
}

/* A chain outside of memory stops a ring, and nothing else. */
int case_vc_emergency_fault(struct trial *t)
{
	static const struct trial_plan plan = { .only_ring = true, .no_prepare = true };
	unsigned int ring = trial_ring(t);
	int err = trial_boot(t, &plan);

	if (err < 0)
		return err;
	trial_desc(t, ring, 0, UINT64_MAX - 4095, 16, 0, 0);
	trial_avail(t, ring, 0);
	err = trial_kick(t, ring);
	if (err == 0)
		err = trial_ping(t);
	return err < 0 ? err : emergency(t, 'E');
}

/* What the host's side of port 0 says, until it has been silent. */
static int drain(struct trial *t)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	struct pollfd p = { .fd = t->peer_fd, .events = POLLIN };
	char buf[4096];
	ssize_t n = 1;

	while (n > 0 && poll(&p, 1, trial_ms(t, TRIAL_QUIET_MS)) > 0) {
		n = read(t->peer_fd, buf, sizeof(buf));
		if (n > 0 && monotonic_ms() > deadline)
			return trial_fail(t, "the host's side: expected it to fall silent before "
					     "anything is written, but it talks on");
	}
	if (n == 0)
		return trial_fail(t, "the host's side: expected it to stay open, but it ended");
	return 0;
}

static int connect_first(struct trial *t)
{
	int err = con_reach(t, 0);

	return err < 0 ? err : drain(t);
}

int case_vc_emergency_output(struct trial *t)
{
	static const char text[] = "emergency\n";
	int err = bare(t);

	if (err == 0)
		err = connect_first(t);
	for (const char *c = text; *c && err == 0; c++)
		err = emergency(t, *c);
	return err < 0 ? err
		       : con_peer_expect(t, text, strlen(text),
					 "writes to emerg_wr, a character "
					 "each");
}

int case_vc_emergency_zero(struct trial *t)
{
	uint8_t config[CONFIG_LEN];
	int err = bare(t);

	if (err == 0)
		err = connect_first(t);
	if (err == 0)
		err = con_read_config(t, 0, sizeof(config), config);
	memset(config + EMERG_OFFSET, 0, FIELD_LEN);
	if (err == 0)
		err = write_at(t, 0, config, sizeof(config));
	if (err == 0)
		err = emergency(t, 'Z');
	return err < 0 ? err
		       : con_peer_expect(t, "Z", 1,
					 "a write of all 12 bytes with 0 for emerg_wr, then 'Z'");
}
