/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "config.h"

#include "backends/telnet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBTELNET
#include <libtelnet.h>

enum { N_OPTIONS = 4 }; /* that we have a wish for */
enum { NAWS_LEN = 4 };	/* columns, rows, big-endian (RFC 1073) */

/*
 * What comes next from the wire. libtelnet is given all but subnegotiations:
 * it would act on those of options that nobody agreed to, and begin to inflate,
 * or take lists apart, whenever the peer likes.
 */
enum wire {
	WIRE_DATA,
	WIRE_IAC,	 /* a command */
	WIRE_OPTION,	 /* what WILL, WONT, DO or DONT is about */
	WIRE_SUB_OPTION, /* what the subnegotiation is about */
	WIRE_SUB,
	WIRE_SUB_IAC,
};

struct telnet {
	const struct telnet_ops *ops;
	void *arg;
	telnet_t *lib;
	enum wire wire;
	uint8_t sub_option;
	uint8_t sub[NAWS_LEN]; /* its first bytes */
	size_t sub_len;
	bool binary_in, binary_out; /* agreed to by the peer */
	bool after_cr;		    /* of input, which may have more to its end of line */
	bool answered;		    /* "are you there", in this call */
	bool failed;
	uint8_t verb; /* WILL, WONT, DO or DONT, whose option comes next */
	/* The last verb that came for each option, about the peer and about us. */
	uint8_t said[N_OPTIONS][2];
	bool mute; /* what it would answer has been sent already */
};

static const telnet_telopt_t options[N_OPTIONS + 1] = {
	{ TELNET_TELOPT_ECHO, TELNET_WILL, TELNET_DONT },
	{ TELNET_TELOPT_SGA, TELNET_WILL, TELNET_DO },
	{ TELNET_TELOPT_BINARY, TELNET_WILL, TELNET_DO },
	{ TELNET_TELOPT_NAWS, TELNET_WONT, TELNET_DO },
	{ -1, 0, 0 },
};

/* Commands that stand for keys: what a terminal would send for them. */
static const struct {
	uint8_t command, key;
} keys[] = {
	{ TELNET_BREAK, 0x0f }, { TELNET_IP, 0x03 }, { TELNET_ABORT, 0x1c }, { TELNET_SUSP, 0x1a },
	{ TELNET_EOF, 0x04 },	{ TELNET_EC, 0x7f }, { TELNET_EL, 0x15 },
};

static void fail(struct telnet *t, const char *why)
{
	if (t->failed)
		return;
	t->failed = true;
	t->ops->failed(t->arg, why);
}

/* Until BINARY is agreed to, CR LF and CR NUL are one key (RFC 854). */
static void take_text(struct telnet *t, const char *data, size_t len)
{
	char text[512];
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool rest = t->after_cr && (data[i] == '\n' || data[i] == '\0');

		t->after_cr = !rest && data[i] == '\r';
		if (rest)
			continue;
		text[n++] = data[i];
		if (n == sizeof(text)) {
			t->ops->input(t->arg, text, n);
			n = 0;
		}
	}
	if (n > 0)
		t->ops->input(t->arg, text, n);
}

static void take_command(struct telnet *t, uint8_t command)
{
	static const char here[] = "\r\n[yes]\r\n";

	_Static_assert(sizeof(here) <= TELNET_ANSWER_MAX, "as promised");
	/* Once is enough, and no amplifier. */
	if (command == TELNET_AYT && !t->answered) {
		t->answered = true;
		telnet_send(t->lib, here, sizeof(here) - 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].command == command)
			t->ops->input(t->arg, &keys[i].key, 1);
}

static void set_binary_in(struct telnet *t, bool on)
{
	t->binary_in = on;
	t->after_cr = false;
}

static void take_data(struct telnet *t, const char *data, size_t len)
{
	if (t->binary_in)
		t->ops->input(t->arg, data, len);
	else
		take_text(t, data, len);
}

/* What both sides agreed to for an option, which the peer (him) or we are to do. */
static void take_agreement(struct telnet *t, uint8_t option, bool him, bool on)
{
	if (option == TELNET_TELOPT_BINARY && him)
		set_binary_in(t, on);
	else if (option == TELNET_TELOPT_BINARY)
		t->binary_out = on;
}

static void take_event(telnet_t *lib, telnet_event_t *event, void *arg)
{
	struct telnet *t = arg;

	(void)lib;
	switch (event->type) {
	case TELNET_EV_DATA:
		take_data(t, event->data.buffer, event->data.size);
		break;
	case TELNET_EV_SEND:
		if (!t->mute)
			t->ops->send(t->arg, event->data.buffer, event->data.size);
		break;
	case TELNET_EV_IAC:
		take_command(t, event->iac.cmd);
		break;
	case TELNET_EV_WILL:
	case TELNET_EV_WONT:
		take_agreement(t, event->neg.telopt, true, event->type == TELNET_EV_WILL);
		break;
	case TELNET_EV_DO:
	case TELNET_EV_DONT:
		take_agreement(t, event->neg.telopt, false, event->type == TELNET_EV_DO);
		break;
	case TELNET_EV_ERROR:
		fail(t, event->error.msg);
		break;
	default:
		break; /* warnings, of what it went on after */
	}
}

bool telnet_available(void)
{
	return true;
}

int telnet_new(const struct telnet_ops *ops, void *arg, struct telnet **ret_telnet)
{
	struct telnet *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->ops = ops;
	t->arg = arg;
	t->lib = telnet_init(options, take_event, 0, t);
	if (!t->lib) {
		free(t);
		return -ENOMEM;
	}
	*ret_telnet = t;
	for (const telnet_telopt_t *o = options; o->telopt >= 0; o++) {
		if (o->us == TELNET_WILL)
			telnet_negotiate(t->lib, TELNET_WILL, (uint8_t)o->telopt);
		if (o->him == TELNET_DO)
			telnet_negotiate(t->lib, TELNET_DO, (uint8_t)o->telopt);
	}
	return 0;
}

void telnet_end(struct telnet *t)
{
	if (!t)
		return;
	telnet_free(t->lib);
	free(t);
}

static void sub_byte(struct telnet *t, uint8_t byte)
{
	if (t->sub_len < sizeof(t->sub))
		t->sub[t->sub_len] = byte;
	if (++t->sub_len > TELNET_SUBNEGOTIATION_MAX)
		fail(t, "a telnet subnegotiation of more than 8192 bytes");
}

static void sub_end(struct telnet *t)
{
	const uint8_t *s = t->sub;

	if (t->sub_option == TELNET_TELOPT_NAWS && t->sub_len == NAWS_LEN)
		t->ops->resized(t->arg, (uint16_t)(s[0] << 8 | s[1]), (uint16_t)(s[2] << 8 | s[3]));
}

static enum wire after_iac(struct telnet *t, uint8_t byte)
{
	const char command[] = { (char)TELNET_IAC, (char)byte };

	if (byte == TELNET_SB)
		return WIRE_SUB_OPTION;
	telnet_recv(t->lib, command, sizeof(command));
	t->verb = byte;
	return byte >= TELNET_WILL && byte <= TELNET_DONT ? WIRE_OPTION : WIRE_DATA;
}

static enum wire after_sub_iac(struct telnet *t, uint8_t byte)
{
	if (byte == TELNET_IAC) {
		sub_byte(t, byte);
		return WIRE_SUB;
	}
	if (byte == TELNET_SE) {
		sub_end(t);
		return WIRE_DATA;
	}
	/* It has no end; the command counts. */
	return after_iac(t, byte);
}

/* What makes up all that libtelnet knows of a peer. */
static void note_verb(struct telnet *t, uint8_t option)
{
	bool about_us = t->verb == TELNET_DO || t->verb == TELNET_DONT;

	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].telopt == option)
			t->said[i][about_us] = t->verb;
}

/* A byte that is not data. Returns what comes after it. */
static enum wire take_byte(struct telnet *t, uint8_t byte)
{
	const char option = (char)byte;

	switch (t->wire) {
	case WIRE_DATA: /* it is IAC */
		return WIRE_IAC;
	case WIRE_IAC:
		return after_iac(t, byte);
	case WIRE_OPTION:
		note_verb(t, byte);
		telnet_recv(t->lib, &option, 1);
		return WIRE_DATA;
	case WIRE_SUB_OPTION:
		t->sub_option = byte;
		t->sub_len = 0;
		return WIRE_SUB;
	case WIRE_SUB:
		if (byte == TELNET_IAC)
			return WIRE_SUB_IAC;
		sub_byte(t, byte);
		return WIRE_SUB;
	case WIRE_SUB_IAC:
		return after_sub_iac(t, byte);
	}
	return WIRE_DATA;
}

void telnet_receive(struct telnet *t, const void *data, size_t len)
{
	const char *bytes = data, *end = bytes + len;

	t->answered = false;
	while (bytes < end && !t->failed) {
		const char *iac;

		if (t->wire == WIRE_DATA) {
			iac = memchr(bytes, TELNET_IAC, (size_t)(end - bytes));
			iac = iac ? iac : end;
			if (iac > bytes)
				telnet_recv(t->lib, bytes, (size_t)(iac - bytes));
			bytes = iac;
		}
		if (bytes < end)
			t->wire = take_byte(t, (uint8_t)*bytes++);
	}
}

/* Where the first CR ends that no LF follows here; end if there is none. */
static const char *bare_cr(const char *at, const char *end)
{
	while (at < end) {
		at = memchr(at, '\r', (size_t)(end - at));
		if (!at)
			return end;
		at++;
		if (at == end || *at != '\n')
			return at;
	}
	return end;
}

/*
 * A CR at the end gets its NUL, too: if LF comes next, that does the same to a
 * terminal as CR LF.
 */
void telnet_output(struct telnet *t, const void *data, size_t len)
{
	const char *at = data, *end = at + len;

	while (at < end) {
		const char *stop = t->binary_out ? end : bare_cr(at, end);

		telnet_send(t->lib, at, (size_t)(stop - at));
		if (!t->binary_out && stop[-1] == '\r')
			telnet_send(t->lib, "", 1);
		at = stop;
	}
}

enum { TAG_WIRE = 1, TAG_SUB_OPTION, TAG_SUB, TAG_SUB_LEN, TAG_FLAGS, TAG_VERB, TAG_SAID };
enum { FLAG_AFTER_CR, FLAG_FAILED, N_FLAGS };

void telnet_save(const struct telnet *t, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	state_begin_group(w, tag);
	state_put_number(w, TAG_WIRE, t->wire);
	state_put_number(w, TAG_SUB_OPTION, t->sub_option);
	state_put_bytes(w, TAG_SUB, t->sub, sizeof(t->sub));
	state_put_number(w, TAG_SUB_LEN, t->sub_len);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)t->after_cr << FLAG_AFTER_CR | (uint64_t)t->failed
									  << FLAG_FAILED);
	state_put_number(w, TAG_VERB, t->verb);
	state_put_bytes(w, TAG_SAID, t->said, sizeof(t->said));
	state_end(w);
}

/* The peer's side of the negotiation once more, and the command it is in the middle of. */
static void replay(struct telnet *t)
{
	t->mute = true;
	for (size_t i = 0; i < N_OPTIONS; i++) {
		for (size_t who = 0; who < 2; who++) {
			const char said[] = { (char)TELNET_IAC, (char)t->said[i][who],
					      (char)options[i].telopt };

			if (t->said[i][who] != 0)
				telnet_recv(t->lib, said, sizeof(said));
		}
	}
	if (t->wire == WIRE_OPTION) {
		const char command[] = { (char)TELNET_IAC, (char)t->verb };

		telnet_recv(t->lib, command, sizeof(command));
	}
	t->mute = false;
}

void telnet_load(struct telnet *t, struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;
	uint64_t flags;

	if (!state_enter(r, tag, "telnet"))
		return;
	t->wire = (enum wire)state_take_number(r, TAG_WIRE, "wire", WIRE_SUB_IAC);
	t->sub_option = (uint8_t)state_take_number(r, TAG_SUB_OPTION, "option", UINT8_MAX);
	handover_take_exact(in, TAG_SUB, "subnegotiation", t->sub, sizeof(t->sub));
	t->sub_len = state_take_number(r, TAG_SUB_LEN, "length", TELNET_SUBNEGOTIATION_MAX + 1);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	t->verb = (uint8_t)state_take_number(r, TAG_VERB, "verb", UINT8_MAX);
	handover_take_exact(in, TAG_SAID, "agreed", t->said, sizeof(t->said));
	state_leave(r);
	if (r->failed)
		return;
	replay(t);
	t->after_cr = flags & BIT(FLAG_AFTER_CR); /* last: BINARY resets it */
	t->failed = flags & BIT(FLAG_FAILED);
}

#else

bool telnet_available(void)
{
	return false;
}

int telnet_new(const struct telnet_ops *ops, void *arg, struct telnet **ret_telnet)
{
	(void)ops;
	(void)arg;
	(void)ret_telnet;
	return -EOPNOTSUPP;
}

void telnet_end(struct telnet *t)
{
	(void)t;
}

void telnet_receive(struct telnet *t, const void *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
}

void telnet_output(struct telnet *t, const void *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
}

void telnet_save(const struct telnet *t, struct handover_out *out, unsigned int tag)
{
	(void)t;
	(void)out;
	(void)tag;
}

void telnet_load(struct telnet *t, struct handover_in *in, unsigned int tag)
{
	(void)t;
	(void)in;
	(void)tag;
}

#endif
