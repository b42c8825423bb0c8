/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A console device behind a session, a driver and clients of its ports, all in
 * one process, which take random steps; beside them a model of what each port
 * has to have passed on. What differs from the model ends the process.
 *
 * An episode is a device with its ports from beginning to end. All of it follows
 * from a number and a list of steps, each a kind and a number: any part of the
 * list is a list, too, which is what the shrinker lives on.
 */
#ifndef VHU_TESTS_MODEL_H
#define VHU_TESTS_MODEL_H

#include "backends/port.h"
#include "loop.h"
#include "random.h"
#include "vhu/backend.h"
#include "vhu/frontend-migrate.h"
#include "virtio/console.h"
#include "virtio/features.h"

enum {
	MODEL_NUMBERS = 4, /* port numbers of a device, at most */
	MODEL_PORTS = 5,   /* ports that may be plugged into one */
	MODEL_CLIENTS = 3, /* of each port */
	MODEL_RINGS = CONSOLE_N_QUEUES(MODEL_NUMBERS),
	MODEL_RING_MAX = 256, /* entries */
	MODEL_PIECES = 8,     /* of a chain */
	MODEL_CTRL_RX = 2,
	MODEL_CTRL_TX = 3,
	MODEL_ARENAS = 2, /* of each ring, in memory that stays and in memory that is hot-plugged */
	MODEL_ARENA_LEN = 32 * 1024,
	MODEL_CTRL_BUFS = 16,
	MODEL_CTRL_BUF_LEN = 160,
	MODEL_TELL_MAX = 64,
};

/* Regions of guest memory. */
enum { REGION_RINGS, REGION_DATA, REGION_PLUGGED, N_REGIONS };

struct model;

enum model_step_kind {
#define STEP(name, weight, text) STEP_##name,
#include "steps.def"
	N_STEP_KINDS
};

struct model_step {
	enum model_step_kind kind;
	uint64_t random; /* all its choices follow from it and from the state */
};

/* Shared with the process that began the run. */
struct model_report {
	uint64_t episode; /* the number that it follows from */
	uint64_t n_steps; /* taken in it */
	uint64_t n_all;	  /* in all episodes */
	uint64_t bytes_out, bytes_in, n_chains;
	uint64_t counts[N_STEP_KINDS]; /* of steps that could be taken */
	const void *kind;	       /* of failure; the same code fails with the same */
	char text[512];
};

/* From a position on: total bytes of the port, bytes in its ring, and what they are made of. */
struct model_stretch {
	uint64_t ring, total;
	uint32_t key;
};

struct model_client {
	struct port_client c;
	struct model_port *port;
	struct model *m;
	bool joined, reading, stealer, replayed;
	bool may_lose;	/* output has gone past it since it joined, or could have */
	uint64_t pos;	/* next byte of the ring */
	uint64_t gives; /* bytes that it would give at once */
	uint32_t order; /* of joining */
	struct rng chunks;
};

/* A port of the host side, wherever it is plugged in. */
struct model_port {
	struct port port;
	unsigned int idx;
	int number; /* -1: not plugged in */
	struct model_client clients[MODEL_CLIENTS];
	struct model_client *writer;
	uint32_t n_joined;

	struct model_stretch *stretches; /* of the output, in order */
	unsigned int n_stretches, cap_stretches;
	uint32_t key;
	uint64_t offered;   /* total bytes of output, those that wait in chains included */
	uint64_t discarded; /* while output was disabled, up to the last change of that */
	uint64_t disabled_at;
	uint64_t now_end; /* the ring has nothing from before this: it went past it */
	uint64_t lost;	  /* bytes that clients were told were lost */

	uint32_t in_key;
	uint64_t in_accepted, in_received;
};

struct model_piece {
	uint8_t *host;
	uint32_t len;
};

/* A chain that the device has. */
struct model_chain {
	struct model_port *port; /* NULL: of output that is for nobody */
	bool doomed;		 /* output that goes back unread */
	uint64_t start;		 /* of output: in the port's total */
	uint32_t key, len;
	struct model_piece pieces[MODEL_PIECES];
	unsigned int n_pieces;
	uint64_t arena_end[MODEL_ARENAS];
};

struct model_arena {
	uint8_t *host;
	uint64_t addr;
	uint64_t head, tail; /* taken and given back, as positions that only grow */
};

/* A ring as driver and front-end see it. */
struct model_ring {
	struct model_chain chains[MODEL_RING_MAX];
	unsigned int first, n; /* the oldest, and how many */
	unsigned int n_shown;  /* of them, published */
	struct model_arena arenas[MODEL_ARENAS];
	bool started, enabled;
	bool armed; /* a call is asked for and nothing had come then */
};

/* A port number as the driver sees it. */
struct model_number {
	bool added, wants_ready, ready, is_console, host_open;
	bool open;	 /* the driver has said so, or is about to */
	bool maybe_open; /* input may come */
	char name[PORT_NAME_MAX + 1];
	uint16_t cols, rows;

	struct model_port *port; /* that is plugged in */
	bool owed_remove;	 /* the port that the driver knew is gone */
	bool bound;		 /* the driver knows this port: its output is for it */
};

struct model_tell {
	uint32_t id;
	uint16_t event, value;
};

struct model {
	struct model_report *report;
	bool trace; /* steps in words, on stderr */
	char said[256];

	struct loop *loop;
	struct console con;
	struct vhu_backend *b; /* NULL: no session */
	struct vhu_frontend fe;
	unsigned int n_numbers, n_ports, n_rings;
	size_t history;
	struct model_port ports[MODEL_PORTS];
	struct model_number numbers[MODEL_NUMBERS];
	struct model_ring rings[MODEL_RINGS];

	/* The driver. */
	bool booted;
	uint64_t features;
	unsigned int n_set_up; /* rings */
	bool ctrl_withheld;    /* buffers for control messages */
	uint8_t *ctrl_in[MODEL_CTRL_BUFS];
	uint64_t ctrl_in_addr[MODEL_CTRL_BUFS];
	unsigned int n_ctrl_in, n_ctrl_kept; /* buffers; of them, those not posted */
	uint8_t *ctrl_kept[MODEL_CTRL_BUFS];
	uint8_t *ctrl_out;
	uint64_t ctrl_out_addr;
	struct model_tell tells[MODEL_TELL_MAX]; /* to be said; the first ones are on the ring */
	unsigned int n_tells, n_told;

	/* The front-end. */
	uint64_t protocol;
	bool plugged;	  /* the last region */
	uint8_t *old_map; /* memory that the back-end has no business with any more */
	size_t old_len;
	uint64_t user_base;
	struct vhu_frontend_inflight inflight; /* of this driver's rings */
};

/* Ends the process: the device differs from the model. */
PRINTF_LIKE(2, 3)
_Noreturn void model_fail(struct model *m, const char *fmt, ...);

/* What a step does, in words. Costs nothing unless somebody reads them. */
#define model_say(m, ...)                                                                          \
	do {                                                                                       \
		if ((m)->trace)                                                                    \
			model_say_words(m, __VA_ARGS__);                                           \
	} while (0)
PRINTF_LIKE(2, 3)
void model_say_words(struct model *m, const char *fmt, ...);

#define model_expect(m, cond, ...)                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			model_fail(m, __VA_ARGS__);                                                \
	} while (0)

/* model.c: an episode. It ends in good order, or the process does. */
void model_run(struct model_report *report, uint64_t episode, const struct model_step *steps,
	       size_t n_steps, bool trace);

/* The steps of an episode of length n_steps; the caller frees them. NULL: no memory. */
struct model_step *model_make_steps(uint64_t episode, size_t n_steps);
const char *model_step_name(enum model_step_kind kind);
bool model_find_step(const char *name, enum model_step_kind *ret_kind);

/* host.c: ports and their clients. */
void host_init(struct model *m, struct rng *r);
void host_fini(struct model *m);
struct model_port *host_pick(struct model *m, struct rng *r);
bool host_join(struct model_port *p, struct model_client *mc, struct rng *r);
void host_leave(struct model_client *mc);
void host_steal(struct model_client *mc);
void host_read(struct model_client *mc, size_t n_max);
void host_set_reading(struct model_client *mc, bool reading);
void host_write(struct model_port *p, size_t len);
void host_give(struct model_port *p, size_t len);
void host_enable_output(struct model_port *p, bool on);
void host_set_overflow(struct model_port *p, enum port_overflow overflow);
/* Output that was offered and not taken yet never will be. */
void host_forget_output(struct model_port *p);
/* How much output there is room for, by what the clients have read. */
uint64_t host_room(const struct model_port *p);
bool host_has_input(const struct model_port *p);
bool host_is_open(const struct model_port *p);
void host_check(struct model_port *p);

/* driver.c: the data rings. */
static inline bool model_multiport(const struct model *m)
{
	return m->features & BIT(CONSOLE_F_MULTIPORT_BIT);
}
static inline struct driverq *model_q(struct model *m, unsigned int ring)
{
	return &m->fe.rings[ring].q;
}
static inline bool model_is_ctrl(unsigned int ring)
{
	return ring == MODEL_CTRL_RX || ring == MODEL_CTRL_TX;
}
static inline unsigned int model_number_of(unsigned int ring)
{
	return ring < 2 ? 0 : (ring - 2) / 2;
}
static inline unsigned int model_rx(unsigned int number)
{
	return number == 0 ? 0 : 2 * number + 2;
}
bool driver_ring_runs(const struct model *m, unsigned int ring);
void driver_reset_ring(struct model *m, unsigned int ring);
bool driver_offer(struct model *m, unsigned int number, struct rng *r);
bool driver_post(struct model *m, unsigned int number, struct rng *r);
void driver_publish(struct model *m, unsigned int ring);
/* Where a device that knows nothing of the ring has to go on. */
uint32_t driver_base(struct model *m, unsigned int ring);
/* A ring that nobody has used yet goes on from there. */
void driver_set_base(struct model *m, unsigned int ring, uint32_t base);
void driver_kick(struct model *m, unsigned int ring);
/* Takes what has come back; how many chains. */
unsigned int driver_collect(struct model *m, unsigned int ring);
unsigned int driver_collect_all(struct model *m);
void driver_ask_for_calls(struct model *m, unsigned int ring, bool on);
void driver_check_calls(struct model *m, unsigned int ring);
bool driver_uses_plugged(const struct model *m, unsigned int ring);
/* The port of a number goes: what was offered for it is for nobody. */
void driver_doom(struct model *m, unsigned int number);

/* control.c: the control queues. */
void control_begin(struct model *m);
bool control_tell(struct model *m, uint32_t id, uint16_t event, uint16_t value);
/* Hears what has come and says what is to be said; whether there was anything. */
bool control_poll(struct model *m);
void control_check(struct model *m);

/* session.c: messages. */
void session_boot(struct model *m, struct rng *r);
/* Ends what the driver before had, and boots. */
void session_reboot(struct model *m, struct rng *r);
void session_connect(struct model *m, struct rng *r);
void session_disconnect(struct model *m);
void session_start_ring(struct model *m, unsigned int ring, struct rng *r);
void session_stop_ring(struct model *m, unsigned int ring);
/* Stops all rings without a message for each: status 0. False: it cannot. */
/*
 * Whether both control queues stand where a new driver's would begin: if one is
 * stopped now, nobody can tell a pause from a new driver, and there has to be one.
 */
bool session_is_ambiguous(struct model *m);
bool session_stop_by_status(struct model *m);
/* SET_FEATURES once more. */
void session_set_features(struct model *m);
void session_enable_ring(struct model *m, unsigned int ring, bool on);
void session_pump(struct model *m, unsigned int n);
bool session_has(const struct model *m, unsigned int bit);
#define session_must(m, expr)                                                                      \
	do {                                                                                       \
		if ((expr) < 0)                                                                    \
			model_fail(m, "%s: expected %s", #expr, (m)->fe.error);                    \
	} while (0)

/* memory.c: guest memory. */
void memory_make(struct model *m);
void memory_fini(struct model *m);
void memory_tell(struct model *m, bool need_reply);
bool memory_move(struct model *m, struct rng *r);
bool memory_replug(struct model *m, struct rng *r);
void memory_check(struct model *m);

/* check.c: until nothing happens any more; and all that must hold then. */
void model_settle(struct model *m);
void model_check(struct model *m);

/* The steps: false when there is nothing it could have done. */
#define STEP(name, weight, text) bool step_##name(struct model *m, struct rng *r);
#include "steps.def"

#endif
