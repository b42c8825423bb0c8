/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From what was seen of a front-end to verdicts. Pure: nothing is run. */
#ifndef VHU_CONFORM_FRONTEND_JUDGE_H
#define VHU_CONFORM_FRONTEND_JUDGE_H

#include "conform/frontend/frontend-cases.h"
#include "conform/frontend/frontend-session.h"
#include "conform/verdict.h"

/* The good session itself. */
void frontend_judge_good(const struct frontend_session *good, struct result *result);

/* A rule or duty, by the good session. */
void frontend_judge_point(const struct frontend_case *c, const struct played *good,
			  struct result *result);

/*
 * Whether a session for the case could show anything, after what the good one
 * has shown; else result says n/a, and why.
 */
bool frontend_case_applies(const struct frontend_case *c, const struct played *good,
			   struct result *result);

/* Whether it came to harm, and only after a connection that was open was closed. */
bool frontend_harmed_by_close(const struct frontend_session *s);

/* An offer or a fault, by its own session. */
void frontend_judge_session(const struct frontend_case *c, const struct frontend_session *good,
			    const struct frontend_session *s, struct result *result);

#endif
