/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A telnet client's bytes and the console's between them. Input: pieces, each
 *
 *	1 byte	bit 7: output of the console, else bytes from the wire;
 *		bit 6: before it the client goes on in another process;
 *		the rest: how many bytes
 *	the bytes
 *
 * The same bytes from the wire one by one, and handed over in the middle, do the same.
 */
#include "fuzz.h"

#include "backends/telnet.h"

enum { TOTAL_MAX = 1 << 16, MOVES_MAX = 4 };

/* What one telnet has said. */
struct side {
	struct telnet *t;
	uint8_t input[TOTAL_MAX], sent[4 * TOTAL_MAX];
	size_t n_input, n_sent;
	uint32_t size; /* the last that was told: columns, rows */
	unsigned int n_failed, n_sizes, n_moves;
};

static void take_input(void *arg, const void *data, size_t len)
{
	struct side *s = arg;

	must(len > 0 && len <= sizeof(s->input) - s->n_input && s->n_failed == 0);
	memcpy(s->input + s->n_input, data, len);
	s->n_input += len;
}

static void take_sent(void *arg, const void *data, size_t len)
{
	struct side *s = arg;

	must(len > 0 && len <= sizeof(s->sent) - s->n_sent);
	memcpy(s->sent + s->n_sent, data, len);
	s->n_sent += len;
}

static void take_size(void *arg, uint16_t cols, uint16_t rows)
{
	struct side *s = arg;

	s->size = (uint32_t)cols << 16 | rows;
	s->n_sizes++;
}

static void take_failure(void *arg, const char *why)
{
	struct side *s = arg;

	must(fuzz_is_sentence(why) && s->n_failed++ == 0);
}

static const struct telnet_ops ops = { take_input, take_sent, take_size, take_failure };

static void begin(struct side *s)
{
	s->n_input = s->n_sent = 0;
	s->size = s->n_failed = s->n_sizes = s->n_moves = 0;
	must(telnet_new(&ops, s, &s->t) == 0);
}

/* Another process: a new one that is told what the old one knows, and not heard meanwhile. */
static void move(struct side *s)
{
	size_t n_sent = s->n_sent;
	struct handover_out out;
	struct handover_in in;

	handover_out_init(&out);
	state_begin_group(&out.state, 1);
	telnet_save(s->t, &out, 1);
	state_end(&out.state);
	must(state_finish(&out.state) == 0 && out.why[0] == '\0');
	telnet_end(s->t);
	must(telnet_new(&ops, s, &s->t) == 0);
	must(handover_in_init(&in, out.state.buf, out.state.len) == 0);
	must(state_enter(&in.state, 1, "client"));
	telnet_load(s->t, &in, 1);
	state_leave(&in.state);
	must(state_end_of(&in.state) == 0);
	handover_in_fini(&in);
	handover_out_fini(&out);
	s->n_sent = n_sent;
}

static void receive(struct side *s, const uint8_t *data, size_t len)
{
	size_t n_input = s->n_input, n_sent = s->n_sent;

	if (s->n_failed > 0)
		return;
	telnet_receive(s->t, data, len);
	must(s->n_input - n_input <= len);
	must(s->n_sent - n_sent <= len + TELNET_ANSWER_MAX);
}

static void output(struct side *s, const uint8_t *data, size_t len)
{
	size_t n_sent = s->n_sent;

	telnet_output(s->t, data, len);
	must(s->n_sent - n_sent <= 2 * len);
}

static void run(struct side *s, struct input in, bool by_bytes)
{
	size_t total = 0, len, piece;

	begin(s);
	while (in.left > 0) {
		uint8_t head = input_u8(&in);
		const uint8_t *data = input_take(&in, head & 0x3f, &len);

		total += len;
		if (total > TOTAL_MAX)
			break;
		if (by_bytes && (head & 0x40) && s->n_moves++ < MOVES_MAX)
			move(s);
		for (size_t at = 0; at < len; at += piece) {
			piece = by_bytes && !(head & 0x80) ? 1 : len;
			if (head & 0x80)
				output(s, data + at, piece);
			else
				receive(s, data + at, piece);
		}
	}
	telnet_end(s->t);
}

/* Once a call it says that it is there, so a byte in its own call may be answered more often. */
static bool asks_whether_there(const struct input *in)
{
	for (size_t i = 0; i + 1 < in->left; i++)
		if (in->at[i] == 0xff && in->at[i + 1] == 0xf6)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct side whole, cut;
	const struct input in = { data, size };

	if (!telnet_available())
		return 0;
	run(&whole, in, false);
	run(&cut, in, true);
	must(cut.n_failed == whole.n_failed);
	must(cut.size == whole.size && cut.n_sizes == whole.n_sizes);
	must(cut.n_input == whole.n_input && memcmp(cut.input, whole.input, cut.n_input) == 0);
	if (!asks_whether_there(&in))
		must(cut.n_sent == whole.n_sent && memcmp(cut.sent, whole.sent, cut.n_sent) == 0);
	return 0;
}
