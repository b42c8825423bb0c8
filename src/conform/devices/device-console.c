/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A console: output on port 0. */
#include <stdio.h>

#include "conform/cases/case-console.h"
#include "conform/devices/device-list.h"

/* Port 0 made ready and open. A device that says nothing of it may still take its output. */
int device_console_prepare(struct trial *t)
{
	int ms = TRIAL_ANSWER_MS;
	struct con_msg *msg = NULL;
	int err = con_begin(t);

	if (err < 0 || !con_of(t)->multiport)
		return err;
	err = con_post_control(t, ARRAY_SIZE(con_of(t)->ctrl), CON_PAGE);
	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	while (err == 0 && !con_of(t)->ports[0].console) {
		err = con_hear(t, &msg, ms);
		if (err == 0 && !msg)
			break;
		if (err == 0 && msg->event == CONSOLE_PORT_ADD && msg->id == 0)
			err = con_tell(t, 0, CONSOLE_PORT_READY, 1);
		ms = CON_SETTLE_MS;
	}
	return err == 0 ? con_tell(t, 0, CONSOLE_PORT_OPEN, 1) : err;
}

int device_console_request(struct trial *t, struct device_request *request)
{
	(void)t;
	request->out_len = (size_t)snprintf((char *)request->out, sizeof(request->out),
					    "line %08llx of the tester\r\n",
					    (unsigned long long)request->number & 0xffffffff);
	return 0;
}

int device_console_answered(struct trial *t, const struct device_request *request)
{
	return device_nothing_written(t, request);
}
