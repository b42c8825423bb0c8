/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A console's driver that puts up with what a strict one would not: it notes
 * every control message and leaves the judgement to the case. The host's side
 * of a port, too. Lives in trial.device_state.
 *
 * As with trial.h: a negative result has given the trial its verdict.
 */
#ifndef VHU_CONFORM_CASE_CONSOLE_H
#define VHU_CONFORM_CASE_CONSOLE_H

#include "conform/trial/trial-ring.h"
#include "virtio/console-ctrl.h"

enum {
	CON_CTRL_RX = 2,
	CON_CTRL_TX = 3,
	CON_PAGE = 4096,
	CON_PORTS = 64, /* numbers that are kept track of */
	CON_MSGS = 512, /* messages that are noted */
	CON_DATA = 256, /* bytes of each beyond its head */
	CON_ANY = -1,
	CON_SETTLE_MS = 60, /* no message for so long: that was all */

	CON_SIZE = 1, /* feature bits as masks */
	CON_MULTIPORT = 2,
};

static inline unsigned int con_rx(unsigned int id)
{
	return id == 0 ? 0 : 2 * id + 2;
}

static inline unsigned int con_tx(unsigned int id)
{
	return con_rx(id) + 1;
}

struct con_msg {
	uint32_t id;
	uint16_t event, value;
	uint32_t len; /* of the used entry */
	uint8_t data[CON_DATA];
};

struct con_port {
	bool added, ready, console, host_open;
	unsigned int n_added, n_removed, n_opens; /* messages, ever */
};

struct con_page {
	uint64_t addr;
	uint8_t *host;
	uint32_t len;
};

struct con {
	uint8_t *map; /* of the memory that the pages are in */
	bool multiport;
	unsigned int n_ports; /* with rings that run */
	bool strict;	      /* used lengths must be right: the case is about them */
	bool remarked;	      /* that they are not */
	bool hold;	      /* control buffers that came back stay here, until con_release() */
	unsigned int n_held;
	struct con_page ctrl[8], *held[8], ctrl_out, out;
	struct con_page in[8]; /* con_post_input() */
	unsigned int n_in;
	struct con_msg msgs[CON_MSGS];
	unsigned int n_msgs, n_seen; /* seen: by con_expect() */
	struct con_port ports[CON_PORTS];
};

/* The driver of this trial, once it has begun. */
static inline struct con *con_of(struct trial *t)
{
	return t->device_state;
}

const char *con_event_name(unsigned int event);

/* A driver that begins: nothing is known, nothing is posted. */
int con_begin(struct trial *t);

/* With F_MULTIPORT n (at most 8) buffers of len bytes for control messages, which are posted again
 * each time. */
int con_post_control(struct trial *t, unsigned int n, uint32_t len);

/*
 * Boots without prepare(), begins; no buffers yet. plan: NULL for the usual. Not
 * applicable without F_MULTIPORT.
 */
int con_boot_bare(struct trial *t, const struct trial_plan *plan);

/* The same with buffers for control messages. */
int con_boot(struct trial *t, const struct trial_plan *plan);

/* Boots, and shakes hands until no message comes any more: all ports are ready, and open. */
int con_start(struct trial *t, const struct trial_plan *plan);

/* con_start() with n buffers for control messages, and maybe no message. */
int con_start_with(struct trial *t, unsigned int n);

/* The same with one buffer, and any port joined; from now on the device has no buffer, until
 * con_release(). */
int con_start_holding(struct trial *t, unsigned int *ret_id);

/* con_start() and con_join(), or con_join_any(). */
int con_start_join(struct trial *t, const struct trial_plan *plan, bool console,
		   unsigned int *ret_id);
int con_start_join_any(struct trial *t, const struct trial_plan *plan, unsigned int *ret_id);

/* DEVICE_READY, and each port that is added made ready and opened, until no message comes. */
int con_shake_hands(struct trial *t);

/* A buffer for the device to write. */
int con_post(struct trial *t, unsigned int ring, struct con_page *page);

/* The next buffer back on a ring, whether there are calls or not; *ret_token NULL: none within ms.
 */
int con_take(struct trial *t, unsigned int ring, void **ret_token, uint32_t *ret_len, int ms);

/* The used length of a chain without room for the device. */
int con_check_length(struct trial *t, unsigned int ring, uint32_t used_len);

/* A message to the device; returns when its buffer is back, with used length 0. */
int con_tell(struct trial *t, uint32_t id, uint16_t event, uint16_t value);
int con_tell_bytes(struct trial *t, const void *bytes, size_t len);
int con_tell_pieces(struct trial *t, const struct driverq_buf *bufs, unsigned int n);

/* Waits up to ms for one more message; *ret_msg NULL: none came. Noted, its buffer posted again. */
int con_hear(struct trial *t, struct con_msg **ret_msg, int ms);

/* Control buffers that were held are posted, and each that comes back again. */
int con_release(struct trial *t);

/* Notes what comes until nothing comes for ms. */
int con_settle(struct trial *t, int ms);

/* The next message not seen yet that is of this port and event (and value, or CON_ANY). */
int con_expect(struct trial *t, uint32_t id, unsigned int event, int value,
	       struct con_msg **ret_msg);

/* None of this event (or CON_ANY) for port id (or CON_ANY) among those from first on, nor while it
 * is quiet. */
int con_expect_none(struct trial *t, unsigned int first, int64_t id, int event, const char *after);

/* The first message from index first on for a port and event; NULL: none. */
struct con_msg *con_find(struct trial *t, unsigned int first, uint32_t id, unsigned int event);

/* The first ready port that is (not) a console; not applicable if there is none. */
int con_pick(struct trial *t, bool console, unsigned int *ret_id);

/* The same with its host side connected, and nothing of old on its way. */
int con_join(struct trial *t, bool console, unsigned int *ret_id);

/* The same of port id; -ENOENT without a verdict when --peer has no address of it. */
int con_join_port(struct trial *t, unsigned int id);

/* Skips at t->peer_fd what was written to port id before; until what is written now comes. */
int con_sync(struct trial *t, unsigned int id);

/* The same of any port, one that is not a console rather than one that is. */
int con_join_any(struct trial *t, unsigned int *ret_id);

/*
 * Output until the device keeps a page for TRIAL_QUIET_MS (*ret_held; that page
 * is the device's still) or max bytes were taken. ret_len (or NULL): how many
 * bytes it was given, which are con_fill()'s of seed 1 + page.
 */
int con_fill_up(struct trial *t, unsigned int id, size_t max, bool *ret_held, size_t *ret_len);

/* The host side of port id, as --peer says: "{port}" in it, or port 0's. -ENOENT without a verdict:
 * none. */
int con_connect(struct trial *t, unsigned int id, int *ret_fd);

/* t->peer_fd becomes the host side of port id; not applicable if --peer has no address of it. */
int con_reach(struct trial *t, unsigned int id);

/* The same of a port that was reached before. */
int con_reach_again(struct trial *t, unsigned int id);

/* A port's host side closes: t->peer_fd. */
void con_leave(struct trial *t);

/* All of len bytes of output, a page at a time, each taken before the next. */
int con_write(struct trial *t, unsigned int id, const void *bytes, size_t len);

/* n lines of output on port 0, one after the other. */
int con_exchange(struct trial *t, unsigned int n);

/* The same while the device has con_of(t)->out. */
int con_write_beside(struct trial *t, unsigned int id, const void *bytes, size_t len);

/* One chain of output, not waited for. The bytes must stay where they are: up to a page of
 * con_of(t)->out. */
int con_offer_output(struct trial *t, unsigned int id, const void *bytes, size_t len);

/* n (at most 8) buffers of len (at most a page) bytes on the port's receive ring. */
int con_post_input(struct trial *t, unsigned int id, unsigned int n, uint32_t len);

/* The next of them: its page and how much is in it; posted again if wanted. NULL: none within ms.
 */
int con_take_input(struct trial *t, unsigned int id, struct con_page **ret_page, uint32_t *ret_len,
		   int ms);

/* Exactly these bytes of input, whatever pieces they come in; posts buffers again. */
int con_expect_input(struct trial *t, unsigned int id, const void *bytes, size_t len,
		     const char *what);

/* The host's side: all of these bytes, in time. */
int con_peer_write(struct trial *t, const void *bytes, size_t len);

/* At most cap bytes, until none has come for quiet_ms. */
int con_peer_read_some(struct trial *t, void *bytes, size_t cap, int quiet_ms, size_t *ret_n);

/* Expects these very bytes at the host's side. */
int con_peer_expect(struct trial *t, const void *bytes, size_t len, const char *what);

/* These bytes go through port id to its host, and back. what: "all 256 bytes". */
int con_both_ways(struct trial *t, unsigned int id, const void *bytes, size_t len,
		  const char *what);

/* Fails unless all of got is as wanted. */
int con_compare(struct trial *t, const char *what, const void *got, const void *wanted, size_t len);

/* RESIZE, CONSOLE_PORT and the others came for port id in an order that a driver understands. */
int con_check_order(struct trial *t, uint32_t id);

/* Bytes that are as good as random, the same each time. */
void con_fill(uint8_t *bytes, size_t len, uint64_t seed);

/* GET_CONFIG; max_nr_ports of it. */
int con_read_config(struct trial *t, uint32_t off, uint32_t len, uint8_t *bytes);
int con_max_ports(struct trial *t, uint32_t *ret_n);

/* Runs an action with words "port=N" and up to two more (or NULL). */
int con_act(struct trial *t, const char *name, unsigned int port, const char *word,
	    const char *other);

#endif
