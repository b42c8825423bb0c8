/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Both ends of a session in one process: a console device behind a back-end on
 * a loop, a front-end on the other end of a socketpair. While the front-end
 * waits, the loop runs. Functions that fail end the running test.
 */
#ifndef VHU_TESTS_SESSION_RIG_H
#define VHU_TESTS_SESSION_RIG_H

#include "unit.h"

#include "backends/port.h"
#include "guest/guest.h"
#include "loop.h"
#include "vhu/backend.h"
#include "vhu/codec.h"
#include "virtio/console.h"

enum {
	RIG_HISTORY = 64 * 1024,
	RIG_QUEUE_MAX = 1024,
	RIG_QUIET_MS = 60, /* how long nothing must happen */
	RIG_TIMEOUT_MS = 5000,
};

struct session_rig {
	struct loop *loop;
	struct port port; /* number 0, a console */
	struct console con;
	struct vhu_backend *b; /* NULL: no session */
	bool iommu;	       /* sessions offer ACCESS_PLATFORM */
	unsigned int n_ended;
	struct vhu_frontend fe;
	struct scope scope; /* of the timer that bounds a wait of the loop */
	struct timer tick;
	struct port_client client;
	bool joined;
	char *output; /* what the client was given */
	size_t output_len, output_cap;
};

/* Fixture: *state is a struct session_rig with no session yet. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* As rig_setup, for a device with numbers for max_ports ports, of which 0 is there. */
int rig_setup_ports(void **state, unsigned int max_ports);

#define RIG_TEST(f) UNIT_TEST_WITH(f, rig_setup, rig_teardown)

/* A new session, nothing sent on it. An older one is ended first. */
void rig_connect(struct session_rig *rig);

/* What a session tells when it has ended: arg is the rig. */
void rig_ended(struct vhu_backend *b, void *arg);

/* The front-end hangs up; returns when the session has ended. */
void rig_disconnect(struct session_rig *rig);

/* Another guest: memory and rings of the last one are gone. */
void rig_forget_guest(struct session_rig *rig);

/* Until the session has ended by itself. */
void rig_await_end(struct session_rig *rig);

/* Runs the loop until nothing is left to do at once; what is done apart may come later. */
void rig_settle(struct session_rig *rig);

#define rig_until(rig, cond)                                                                       \
	do {                                                                                       \
		for (unsigned int n_ = 0; !(cond); n_++) {                                         \
			assert_true(n_ < RIG_TIMEOUT_MS);                                          \
			assert_fe_ok(rig, vhu_frontend_pass_time(&(rig)->fe, 1));                  \
		}                                                                                  \
	} while (0)

/* Connects and does a style's handshake with all rings (or 2 without F_MULTIPORT) of size. */
void rig_setup_style(struct session_rig *rig, enum vhu_frontend_style style, unsigned int size,
		     uint64_t features, uint64_t protocol);

/* The usual session: QEMU's habits, rings of 64, everything accepted but slots and status. */
void rig_setup_usual(struct session_rig *rig);

/* The usual session with guest memory of these regions. */
void rig_setup_regions(struct session_rig *rig, const struct vhu_region *regions, unsigned int n);

/* The plan of the last rig_setup_*(). */
extern struct vhu_frontend_plan rig_plan;

/* One iteration of the loop, which ends soon even if nothing happens. */
void rig_step(struct session_rig *rig);

/* A host client on port 0, whose output is collected. */
void rig_join(struct session_rig *rig);
void rig_leave(struct session_rig *rig);

/* The collected output is exactly this, within a deadline; it is forgotten then. */
void rig_expect_output(struct session_rig *rig, const void *bytes, size_t len);

/* Nothing comes out of the port for a while. */
void rig_expect_no_output(struct session_rig *rig);

/* Offers text on the transmit ring, as one buffer, without waiting or kicking. */
void rig_offer_output(struct session_rig *rig, const char *text);

/* A session that works: handshake, a byte each way. Ends it. */
void rig_expect_service(struct session_rig *rig);

/* What comes along with a message that is to be refused. */
enum rig_fd_kind {
	RIG_FD_MEMORY, /* the guest's memory */
	RIG_FD_SMALL,  /* a file of one page */
	RIG_FD_READ_ONLY,
	RIG_FD_DIRECTORY,
	RIG_FD_SOCKET,
};

/* A message that a back-end must not carry out. */
struct rig_refusal {
	const char *clause;
	uint32_t id;
	uint32_t size;	    /* of the payload, by the header */
	uint32_t words[72]; /* the payload */
	unsigned int n_fds;
	enum rig_fd_kind kind;
	uint32_t flags;	  /* added to those of an honest message */
	bool closes;	  /* even if it wants a reply */
	bool empty_reply; /* GET_CONFIG: answered by an empty message */
};

#define RIG_U64(x) (uint32_t)(x), (uint32_t)((uint64_t)(x) >> 32)

/*
 * Sends it with and without need_reply in a running session set up by begin:
 * refused with a negative acknowledgement, or the session ends. Either way no
 * descriptor is left and a session that works can follow.
 */
void rig_expect_refusal(struct session_rig *rig, const struct rig_refusal *r,
			void (*begin)(struct session_rig *rig));

#define assert_fe_ok(rig, expr)                                                                    \
	do {                                                                                       \
		int fe_err_ = (expr);                                                              \
		if (fe_err_ < 0) {                                                                 \
			print_error("%s: %d, expected %s\n", #expr, fe_err_, (rig)->fe.error);     \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

#endif
