/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Servers with TLS: who is let in and who is not, and every byte of those who are. */
#include "tls_rig.h"

enum { MANY = 1024 * 1024 };

static void serve_identity(const struct identity *ca, const char *psk)
{
	rig_begin_lossless();
	ask_tls(&pki.server, ca, psk);
	serve_tcp(ATTACHMENT_tcp_server);
}

static void serve_psk(void)
{
	rig_begin_lossless();
	ask_tls(NULL, NULL, pki.psk_path);
	serve_tcp(ATTACHMENT_tcp_server);
}

static void end(struct tls_peer *p)
{
	rig_close();
	rig_end();
	peer_end(p);
}

static void join_peer(struct tls_peer *p, const char *priority, const struct identity *ours)
{
	const unsigned int n = rig.port.n_clients;

	peer_begin(p, dial(0), GNUTLS_CLIENT, priority, ours);
	peer_handshake(p);
	assert_int_equal(p->err, 0);
	PUMP_UNTIL(rig.port.n_clients == n + 1);
}

/* The peer's handshake, then what it reads: it fails on one of the two, and never joins. */
static void is_refused(struct tls_peer *p)
{
	char byte;

	peer_handshake(p);
	if (p->err == 0)
		assert_true(peer_receive(p, &byte, 1) < 0);
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(rig.n_open, 0);
}

static const struct port_client_tls *facts_of_first(void)
{
	return list_entry(rig.port.clients.next, struct port_client, link)->tls;
}

static void bytes_pass_both_ways_in_odd_pieces(void **state)
{
	static const char *const versions[] = { TLS_1_2, TLS_1_3 };
	static uint8_t bytes[MANY], got[MANY];
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		serve_identity(NULL, NULL);
		join_peer(&p, versions[i], NULL);
		rig_fill(bytes, sizeof(bytes));
		for (size_t done = 0, taken = 0; taken < sizeof(bytes);) {
			size_t n = min_size(1 + rig_random() % 40000, sizeof(bytes) - done);

			if (n > 0)
				peer_send(&p, bytes + done, n, 1 + rig_random() % 16384);
			done += n;
			do {
				rig_step();
				taken += rig_take(got + taken, sizeof(got) - taken);
			} while (taken < done);
		}
		assert_memory_equal(got, bytes, sizeof(bytes));
		for (size_t done = 0, seen = 0; seen < sizeof(bytes);) {
			ssize_t n;

			done += rig_offer(bytes + done,
					  min_size(1 + rig_random() % 30000, sizeof(bytes) - done));
			n = gnutls_record_recv(p.session, got + seen, min_size(7777, MANY - seen));
			seen += n > 0 ? (size_t)n : 0;
			rig_step();
		}
		assert_memory_equal(got, bytes, sizeof(bytes));
		assert_int_equal(rig.port.counters.output_lost, 0);
		end(&p);
	}
}

static void facts_are_there_for_status(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_identity(&pki.ca, NULL);
	join_peer(&p, TLS_1_3, &pki.client);
	assert_string_equal(facts_of_first()->version, "TLS1.3");
	assert_non_null(strstr(facts_of_first()->cipher, "AES"));
	assert_string_equal(facts_of_first()->peer, "CN=client.test");
	end(&p);
}

static void peer_without_certificate_is_anybody(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_identity(NULL, NULL);
	join_peer(&p, TLS_1_2, NULL);
	assert_string_equal(facts_of_first()->version, "TLS1.2");
	assert_string_equal(facts_of_first()->peer, "");
	end(&p);
}

static void certificate_is_asked_for_and_none_is_shown(void **state)
{
	static const char *const versions[] = { TLS_1_2, TLS_1_3 };
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		serve_identity(&pki.ca, NULL);
		peer_begin(&p, dial(0), GNUTLS_CLIENT, versions[i], NULL);
		is_refused(&p);
		end(&p);
	}
}

/* As GnuTLS would not show a certificate of an authority that was not asked for, it is made to. */
static gnutls_x509_crt_t shown_crt;
static gnutls_x509_privkey_t shown_key;

static int show(gnutls_session_t session, const gnutls_datum_t *cas, int n_cas,
		const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_retr2_st *st)
{
	(void)session;
	(void)cas;
	(void)n_cas;
	(void)algorithms;
	(void)n_algorithms;
	st->cert_type = GNUTLS_CRT_X509;
	st->cert.x509 = &shown_crt;
	st->ncerts = 1;
	st->key_type = GNUTLS_PRIVKEY_X509;
	st->key.x509 = shown_key;
	st->deinit_all = 0;
	return 0;
}

static void certificate_that_is_not_good_is_refused(void **state)
{
	static const struct identity *const bad[] = { &pki.stranger, &pki.expired };
	static const char *const versions[] = { TLS_1_2, TLS_1_3 };
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		serve_identity(&pki.ca, NULL);
		peer_begin(&p, dial(0), GNUTLS_CLIENT, versions[i % 2], NULL);
		shown_crt = bad[i / 2]->crt;
		shown_key = bad[i / 2]->key;
		gnutls_certificate_set_retrieve_function(p.certs, show);
		is_refused(&p);
		end(&p);
	}
}

static void pre_shared_key_lets_in(void **state)
{
	static const char *const versions[] = { PSK_1_2, PSK_1_3 };
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		serve_psk();
		peer_begin(&p, dial(0), GNUTLS_CLIENT, versions[i], NULL);
		peer_offer_psk(&p, PSK_IDENTITY, PSK_HEX);
		peer_handshake(&p);
		assert_int_equal(p.err, 0);
		PUMP_UNTIL(rig.port.n_clients == 1);
		assert_string_equal(facts_of_first()->peer, PSK_IDENTITY);
		peer_send(&p, "key", 3, 3);
		rig_expect_input("key");
		end(&p);
	}
}

static void pre_shared_key_that_is_wrong_is_refused(void **state)
{
	static const struct {
		const char *identity, *hex;
	} wrong[] = {
		{ PSK_IDENTITY, "ff112233445566778899aabbccddeeff" },
		{ "mallory", PSK_HEX },
	};
	static const char *const versions[] = { PSK_1_2, PSK_1_3 };
	struct tls_peer p;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(wrong); i++) {
		serve_psk();
		peer_begin(&p, dial(0), GNUTLS_CLIENT, versions[i % 2], NULL);
		peer_offer_psk(&p, wrong[i / 2].identity, wrong[i / 2].hex);
		is_refused(&p);
		end(&p);
	}
}

static void certificate_is_no_way_in_where_a_key_is_asked_for(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_psk();
	peer_begin(&p, dial(0), GNUTLS_CLIENT, ANY_TLS, &pki.client);
	is_refused(&p);
	end(&p);
}

static void both_ways_in_are_open_where_both_are_given(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_identity(&pki.ca, pki.psk_path);
	join_peer(&p, TLS_1_3, &pki.client);
	assert_string_equal(facts_of_first()->peer, "CN=client.test");
	gnutls_bye(p.session, GNUTLS_SHUT_WR);
	PUMP_UNTIL(rig.port.n_clients == 0);
	peer_end(&p);
	peer_begin(&p, dial(0), GNUTLS_CLIENT, PSK_1_3, NULL);
	peer_offer_psk(&p, PSK_IDENTITY, PSK_HEX);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	assert_string_equal(facts_of_first()->peer, PSK_IDENTITY);
	end(&p);
}

static void version_that_is_too_old_is_refused(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_identity(NULL, NULL);
	peer_begin(&p, dial(0), GNUTLS_CLIENT, TLS_1_1, NULL);
	is_refused(&p);
	end(&p);
}

static void plain_text_is_sent_away(void **state)
{
	int fd;

	(void)state;
	serve_identity(NULL, NULL);
	fd = dial(0);
	send_all(fd, "help\r\n", 6);
	PUMP_UNTIL(at_end(fd));
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(rig.n_input, 0);
	rig_close();
	rig_end();
	close(fd);
}

/* One hello of 16 MB, in records so long that all room for ciphertext is used up now and then. */
static void hello_that_never_ends_is_refused(void **state)
{
	static const uint8_t hello[] = { 1, 0xff, 0xff, 0xff, 3, 3 };
	static uint8_t record[5 + 16000] = { 22, 3, 1, 16000 >> 8, 16000 & 0xff };
	bool ended = false;
	size_t at = 0;
	int fd;

	(void)state;
	memcpy(record + 5, hello, sizeof(hello));
	serve_psk();
	fd = dial(0);
	while (!ended) {
		ssize_t n = send(fd, record + at, sizeof(record) - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		at = n > 0 ? (at + (size_t)n) % sizeof(record) : at;
		ended = n < 0 && errno != EAGAIN;
		rig_step();
	}
	assert_int_equal(rig.port.n_clients, 0);
	rig_close();
	rig_end();
	close(fd);
}

static void handshake_that_stalls_has_an_end(void **state)
{
	uint8_t buf[4096];
	struct tls_peer p;
	int silent;

	(void)state;
	rig_begin_lossless();
	ask_tls(&pki.server, NULL, NULL);
	rig.options.tls_timeout = 50;
	serve_tcp(ATTACHMENT_tcp_server);
	silent = dial(0);
	peer_begin(&p, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	peer_shakes(&p); /* hello, and then nothing */
	PUMP_UNTIL(at_end(silent));
	PUMP_UNTIL(read(p.fd, buf, sizeof(buf)) == 0);
	assert_int_equal(rig.port.n_clients, 0);
	close(silent);
	end(&p);
}

static void peer_that_goes_in_its_handshake_leaves_nothing(void **state)
{
	struct tls_peer p;

	(void)state;
	serve_identity(NULL, NULL);
	for (unsigned int i = 0; i < 3; i++) {
		peer_begin(&p, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
		peer_shakes(&p);
		if (i > 0)
			rig_step();
		if (i > 1)
			reset_connection(fcntl(p.fd, F_DUPFD_CLOEXEC, 0));
		peer_end(&p);
	}
	join_peer(&p, TLS_1_3, NULL);
	end(&p);
}

/* Those who hold their handshake up keep nobody out, and nobody who has joined is sent away. */
static void newcomers_take_the_place_of_those_who_stall(void **state)
{
	int silent[CLIENTS_MAX];
	struct tls_peer first, last;

	(void)state;
	serve_identity(NULL, NULL);
	join_peer(&first, TLS_1_3, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = dial(0);
		rig_step();
	}
	join_peer(&last, TLS_1_3, NULL);
	assert_int_equal(rig.port.n_clients, 2);
	peer_send(&first, "still here", 10, 10);
	rig_expect_input("still here");
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
	peer_end(&first);
	end(&last);
}

static bool all_shake(struct tls_peer *peers, size_t n)
{
	bool all = true;

	for (size_t i = 0; i < n; i++)
		all &= peer_shakes(&peers[i]);
	return all;
}

/* More than there are places in the handshake, as after an upgrade. */
static void crowd_that_comes_at_once_joins(void **state)
{
	static struct tls_peer crowd[CLIENTS_MAX];

	(void)state;
	serve_identity(NULL, NULL);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		peer_begin(&crowd[i], dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	PUMP_UNTIL(all_shake(crowd, CLIENTS_MAX));
	PUMP_UNTIL(rig.port.n_clients == CLIENTS_MAX);
	for (size_t i = 1; i < CLIENTS_MAX; i++)
		peer_end(&crowd[i]);
	end(&crowd[0]);
}

static void one_too_many_is_turned_away_when_all_have_joined(void **state)
{
	struct tls_peer first, second;

	(void)state;
	rig_begin_lossless();
	ask_tls(&pki.server, NULL, NULL);
	rig.options.clients = 1;
	serve_tcp(ATTACHMENT_tcp_server);
	join_peer(&first, TLS_1_3, NULL);
	peer_begin(&second, dial(0), GNUTLS_CLIENT, TLS_1_3, NULL);
	peer_handshake(&second);
	assert_true(second.err < 0);
	assert_int_equal(rig.port.n_clients, 1);
	peer_end(&second);
	end(&first);
}

/* One that the daemon was started with needs no less. */
static void inherited_socket_for_all_machines_needs_the_words(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0); /* stays over an exec */
	socklen_t len = sizeof(in);
	char number[16];
	struct tls_peer p;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &len), 0);
	snprintf(number, sizeof(number), "%d", listener);
	rig_begin_lossless();
	assert_true(rig_open(ATTACHMENT_descriptor, number) < 0);
	assert_non_null(strstr(rig.why, "add remote,tls-cert=FILE,tls-key=FILE"));
	ask_tls(&pki.server, NULL, NULL);
	assert_true(rig_open(ATTACHMENT_descriptor, number) < 0);
	assert_non_null(strstr(rig.why, "TLS: add remote"));
	rig.options.remote = true;
	assert_int_equal(rig_open(ATTACHMENT_descriptor, number), 0);
	address = in;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	join_peer(&p, TLS_1_3, NULL);
	end(&p);
	close(listener);
}

static void inherited_connection_has_nobody_to_begin_tls_with(void **state)
{
	char number[16];
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	snprintf(number, sizeof(number), "%d", ends[0]);
	rig_begin();
	ask_tls(&pki.server, NULL, NULL);
	assert_true(rig_open(ATTACHMENT_descriptor, number) < 0);
	assert_non_null(strstr(rig.why, "is no listening socket"));
	rig_end();
	close(ends[0]);
	close(ends[1]);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(inherited_socket_for_all_machines_needs_the_words),
	UNIT_TEST(inherited_connection_has_nobody_to_begin_tls_with),
	UNIT_TEST(bytes_pass_both_ways_in_odd_pieces),
	UNIT_TEST(facts_are_there_for_status),
	UNIT_TEST(peer_without_certificate_is_anybody),
	UNIT_TEST(certificate_is_asked_for_and_none_is_shown),
	UNIT_TEST(certificate_that_is_not_good_is_refused),
	UNIT_TEST(pre_shared_key_lets_in),
	UNIT_TEST(pre_shared_key_that_is_wrong_is_refused),
	UNIT_TEST(certificate_is_no_way_in_where_a_key_is_asked_for),
	UNIT_TEST(both_ways_in_are_open_where_both_are_given),
	UNIT_TEST(version_that_is_too_old_is_refused),
	UNIT_TEST(plain_text_is_sent_away),
	UNIT_TEST(hello_that_never_ends_is_refused),
	UNIT_TEST(handshake_that_stalls_has_an_end),
	UNIT_TEST(peer_that_goes_in_its_handshake_leaves_nothing),
	UNIT_TEST(newcomers_take_the_place_of_those_who_stall),
	UNIT_TEST(crowd_that_comes_at_once_joins),
	UNIT_TEST(one_too_many_is_turned_away_when_all_have_joined),
};

TLS_MAIN(tests)
