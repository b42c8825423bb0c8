/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Many guests and their clients, who behave badly, on one daemon. Each guest is a process
 * with a front-end of our own; the process that starts them is all clients and whoever
 * administers the daemon. What they must agree on is in memory that they share.
 */
#ifndef VHU_TESTS_SOAK_H
#define VHU_TESTS_SOAK_H

#include <stdatomic.h>
#include <stdio.h>

#include "../restart/run.h"
#include "check.h"

enum {
	SOAK_MAX_GUESTS = 256,
	SOAK_HOT = 2,	      /* ports that come and go */
	SOAK_GENERATIONS = 4, /* of each, remembered: only the last is plugged in */
	SOAK_SENTENCE = 512,
};

/* Ports that stay, by number. */
enum soak_port {
	SOAK_CONSOLE, /* drops, and says so; with a log and telnet */
	SOAK_UNIX,    /* holds */
	SOAK_TCP,     /* holds */
	SOAK_LOSSY,   /* no console, and drops */
	SOAK_FIXED,
	SOAK_PORTS = SOAK_FIXED + SOAK_HOT,
	SOAK_STREAMS = SOAK_FIXED + SOAK_HOT * SOAK_GENERATIONS,
};

enum soak_phase {
	SOAK_FILL,  /* everybody sends and nobody takes, so that all memory is touched */
	SOAK_LOAD,  /* everything happens */
	SOAK_CALM,  /* nobody reboots or sends, everybody takes what comes */
	SOAK_TAIL,  /* the last bytes, from which all are seen to be in place */
	SOAK_STILL, /* nothing */
};

/* Output of a guest: written by it, or on its behalf when it is dead. */
struct soak_output {
	_Atomic uint64_t offered;  /* at most that much has been shown to the device */
	_Atomic uint64_t returned; /* at least that much has come back: its client gets it */
	struct check_gaps gaps;
};

/* Input of a guest. */
struct soak_input {
	_Atomic uint64_t got;	/* by the guest, which has seen that it is right */
	_Atomic uint64_t slack; /* and so many more may have gone with guests that were killed */
	struct check_gaps gaps; /* noted by the client's side */
};

struct soak_stream {
	struct soak_output out;
	struct soak_input in;
};

/* A port that comes and goes. */
struct soak_hot {
	unsigned int generation; /* 0: there was none yet */
	bool plugged;
};

struct soak_guest {
	unsigned int id;
	uint64_t incarnation;		       /* processes it has been */
	_Atomic unsigned int phase;	       /* that it has arrived in */
	_Atomic unsigned int opened[SOAK_HOT]; /* generation that it has open, or 0 */
	_Atomic uint64_t n_boots, n_resets, n_reconnects, n_aborts, n_packed, n_slow;
	_Atomic unsigned int n_eventfds, n_sockets, n_mappings; /* that the daemon has from it */
	struct soak_stream streams[SOAK_STREAMS];
	char sentence[SOAK_SENTENCE]; /* what was wrong */
};

struct soak_shared {
	_Atomic unsigned int phase;
	struct soak_guest guests[];
};

struct soak_options {
	unsigned int seconds, n_guests, rounds, upgrades, idle_seconds;
	uint64_t seed;
	const char *program, *samples, *summary; /* the last two: files, or NULL */
};

extern struct soak {
	struct soak_options o;
	struct run_daemon daemon;
	struct soak_shared *shared;
	unsigned int tcp_port; /* of the first guest */
} soak;

static inline struct pattern soak_pattern(const struct soak_guest *g, unsigned int stream,
					  unsigned int generation, bool input)
{
	return (struct pattern){
		.salt = ((g->id * SOAK_STREAMS + stream) << 12 | (generation & 0x7ff) << 1) + input,
		.text = stream == SOAK_CONSOLE,
	};
}

/* Where the bytes of a port that comes and goes are kept. */
static inline unsigned int soak_hot_stream(unsigned int hot, unsigned int generation)
{
	return SOAK_FIXED + hot * SOAK_GENERATIONS + generation % SOAK_GENERATIONS;
}

static inline bool soak_lossless(unsigned int stream)
{
	return stream != SOAK_CONSOLE && stream != SOAK_LOSSY;
}

/* guest.c: never returns. In a process of its own. */
_Noreturn void guest_process(struct soak_guest *g);

/* front.c: processes of guests. */
void fronts_start(void);
void fronts_end(void);
/* Starts those again that were killed, after a while; fails if one has ended by itself. */
void fronts_watch(bool all);
void front_kill(unsigned int id);
/* Whether all are there and have arrived in the phase. */
bool fronts_are_in(enum soak_phase phase);

/* ports.c: the daemon's configuration and what it is asked. */
void ports_write_config(void);
void ports_plug(unsigned int guest, unsigned int hot);
void ports_unplug(unsigned int guest, unsigned int hot);
/* Several guests' ports change at once, in the configuration that is read anew. */
void ports_reload(void);
bool ports_is_plugged(unsigned int guest, unsigned int hot, unsigned int *ret_generation);
void ports_resize(unsigned int guest);
void ports_status(unsigned int guest);
/* A further attachment of a lossy port for a while. */
void ports_attach(unsigned int guest);
void ports_detach_all(void);
unsigned int ports_count_clients(unsigned int guest);
/* Those of a port that have the keyboard or could get it. */
unsigned int ports_count_writers(unsigned int guest, unsigned int port);
/* The path of an attachment: at least 128 bytes. */
void ports_path(unsigned int guest, const char *what, char *ret_path);

/* clients.c: one client of each port, whose bytes are compared. */
void clients_init(void);
void clients_fini(void);
/* Waits for bytes, and handles them. */
void clients_poll(int timeout_ms);
/* They come and go, read more or less, send. */
void clients_step(void);
/* The port is plugged in, or about to be unplugged. */
void clients_hot_come(unsigned int guest, unsigned int hot, unsigned int generation);
void clients_hot_go(unsigned int guest, unsigned int hot);
/* Its client has been disconnected: the number may be given to another. */
bool clients_hot_is_over(unsigned int guest, unsigned int hot);
bool clients_are_there(void);
unsigned int clients_due(unsigned int guest); /* how many of it there are */
void clients_begin_tail(void);
/* Bytes that ports that hold were offered from both sides: while that grows, they are not full. */
uint64_t clients_moved(void);
/* Whether all that was sent has come; else what is missing, in static storage. */
const char *clients_missing(void);
struct clients_figures {
	uint64_t out, in, lossy_out, told, unplaced, leaves, half_closes, resets, gaps;
};
void clients_sum(struct clients_figures *ret_figures);

/* rude.c: whoever connects and means no good. */
void rude_step(void);
void rude_end(void);
uint64_t rude_count(void);

/* sample.c: the daemon as /proc has it. */
void samples_open(void);
void sample_take(const char *what);
void sample_settled(const char *what); /* with what must be exact when all is calm */
bool sample_idle(unsigned int seconds);
bool samples_are_flat(void);
void samples_summary(FILE *f);

#endif
