/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attachments that connect with TLS: the test is the server, which proves itself or does not. */
#include "tls_rig.h"

enum { PIECE = 3000 };

static char target[64];

static int listen_tcp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(in);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

static int accept_next(int listener)
{
	int fd;

	PUMP_UNTIL((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	return fd;
}

/* A server that connects to us proves itself as identity; the attachment trusts ca. */
static int begin(const struct identity *ours, const struct identity *ca, const char *psk)
{
	int listener = listen_tcp();

	rig_begin_lossless();
	ask_tls(ours, ca, psk);
	return listener;
}

static void open_target(void)
{
	if (rig_open(ATTACHMENT_tcp_connect, target) < 0)
		fail_msg("%s", rig.why);
}

static void end(struct tls_peer *p, int listener)
{
	rig_close();
	rig_end();
	peer_end(p);
	close(listener);
}

/* The server sees it fail, in its handshake or after it, and it is tried again. */
static void is_refused(struct tls_peer *p, int listener)
{
	char byte;
	int fd;

	peer_handshake(p);
	if (p->err == 0)
		assert_true(peer_receive(p, &byte, 1) < 0);
	fd = accept_next(listener);
	assert_int_equal(rig.port.n_clients, 0);
	assert_int_equal(rig.n_open, 0);
	close(fd);
}

static void bytes_pass_both_ways(void **state)
{
	static const char *const versions[] = { TLS_1_2, TLS_1_3 };
	static uint8_t bytes[N_BYTES], got[N_BYTES];
	struct tls_peer p;
	int listener;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		listener = begin(NULL, &pki.ca, NULL);
		open_target();
		peer_begin(&p, accept_next(listener), GNUTLS_SERVER, versions[i], &pki.server);
		peer_handshake(&p);
		assert_int_equal(p.err, 0);
		PUMP_UNTIL(rig.port.n_clients == 1);
		assert_string_equal(rig.port.writer->tls->peer, "CN=server.test");
		rig_fill(bytes, sizeof(bytes));
		assert_int_equal(rig_output(bytes, sizeof(bytes)), sizeof(bytes));
		peer_read_all(&p, got, sizeof(got), PIECE);
		assert_memory_equal(got, bytes, sizeof(got));
		peer_send(&p, bytes, 16000, PIECE);
		take_exactly(bytes, 16000);
		end(&p, listener);
	}
}

static void output_while_there_is_no_session_comes_with_the_next(void **state)
{
	struct tls_peer p;
	char got[32];
	int listener;

	(void)state;
	listener = begin(NULL, &pki.ca, NULL);
	open_target();
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	peer_handshake(&p);
	PUMP_UNTIL(rig.port.n_clients == 1);
	rig_output("one ", 4);
	peer_read_all(&p, got, 4, sizeof(got));
	gnutls_bye(p.session, GNUTLS_SHUT_WR);
	peer_end(&p);
	PUMP_UNTIL(rig.port.n_clients == 0);
	rig_output("two ", 4);
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	rig_output("three", 5);
	peer_read_all(&p, got, 9, sizeof(got));
	assert_memory_equal(got, "two three", 9);
	end(&p, listener);
}

static void server_that_is_not_trusted_is_refused(void **state)
{
	static const struct identity *const bad[] = { &pki.stranger, &pki.expired };
	struct tls_peer p;
	int listener;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		listener = begin(NULL, &pki.ca, NULL);
		open_target();
		peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, bad[i]);
		is_refused(&p, listener);
		end(&p, listener);
	}
}

static void name_of_the_server_is_the_one_that_is_given(void **state)
{
	struct tls_peer p;
	int listener;

	(void)state;
	listener = begin(NULL, &pki.ca, NULL);
	rig.options.tls_name = "other.test";
	open_target();
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	is_refused(&p, listener);
	end(&p, listener);

	listener = begin(NULL, &pki.ca, NULL);
	rig.options.tls_name = "server.test";
	open_target();
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	end(&p, listener);
}

static void server_that_asks_sees_our_certificate(void **state)
{
	const gnutls_datum_t *chain;
	gnutls_datum_t der;
	unsigned int n = 0;
	struct tls_peer p;
	int listener;

	(void)state;
	listener = begin(&pki.client, &pki.ca, NULL);
	open_target();
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	gnutls_certificate_server_set_request(p.session, GNUTLS_CERT_REQUIRE);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	chain = gnutls_certificate_get_peers(p.session, &n);
	assert_int_equal(n, 1);
	assert_int_equal(gnutls_x509_crt_export2(pki.client.crt, GNUTLS_X509_FMT_DER, &der), 0);
	assert_int_equal(chain[0].size, der.size);
	assert_memory_equal(chain[0].data, der.data, der.size);
	gnutls_free(der.data);
	PUMP_UNTIL(rig.port.n_clients == 1);
	end(&p, listener);
}

static int known_key(gnutls_session_t session, const char *identity, gnutls_datum_t *ret_key)
{
	const gnutls_datum_t hex = { (unsigned char *)(uintptr_t)PSK_HEX,
				     (unsigned int)strlen(PSK_HEX) };

	(void)session;
	if (strcmp(identity, PSK_IDENTITY) != 0)
		return 1;
	return gnutls_hex_decode2(&hex, ret_key);
}

static void take_psk(struct tls_peer *p)
{
	assert_int_equal(gnutls_psk_allocate_server_credentials(&p->psk_server), 0);
	gnutls_psk_set_server_credentials_function(p->psk_server, known_key);
	gnutls_credentials_set(p->session, GNUTLS_CRD_PSK, p->psk_server);
}

static void pre_shared_key_is_used(void **state)
{
	static const char *const versions[] = { PSK_1_2, PSK_1_3 };
	struct tls_peer p;
	int listener;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		listener = begin(NULL, NULL, pki.psk_path);
		open_target();
		peer_begin(&p, accept_next(listener), GNUTLS_SERVER, versions[i], NULL);
		take_psk(&p);
		peer_handshake(&p);
		assert_int_equal(p.err, 0);
		PUMP_UNTIL(rig.port.n_clients == 1);
		peer_send(&p, "key", 3, 3);
		rig_expect_input("key");
		end(&p, listener);
	}
}

/* Nor does a certificate help, which a client with a key has not asked for. */
static void pre_shared_key_that_the_server_has_not_is_refused(void **state)
{
	const char *const paths[] = { pki.wrong_psk_path, pki.other_psk_path, pki.psk_path };
	struct tls_peer p;
	int listener;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(paths); i++) {
		listener = begin(NULL, NULL, paths[i / 2]);
		open_target();
		if (i / 2 < 2) {
			peer_begin(&p, accept_next(listener), GNUTLS_SERVER,
				   i % 2 ? PSK_1_2 : PSK_1_3, NULL);
			take_psk(&p);
		} else {
			peer_begin(&p, accept_next(listener), GNUTLS_SERVER,
				   i % 2 ? TLS_1_2 : TLS_1_3, &pki.server);
		}
		is_refused(&p, listener);
		end(&p, listener);
	}
}

static void server_without_tls_is_refused(void **state)
{
	int listener, fd, next;

	(void)state;
	listener = begin(NULL, &pki.ca, NULL);
	open_target();
	fd = accept_next(listener);
	send_all(fd, "220 hello\r\n", 11);
	next = accept_next(listener);
	assert_int_equal(rig.port.n_clients, 0);
	close(fd);
	close(next);
	rig_close();
	rig_end();
	close(listener);
}

static void server_that_says_nothing_is_left_and_tried_again(void **state)
{
	int listener, first, next;

	(void)state;
	listener = begin(NULL, &pki.ca, NULL);
	rig.options.tls_timeout = 50;
	open_target();
	first = accept_next(listener);
	next = accept_next(listener);
	close(first);
	close(next);
	rig_close();
	rig_end();
	close(listener);
}

static void unix_socket_is_as_good(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct tls_peer p;

	(void)state;
	snprintf(target, sizeof(target), "@vhu-test-tls-%d", getpid());
	memcpy(un.sun_path + 1, target + 1, strlen(target) - 1);
	assert_int_equal(bind(listener, (struct sockaddr *)&un,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(target))),
			 0);
	assert_int_equal(listen(listener, 4), 0);
	rig_begin_lossless();
	ask_tls(NULL, &pki.ca, NULL);
	rig.options.tls_name = "server.test";
	assert_int_equal(rig_open(ATTACHMENT_unix_connect, target), 0);
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	peer_handshake(&p);
	assert_int_equal(p.err, 0);
	PUMP_UNTIL(rig.port.n_clients == 1);
	end(&p, listener);
}

static void another_program_takes_over_and_the_server_is_told(void **state)
{
	struct tls_peer p;
	int listener;
	char byte;

	(void)state;
	listener = begin(NULL, &pki.ca, NULL);
	open_target();
	peer_begin(&p, accept_next(listener), GNUTLS_SERVER, TLS_1_3, &pki.server);
	peer_handshake(&p);
	PUMP_UNTIL(rig.port.n_clients == 1);
	rig.attachment->ops->part(rig.attachment, true);
	assert_int_equal(peer_receive(&p, &byte, 1), 0);
	PUMP_UNTIL(rig.port.n_clients == 0);
	end(&p, listener);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(bytes_pass_both_ways),
	UNIT_TEST(output_while_there_is_no_session_comes_with_the_next),
	UNIT_TEST(server_that_is_not_trusted_is_refused),
	UNIT_TEST(name_of_the_server_is_the_one_that_is_given),
	UNIT_TEST(server_that_asks_sees_our_certificate),
	UNIT_TEST(pre_shared_key_is_used),
	UNIT_TEST(pre_shared_key_that_the_server_has_not_is_refused),
	UNIT_TEST(server_without_tls_is_refused),
	UNIT_TEST(server_that_says_nothing_is_left_and_tried_again),
	UNIT_TEST(unix_socket_is_as_good),
	UNIT_TEST(another_program_takes_over_and_the_server_is_told),
};

TLS_MAIN(tests)
