/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What shells complete, from the tables: options, words of --port and --device,
 * commands of ctl. Each prints the generated part of a file in doc/completion.
 */
#ifndef VHU_CONSOLE_COMPLETION_H
#define VHU_CONSOLE_COMPLETION_H

#include <stdio.h>

void console_completion_bash(FILE *out);
void console_completion_zsh(FILE *out);
void console_completion_fish(FILE *out);

#endif
