/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/interrupt.h"

#include <signal.h>

static struct target *interruptible; /* for the handler */
static volatile sig_atomic_t caught;

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(int number)
{
	caught = number;
	interruptible->interrupted = true;
	if (interruptible->child > 0)
		kill(interruptible->child, SIGKILL);
}

void interrupt_catch(struct target *target)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	caught = 0;
	interruptible = target;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

bool interrupt_seen(void)
{
	return caught != 0;
}

void interrupt_release(void)
{
	int number = caught;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		signal(numbers[i], SIG_DFL);
	interruptible = NULL;
	caught = 0;
	if (number != 0)
		raise(number);
}
