/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "front.h"

enum {
	LIFE_MS = 12000, /* of a guest until it reboots, at most */
	MOOD_MS = 800,	 /* for which it sends more or less */
	SLEEP_MS = 25,	 /* between two steps, at most */
	STILL_MS = 50,
};

enum mood { IDLE, TRICKLE, SLOW, BURST };

struct front front;

static struct {
	int64_t reboot_at, mood_until;
	enum mood mood;
} now;

static void tell(const char *sentence)
{
	snprintf(front.g->sentence, sizeof(front.g->sentence), "%s", sentence);
}

static void change_mood(int64_t at)
{
	static const enum mood moods[] = { IDLE,    IDLE,    TRICKLE, TRICKLE,
					   TRICKLE, TRICKLE, SLOW,    BURST };

	now.mood = moods[run_random() % ARRAY_SIZE(moods)];
	now.mood_until = at + (int64_t)(run_random() % MOOD_MS);
	front.g->n_slow += now.mood == SLOW;
}

static void live_on(int64_t at)
{
	now.reboot_at = at + 200 + (int64_t)(run_random() % LIFE_MS);
}

static bool ask_for_calls(void)
{
	const struct vhu_frontend *fe = front_fe();
	bool there = driverq_calls_on(&front_fe()->rings[GUEST_CTRL_RX].q);

	for (unsigned int i = 0; i < fe->n_rings; i++) {
		vhu_frontend_take_calls(front_fe(), i);
		there |= driverq_calls_on(&front_fe()->rings[i].q);
	}
	return there;
}

static void sleep_for(int ms)
{
	int err;

	if (ask_for_calls())
		return;
	err = vhu_frontend_await_any_call(front_fe(), ms);
	if (err < 0 && err != -ETIMEDOUT)
		must(front_fe(), err, "waiting for a call");
}

/* One step of a guest that lives. */
static void live(void)
{
	int64_t at = monotonic_ms();

	if (at >= now.reboot_at) {
		front_reboot();
		live_on(at);
	}
	if (at >= now.mood_until)
		change_mood(at);
	front_ports_poll();
	if (now.mood == TRICKLE || now.mood == BURST)
		front_ports_send(now.mood == BURST);
	if (now.mood != SLOW)
		front_ports_receive();
	sleep_for((int)(run_random() % SLEEP_MS));
}

static void fill(void)
{
	front_ports_poll();
	front_ports_send(true);
	front.g->phase = SOAK_FILL;
	sleep_for(SLEEP_MS);
}

static void be_calm(void)
{
	front_ports_poll();
	front_ports_receive();
	front.g->phase = SOAK_CALM;
	sleep_for(SLEEP_MS);
}

static void send_tail(void)
{
	if (front.g->phase == SOAK_CALM)
		front_ports_begin_tail();
	front.g->phase = SOAK_LOAD;
	front_ports_poll();
	front_ports_receive();
	if (front_ports_have_sent_tail())
		front.g->phase = SOAK_TAIL;
	else
		sleep_for(1);
}

/* The rings are looked at, and nobody is told. */
static void be_still(unsigned int phase)
{
	front_ports_poll();
	front_ports_receive();
	front.g->phase = phase;
	usleep(STILL_MS * 1000);
}

_Noreturn void guest_process(struct soak_guest *g)
{
	unsigned int phase;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_begin(soak.o.seed * UINT64_C(0x9e3779b97f4a7c15) + g->id * UINT64_C(0x10001) +
		  g->incarnation + 1);
	run_be_child(tell);
	front.g = g;
	front_boot_first();
	live_on(monotonic_ms());
	for (;;) {
		phase = soak.shared->phase;
		if (phase == SOAK_FILL) {
			fill();
		} else if (phase == SOAK_LOAD) {
			g->phase = SOAK_LOAD;
			live();
		} else if (phase == SOAK_CALM) {
			be_calm();
		} else if (phase == SOAK_TAIL && g->phase != SOAK_TAIL) {
			send_tail();
		} else {
			be_still(phase);
		}
	}
}
