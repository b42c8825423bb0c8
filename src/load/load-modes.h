/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The modes: each measures on guests that are ready. Zero, or -errno after a sentence. */
#ifndef VHU_LOAD_LOAD_MODES_H
#define VHU_LOAD_LOAD_MODES_H

#include "load/load-guests.h"

typedef int load_mode_fn(struct load_run *run, struct load_figures *ret_figures);

#define MODE(ident, ...) load_mode_fn load_mode_##ident;
#include "load/load-modes.def"
#undef MODE

/* Runs a mode, with a message before that shows that the ports are open. */
int load_mode_run(struct load_run *run, struct load_figures *ret_figures);

/* A message each way that the mode uses, before anything is measured. */
int load_mode_prime(struct load_run *run, bool out, bool in);

#endif
