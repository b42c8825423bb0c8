/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Threads beside those that run loops. */
#ifndef VHU_THREAD_H
#define VHU_THREAD_H

#include <pthread.h>

/*
 * Starts a thread in which the signals of this process are blocked, but those that a fault of its
 * own causes. 0 or -errno.
 */
int thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);

#endif
