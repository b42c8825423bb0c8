/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The modes of the process's terminal, which are put back even if it crashes. */
#ifndef VHU_BACKENDS_TERMINAL_MODES_H
#define VHU_BACKENDS_TERMINAL_MODES_H

#include <termios.h>

/* What the terminal was before it was raw: the caller fills them in, and reads them. */
struct termios *terminal_modes_cooked(void);

/* The terminal that is raw from now on; -1: none. */
void terminal_modes_raw(int tty);

/* Puts the modes back if a terminal is raw. */
void terminal_modes_restore(void);

/* From now on a crash puts the modes back, then does what it does by itself. */
void terminal_modes_guard(void);

#endif
