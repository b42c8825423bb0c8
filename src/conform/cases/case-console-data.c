/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What goes in at one side of a port comes out at the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum { BULK = 1 << 20, PIECE = 16384, ALL_BYTES = 256, CHAIN_PAGES = 8, LINE_LEN = 64 };

/* A console may drop what is not read in time: each page is read before the next. */
int case_vc_data_output(struct trial *t)
{
	uint8_t page[CON_PAGE];
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	for (unsigned int i = 0; i < BULK / CON_PAGE && err == 0; i++) {
		con_fill(page, sizeof(page), i);
		err = con_write(t, id, page, sizeof(page));
		if (err == 0)
			err = con_peer_expect(t, page, sizeof(page), "1 MiB of output");
	}
	return err;
}

/* Writes what the peer takes now, then hears what has come of it in the guest. */
static int pour(struct trial *t, unsigned int id, const uint8_t *bytes, uint8_t *got, size_t len)
{
	size_t sent = 0, done = 0;
	int err = con_post_input(t, id, 8, CON_PAGE);

	while (done < len && err == 0) {
		size_t part = min_size(len - sent, PIECE);
		ssize_t n = part > 0 ? write(t->peer_fd, bytes + sent, part) : 0;
		struct con_page *page;
		uint32_t room;

		if (n < 0 && errno != EAGAIN)
			return trial_fail(t, "the host's side: expected to write, but: %s",
					  strerror(errno));
		sent += n > 0 ? (size_t)n : 0;
		err = con_take_input(t, id, &page, &room,
				     n > 0 && sent < len ? 0 : TRIAL_ANSWER_MS);
		if (err < 0 || (!page && n > 0))
			continue;
		if (!page)
			return trial_fail(t,
					  "1 MiB of input: expected %zu more bytes, but none "
					  "came",
					  len - done);
		if (room > len - done)
			return trial_fail(t, "1 MiB of input: expected %zu more bytes, but %u came",
					  len - done, room);
		memcpy(got + done, page->host, room);
		done += room;
		err = con_post(t, con_rx(id), page);
	}
	return err;
}

int case_vc_data_input(struct trial *t)
{
	uint8_t *bytes = malloc(BULK), *got = malloc(BULK);
	unsigned int id;
	int err = bytes && got ? con_start_join_any(t, NULL, &id)
			       : trial_error(t, "memory for input");

	if (err == 0) {
		con_fill(bytes, BULK, 77);
		err = pour(t, id, bytes, got, BULK);
	}
	if (err == 0)
		err = con_compare(t, "1 MiB of input", got, bytes, BULK);
	free(bytes);
	free(got);
	return err;
}

int case_vc_data_byte(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_post_input(t, id, 8, CON_PAGE);
	for (char c = 'a'; c <= 'z' && err == 0; c++) {
		struct con_page *page = NULL;
		uint32_t len = 0;

		err = con_peer_write(t, &c, 1);
		if (err == 0)
			err = con_take_input(t, id, &page, &len, TRIAL_ANSWER_MS);
		if (err == 0 && (!page || len != 1 || page->host[0] != (uint8_t)c))
			err = trial_fail(t,
					 "one byte of input, and no more: expected a buffer with "
					 "it alone, but %u bytes came",
					 page ? len : 0);
		if (err == 0)
			err = con_post(t, con_rx(id), page);
	}
	return err;
}

int case_vc_data_large(struct trial *t)
{
	enum { LEN = 10000 };
	uint8_t bytes[LEN];
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	con_fill(bytes, sizeof(bytes), 5);
	if (err == 0)
		err = con_peer_write(t, bytes, sizeof(bytes));
	if (err == 0)
		err = con_expect_input(t, id, bytes, sizeof(bytes), "input of 10000 bytes");
	return err < 0 ? err : trial_quiet(t, con_rx(id));
}

int case_vc_data_idle_host(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_post_input(t, id, 8, CON_PAGE);
	return err < 0 ? err : trial_quiet(t, con_rx(id));
}

int case_vc_data_idle(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_post_input(t, 0, 8, CON_PAGE);
	return err < 0 ? err : trial_quiet(t, con_rx(0));
}

/* A chain of n pieces of output, and back. */
static int write_chain(struct trial *t, unsigned int id, const struct driverq_buf *bufs,
		       unsigned int n)
{
	uint32_t used_len = 0;
	void *token = NULL;
	int err = driverq_add(&t->fe.rings[con_tx(id)].q, bufs, n, 0, false, con_of(t));

	if (err < 0)
		return trial_error(t, "a chain of %u descriptors: %s", n, strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, con_tx(id)), "a kick");
	if (err == 0)
		err = con_take(t, con_tx(id), &token, &used_len, TRIAL_ANSWER_MS);
	if (err == 0 && !token)
		err = trial_fail(t,
				 "output in %u descriptors: expected them back, but the device "
				 "kept them",
				 n);
	return err < 0 ? err : con_check_length(t, con_tx(id), used_len);
}

int case_vc_data_scattered(struct trial *t)
{
	static const char text[] = "abcdefghij";
	struct driverq_buf bufs[3];
	struct con_page *page;
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err < 0)
		return err;
	con_of(t)->strict = true;
	page = &con_of(t)->out;
	memcpy(page->host, text, 1);
	memcpy(page->host + 100, text + 1, 4);
	memcpy(page->host + 50, text + 5, 5);
	bufs[0] = (struct driverq_buf){ page->addr, 1 };
	bufs[1] = (struct driverq_buf){ page->addr + 100, 4 };
	bufs[2] = (struct driverq_buf){ page->addr + 50, 5 };
	err = write_chain(t, id, bufs, 3);
	return err < 0 ? err
		       : con_peer_expect(t, text, 10, "output in descriptors of 1, 4 and 5 bytes");
}

static int large_chain(struct trial *t, unsigned int id, uint8_t **ret_bytes)
{
	struct driverq_buf bufs[CHAIN_PAGES];
	uint64_t addr;
	void *host;
	int err = trial_alloc(t, CHAIN_PAGES * CON_PAGE, 16, &host, &addr);

	if (err < 0)
		return err;
	con_fill(host, CHAIN_PAGES * CON_PAGE, 9);
	*ret_bytes = host;
	for (unsigned int i = 0; i < CHAIN_PAGES; i++)
		bufs[i] = (struct driverq_buf){ addr + i * CON_PAGE, CON_PAGE };
	return write_chain(t, id, bufs, CHAIN_PAGES);
}

int case_vc_data_chain(struct trial *t)
{
	uint8_t *bytes;
	int err = con_start(t, NULL);

	return err < 0 ? err : large_chain(t, 0, &bytes);
}

int case_vc_data_chain_bytes(struct trial *t)
{
	uint8_t *bytes;
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = large_chain(t, id, &bytes);
	return err < 0 ? err
		       : con_peer_expect(t, bytes, CHAIN_PAGES * CON_PAGE,
					 "output of 32 KiB in one chain");
}

/* A driver must not do it; a device that stops the ring is as right as one that reads the rest. */
int case_vc_data_writable(struct trial *t)
{
	struct driverq_buf bufs[2];
	struct con_page *page;
	uint32_t used_len = 0;
	void *token = NULL;
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	page = &con_of(t)->out;
	memset(page->host, 0x5a, CON_PAGE);
	bufs[0] = (struct driverq_buf){ page->addr, 8 };
	bufs[1] = (struct driverq_buf){ page->addr + 64, 64 };
	err = driverq_add(&t->fe.rings[con_tx(0)].q, bufs, 1, 1, false, page);
	if (err < 0)
		return trial_error(t, "a chain: %s", strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, con_tx(0)), "a kick");
	if (err == 0)
		err = con_take(t, con_tx(0), &token, &used_len, TRIAL_QUIET_MS);
	if (err == 0)
		err = con_check_length(t, con_tx(0), used_len);
	for (unsigned int i = 0; i < 64 && err == 0; i++)
		if (page->host[64 + i] != 0x5a)
			err = trial_fail(t,
					 "output with room to write: expected nothing in it, "
					 "but byte %u was written",
					 i);
	return err < 0 ? err : trial_ping(t);
}

int case_vc_data_binary(struct trial *t)
{
	uint8_t bytes[ALL_BYTES];
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	for (unsigned int i = 0; i < ALL_BYTES; i++)
		bytes[i] = (uint8_t)i;
	return err < 0 ? err : con_both_ways(t, id, bytes, sizeof(bytes), "all 256 bytes");
}

int case_vc_data_binary_console(struct trial *t)
{
	static const uint8_t bytes[] = "\r\n\n\r\003\004\021\023\032\034\177\377\033[6n";
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	return err < 0 ? err : con_both_ways(t, id, bytes, sizeof(bytes), "control characters");
}

int case_vc_data_burst(struct trial *t)
{
	struct con_page *page = NULL;
	uint32_t len = 0;
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_post_input(t, id, 8, CON_PAGE);
	if (err == 0)
		err = con_peer_write(t, "ten bytes!", 10);
	if (err == 0)
		err = con_take_input(t, id, &page, &len, TRIAL_ANSWER_MS);
	if (err == 0 && (!page || len != 10))
		err = trial_fail(t,
				 "10 bytes at once: expected them in one buffer, but the first "
				 "one has %u",
				 page ? len : 0);
	return err;
}

int case_vc_data_input_first(struct trial *t)
{
	unsigned int id;
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_pick(t, true, &id);
	if (err == 0)
		err = con_reach(t, id);
	if (err == 0)
		err = con_peer_write(t, "early", 5);
	return err < 0 ? err : con_expect_input(t, id, "early", 5, "input before any output");
}

/* Input that comes before the guest has opened its console waits, or is there before. */
int case_vc_data_before_open(struct trial *t)
{
	int err = con_boot(t, NULL);

	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	if (err == 0)
		err = con_expect(t, 0, CONSOLE_PORT_ADD, CON_ANY, NULL);
	if (err == 0)
		err = con_reach(t, 0);
	if (err == 0)
		err = con_post_input(t, 0, 8, CON_PAGE);
	if (err == 0)
		err = con_peer_write(t, "before", 6);
	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_READY, 1);
	if (err == 0)
		err = con_settle(t, CON_SETTLE_MS);
	if (err == 0 && !con_of(t)->ports[0].console)
		return trial_na(t, "port 0 is not a console");
	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, 1);
	return err < 0 ? err : con_expect_input(t, 0, "before", 6, "input before PORT_OPEN");
}

/* Each line of n is in text after the one before; *ret_any: whether the first is there. */
static int check_lines(struct trial *t, const char *text, char lines[][LINE_LEN], unsigned int n,
		       bool *ret_any)
{
	const char *at = text;

	*ret_any = false;
	for (unsigned int i = 0; i < n; i++) {
		const char *found = strstr(text, lines[i]);

		*ret_any |= found != NULL;
		if (found && found < at)
			return trial_fail(
				t,
				"lines from before the host's side came: expected them in "
				"their order, but line %u of %u comes too early",
				i + 1, n);
		at = found ? found : at;
	}
	return 0;
}

/* What was written while nobody was there comes in its order, if it comes. */
static int read_backlog(struct trial *t, unsigned int id, char *text)
{
	char lines[3][LINE_LEN];
	bool any = false;
	size_t n = 0;
	int err = 0;

	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		snprintf(lines[i], LINE_LEN, "line %u of process %d\r\n", i, (int)getpid());
		err = con_write(t, id, lines[i], strlen(lines[i]));
	}
	if (err == 0)
		err = con_reach(t, id);
	if (err == 0)
		err = con_peer_read_some(t, text, BULK - 1, TRIAL_QUIET_MS, &n);
	for (size_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = ' ';
	if (err == 0)
		err = check_lines(t, text, lines, 3, &any);
	if (err == 0 && !any)
		trial_remark(t, "output before the host's side comes is discarded");
	return err;
}

int case_vc_data_backlog(struct trial *t)
{
	char *text = calloc(1, BULK);
	unsigned int id;
	int err = text ? con_start(t, NULL) : trial_error(t, "memory for output");

	if (err == 0)
		err = con_pick(t, true, &id);
	if (err == 0)
		err = read_backlog(t, id, text);
	free(text);
	return err;
}
