/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A client of a server with TLS after its handshake: ends, flow, what breaks the session. */
#include "tls_rig.h"

enum { MANY = 1024 * 1024, IAC = 255, DO = 253, NAWS = 31 };

static void join_peer(struct tls_peer *p, const char *priority)
{
	const unsigned int n = rig.port.n_clients;

	peer_begin(p, dial(0), GNUTLS_CLIENT, priority, NULL);
	peer_handshake(p);
	assert_int_equal(p->err, 0);
	PUMP_UNTIL(rig.port.n_clients == n + 1);
}

static void begin(enum attachment_kind kind)
{
	rig_begin_lossless();
	ask_tls(&pki.server, NULL, NULL);
	serve_tcp(kind);
}

static void end(struct tls_peer *p)
{
	rig_close();
	rig_end();
	peer_end(p);
}

static void end_of_the_attachment_is_said(void **state)
{
	static const char *const versions[] = { TLS_1_2, TLS_1_3 };
	char buf[16];
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		begin(ATTACHMENT_tcp_server);
		join_peer(&p, versions[i]);
		rig_output("the rest", 8);
		rig_close();
		peer_read_all(&p, buf, 8, sizeof(buf));
		assert_memory_equal(buf, "the rest", 8);
		assert_int_equal(peer_receive(&p, buf, sizeof(buf)), 0);
		rig_end();
		peer_end(&p);
	}
}

static void client_that_is_sent_away_is_told(void **state)
{
	struct tls_peer p;
	char byte;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	rig.port.writer->ops->disconnect(rig.port.writer, "it is sent away");
	assert_int_equal(peer_receive(&p, &byte, 1), 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end(&p);
}

static void peer_that_has_said_its_last_is_given_output(void **state)
{
	char buf[16];
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	peer_send(&p, "last", 4, 4);
	assert_int_equal(gnutls_bye(p.session, GNUTLS_SHUT_WR), 0);
	rig_expect_input("last");
	PUMP_UNTIL(!rig.port.writer);
	assert_int_equal(rig.port.n_clients, 1);
	rig_output("answer", 6);
	peer_read_all(&p, buf, 6, sizeof(buf));
	assert_memory_equal(buf, "answer", 6);
	assert_int_equal(peer_receive(&p, buf, sizeof(buf)), 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end(&p);
}

static void input_before_an_end_without_a_word_counts(void **state)
{
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	peer_send(&p, "cut", 3, 3);
	shutdown(p.fd, SHUT_RDWR);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_expect_input("cut");
	end(&p);
}

/* The guest waits for it, and nothing is lost. */
static void peer_that_does_not_read_holds_the_guest_up(void **state)
{
	static uint8_t bytes[FLOOD_OUT], got[FLOOD_OUT];
	size_t offered = 0, before;
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	rig_fill(bytes, sizeof(bytes));
	do {
		before = offered;
		for (unsigned int i = 0; i < 4 * QUIET_STEPS; i++) {
			offered += rig_offer(bytes + offered, sizeof(bytes) - offered);
			rig_step();
		}
	} while (offered > before);
	assert_true(offered < sizeof(bytes));
	assert_true(rig.port.stalled);
	peer_send(&p, "typed", 5, 5);
	rig_expect_input("typed");
	peer_read_all(&p, got, offered, 16000);
	assert_memory_equal(got, bytes, offered);
	assert_int_equal(rig.port.counters.output_lost, 0);
	end(&p);
}

static void peer_that_does_not_read_harms_nobody_where_output_drops(void **state)
{
	static uint8_t bytes[MANY], got[MANY];
	struct tls_peer slow, quick;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	rig.port.overflow = PORT_DROP;
	join_peer(&slow, TLS_1_3);
	join_peer(&quick, TLS_1_2);
	rig_fill(bytes, sizeof(bytes));
	for (size_t done = 0; done < sizeof(bytes); done += FLOOD_PIECE) {
		rig_output(bytes + done, FLOOD_PIECE);
		peer_read_all(&quick, got + done, FLOOD_PIECE, 5000);
	}
	assert_memory_equal(got, bytes, sizeof(bytes));
	peer_end(&slow);
	end(&quick);
}

/* It waits in the socket, in the session and in the client, and comes whole. */
static void guest_that_takes_nothing_is_waited_for(void **state)
{
	static uint8_t bytes[FLOOD];
	unsigned int n_refused = 0;
	size_t sent = 0;
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	rig_fill(bytes, sizeof(bytes));
	while (n_refused < QUIET_STEPS && sent < sizeof(bytes)) {
		ssize_t n = gnutls_record_send(p.session, bytes + sent,
					       min_size(sizeof(bytes) - sent, 10000));

		n_refused = n > 0 ? 0 : n_refused + 1;
		sent += n > 0 ? (size_t)n : 0;
		rig_step();
	}
	assert_true(bytering_used(&rig.port.in) <= PORT_INPUT_SIZE);
	take_exactly(bytes, sent);
	end(&p);
}

static void renegotiation_ends_the_session(void **state)
{
	struct tls_peer p;
	char byte;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_2 ":%UNSAFE_RENEGOTIATION");
	p.err = GNUTLS_E_AGAIN;
	peer_handshake(&p);
	assert_true(p.err < 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_true(peer_receive(&p, &byte, 1) <= 0);
	end(&p);
}

static void new_keys_are_no_reason_to_stop(void **state)
{
	char got[8];
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(gnutls_session_key_update(p.session, GNUTLS_KU_PEER), 0);
		peer_send(&p, "keys", 4, 4);
		rig_expect_input("keys");
		rig_output("seen", 4);
		peer_read_all(&p, got, 4, sizeof(got));
		assert_memory_equal(got, "seen", 4);
	}
	end(&p);
}

static void bytes_that_were_changed_end_the_session(void **state)
{
	static const uint8_t record[] = { 23, 3, 3, 0, 32, 'n', 'o', 't', ' ', 'o', 'u', 'r', 's' };
	uint8_t changed[5 + 32] = { 0 };
	struct tls_peer p;
	char byte;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	memcpy(changed, record, sizeof(record));
	send_all(p.fd, changed, sizeof(changed));
	PUMP_UNTIL(rig.port.n_clients == 0);
	assert_int_equal(peer_receive(&p, &byte, 1), GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(p.session), GNUTLS_A_BAD_RECORD_MAC);
	assert_int_equal(rig.n_input, 0);
	end(&p);
}

static void telnet_goes_through_tls(void **state)
{
	static const uint8_t shown[] = { 'a', IAC, 'b' }, wire[] = { 'a', IAC, IAC, 'b' };
	static const uint8_t typed[] = { 'x', IAC, IAC, 'y' }, ask[] = { IAC, DO, NAWS };
	uint8_t got[256];
	size_t n = 0;
	struct tls_peer p;

	(void)state;
	begin(ATTACHMENT_telnet_server);
	join_peer(&p, TLS_1_3);
	while (n < sizeof(ask) || memcmp(got + n - sizeof(ask), ask, sizeof(ask)) != 0)
		peer_read_all(&p, got + n++, 1, 1);
	rig_output(shown, sizeof(shown));
	do
		peer_read_all(&p, got + n++, 1, 1);
	while (memcmp(got + n - sizeof(wire), wire, sizeof(wire)) != 0);
	peer_send(&p, typed, sizeof(typed), 1);
	PUMP_UNTIL(port_input_pending(&rig.port) == 3);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 3);
	assert_memory_equal(got, "x\377y", 3);
	end(&p);
}

/* Every byte twice on the wire, in records, and each of them once. */
static void telnet_doubles_a_flood_in_tls_without_loss(void **state)
{
	static uint8_t bytes[N_BYTES], got[4096];
	size_t n_iac = 0, offered = 0;
	struct tls_peer p;
	bool iac = false;

	(void)state;
	begin(ATTACHMENT_telnet_server);
	join_peer(&p, TLS_1_3);
	memset(bytes, IAC, sizeof(bytes));
	while (n_iac < sizeof(bytes)) {
		ssize_t n = gnutls_record_recv(p.session, got, sizeof(got));

		for (ssize_t i = 0; i < n; i++) {
			n_iac += iac && got[i] == IAC;
			iac = !iac && got[i] == IAC;
		}
		offered += rig_offer(bytes + offered, sizeof(bytes) - offered);
		rig_step();
	}
	assert_int_equal(n_iac, sizeof(bytes));
	end(&p);
}

static void another_program_takes_over_and_clients_are_told(void **state)
{
	struct tls_peer p, q;
	char byte;

	(void)state;
	begin(ATTACHMENT_tcp_server);
	join_peer(&p, TLS_1_3);
	rig.attachment->ops->part(rig.attachment, true);
	assert_int_equal(peer_receive(&p, &byte, 1), 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	peer_end(&p);
	/* Whoever comes meanwhile may shake hands and no more. */
	peer_begin(&q, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	peer_handshake(&q);
	assert_int_equal(q.err, 0);
	assert_true(peer_receive(&q, &byte, 1) < 0);
	assert_int_equal(rig.port.n_clients, 0);
	peer_end(&q);
	rig.attachment->ops->part(rig.attachment, false);
	join_peer(&p, TLS_1_3);
	end(&p);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(end_of_the_attachment_is_said),
	UNIT_TEST(client_that_is_sent_away_is_told),
	UNIT_TEST(peer_that_has_said_its_last_is_given_output),
	UNIT_TEST(input_before_an_end_without_a_word_counts),
	UNIT_TEST(peer_that_does_not_read_holds_the_guest_up),
	UNIT_TEST(peer_that_does_not_read_harms_nobody_where_output_drops),
	UNIT_TEST(guest_that_takes_nothing_is_waited_for),
	UNIT_TEST(renegotiation_ends_the_session),
	UNIT_TEST(new_keys_are_no_reason_to_stop),
	UNIT_TEST(bytes_that_were_changed_end_the_session),
	UNIT_TEST(telnet_goes_through_tls),
	UNIT_TEST(telnet_doubles_a_flood_in_tls_without_loss),
	UNIT_TEST(another_program_takes_over_and_clients_are_told),
};

TLS_MAIN(tests)
