/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Captures that others have made or damaged. Input: a file. Whatever is read
 * from it is as record.h says, and is the same after it was written again.
 */
#include <stdio.h>

#include "fuzz.h"

#include "trace/capture/capture.h"
#include "trace/capture/envelope.h"
#include "vhu/proto.h"

static bool is_text(const struct trace_record *r)
{
	return r->kind == TRACE_OPEN || r->kind == TRACE_END || r->kind == TRACE_NOTE;
}

static void check_members(const struct trace_record *r)
{
	must((unsigned int)r->kind < TRACE_N_KINDS && (unsigned int)r->dir <= TRACE_TO_FRONTEND);
	must(r->ring < VHU_MAX_RINGS && (unsigned int)r->cause < TRACE_N_CAUSES);
	must(r->n_fds <= TRACE_MAX_FDS && r->len <= TRACE_MAX_RAW);
	must(is_text(r) == (r->text != NULL));
	must((r->kind == TRACE_RING) == (r->picture != NULL));
	must((r->kind == TRACE_MESSAGE || r->kind == TRACE_RAW) == (r->bytes != NULL));
	must(r->kind != TRACE_MESSAGE ||
	     (r->len >= VHU_HDR_LEN && r->len <= VHU_HDR_LEN + VHU_MAX_PAYLOAD));
	must(!r->text || strlen(r->text) < TRACE_MAX_TEXT);
	for (size_t i = 0; i < r->n_fds; i++) {
		must((unsigned int)r->fds[i].kind < FD_N_KINDS);
		must(strnlen(r->fds[i].path, sizeof(r->fds[i].path)) < sizeof(r->fds[i].path));
	}
}

static void check_record(struct trace_sink *sink, const struct trace_record *record)
{
	static struct envelope again;
	size_t len, len_again;
	uint8_t *packet = envelope_pack(record, &len);
	uint8_t *packet_again;

	(void)sink;
	check_members(record);
	must(packet && envelope_unpack(&again, packet, len));
	packet_again = envelope_pack(&again.record, &len_again);
	must(packet_again && len_again == len && memcmp(packet, packet_again, len) == 0);
	envelope_release(&again);
	free(packet_again);
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_sink sink = { check_record };
	struct capture_about about;
	char error[256] = "";
	uint8_t *copy = malloc(size + 1);
	FILE *in;

	must(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	in = fmemopen(copy, size > 0 ? size : 1, "r");
	must(in != NULL);
	must((capture_read(in, &sink, &about, error) != 0) == (error[0] != '\0'));
	must(strnlen(about.device, sizeof(about.device)) < sizeof(about.device));
	fclose(in);
	free(copy);
	return 0;
}
