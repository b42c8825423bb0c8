/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Names of what records and sessions have. */
#include <string.h>

#include "trace/story/story.h"

const char *trace_cause_name(enum trace_cause cause)
{
	static const char *const names[TRACE_N_CAUSES] = {
		[TRACE_KICK] = "kick",	 [TRACE_CALL] = "call",	  [TRACE_USED] = "used",
		[TRACE_ASKED] = "asked", [TRACE_BEGIN] = "begin", [TRACE_FINISH] = "finish",
	};

	return (size_t)cause < TRACE_N_CAUSES ? names[cause] : "unknown";
}

const char *story_state_name(enum story_state state)
{
	static const char *const names[STORY_N_STATES] = {
		[STORY_STOPPED] = "stopped",
		[STORY_STARTED] = "started",
		[STORY_ENABLED] = "enabled",
		[STORY_RUNNING] = "running",
	};

	return (size_t)state < STORY_N_STATES ? names[state] : "unknown";
}

static const char *device_feature_name(const char *device, unsigned int bit)
{
	static const struct {
		const char *device, *name;
		unsigned int bit;
	} rows[] = {
#define DEVICE_FEATURE(device, NAME, bit) { #device, #NAME, bit },
#include "virtio/devices.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].bit == bit && strcmp(rows[i].device, device) == 0)
			return rows[i].name;
	return NULL;
}

/* The device's own names come first: bits that old devices shared have become theirs. */
const char *story_feature_name(const char *device, unsigned int bit)
{
	const char *name = device ? device_feature_name(device, bit) : NULL;

	return name ? name : vhu_feature_name(bit);
}
