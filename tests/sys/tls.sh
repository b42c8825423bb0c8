#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# TLS attachments with other people's programs at the other end, and what is refused
# without TLS.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires certtool psktool gnutls-cli gnutls-serv socat timeout md5sum

VHU_CONTROL=$tmp/ctl
export VHU_CONTROL

grep -q '^#define HAVE_GNUTLS 1' "$top_builddir/config.h" || skip_all "this build is without GnuTLS"

log_says() {
	wait_for 10 said "$tmp/log" "$1" || { cat "$tmp/log"; return 1; }
}

# is FILE TEXT
is() {
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

# Certificates.

# key NAME
key() {
	certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile "$tmp/$1.key" \
		2>/dev/null && chmod 600 "$tmp/$1.key"
}

# authority NAME
authority() {
	key "$1" && printf 'cn = %s\nca\ncert_signing_key\nexpiration_days = 2\n' "$1" >"$tmp/t" &&
		certtool --generate-self-signed --load-privkey "$tmp/$1.key" --template "$tmp/t" \
			--outfile "$tmp/$1.crt" 2>/dev/null
}

# certificate NAME AUTHORITY USE LINE...: USE is tls_www_server or tls_www_client
certificate() {
	cert_name=$1
	cert_from=$2
	cert_use=$3
	shift 3
	key "$cert_name" || return 1
	{
		printf 'cn = %s\n%s\nsigning_key\nexpiration_days = 1\n' "$cert_name" "$cert_use"
		for line in "$@"; do
			echo "$line"
		done
	} >"$tmp/t"
	certtool --generate-certificate --load-privkey "$tmp/$cert_name.key" --template "$tmp/t" \
		--load-ca-certificate "$tmp/$cert_from.crt" --load-ca-privkey "$tmp/$cert_from.key" \
		--outfile "$tmp/$cert_name.crt" 2>/dev/null
}

make_certificates() {
	authority ca && authority other &&
		certificate server ca tls_www_server 'ip_address = 127.0.0.1' 'dns_name = localhost' &&
		certificate second ca tls_www_server 'ip_address = 127.0.0.1' &&
		certificate client ca tls_www_client && certificate stranger other tls_www_client &&
		psktool -u alice -p "$tmp/psk" >/dev/null
}

# tls_client PORT ARGUMENT...: gnutls-cli; what comes out of the port goes to $tmp/out, what is
# written to descriptor 7 goes in.
tls_client() {
	cli_port=$1
	shift
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	: >"$tmp/out"
	n_before=$(n_joined)
	timeout 60 gnutls-cli --logfile="$tmp/cli" -p "$cli_port" "$@" 127.0.0.1 \
		<"$tmp/keys" >"$tmp/out" 2>"$tmp/cli.err" &
	client=$!
	exec 7>"$tmp/keys"
}

n_joined() {
	grep -c ') joined' "$tmp/log"
}

more_joined() {
	[ "$(n_joined)" -gt "$1" ]
}

# The client of before has joined.
tls_up() {
	wait_for 10 more_joined "$n_before" || { cat "$tmp/cli" "$tmp/log"; return 1; }
}

# from_guest PORT TEXT
from_guest() {
	guest --port "$1" --wait-open send "$2" || { cat "$tmp/guest"; return 1; }
}

# both_ways PORT: a text each way with the client that there is.
both_ways() {
	from_guest "$1" "from the guest" && wait_for 10 is "$tmp/out" "from the guest" || return 1
	"$vhu_guest" --socket "$tmp/s0" --port "$1" sink 9 >"$tmp/in" 2>"$tmp/guest" &
	taker=$!
	printf 'from here' >&7
	wait "$taker"
	is "$tmp/in" "from here"
}

by_certificate() {
	tls_client "$port" --x509cafile="$tmp/ca.crt" && tls_up && both_ways org.tls
	result=$?
	client_leaves
	return $result
}

# Of the server's own kind, if it is here.
by_openssl() {
	command -v openssl >/dev/null || return 0
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	timeout 60 openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile "$tmp/ca.crt" \
		-connect "127.0.0.1:$port" <"$tmp/keys" >"$tmp/out" 2>"$tmp/cli" &
	client=$!
	exec 7>"$tmp/keys"
	both_ways org.tls
	result=$?
	client_leaves
	return $result
}

# With a certificate of its own, as the manual has it.
by_socat() {
	cat "$tmp/client.crt" "$tmp/client.key" >"$tmp/client.pem"
	client "OPENSSL:127.0.0.1:$((port + 1)),cafile=$tmp/ca.crt,cert=$tmp/client.pem" "$tmp/out"
	both_ways org.ca
	result=$?
	client_leaves
	return $result
}

status_tells_who_it_is() {
	tls_client "$((port + 1))" --x509cafile="$tmp/ca.crt" --x509certfile="$tmp/client.crt" \
		--x509keyfile="$tmp/client.key" && tls_up &&
		log_says 'console0/p2: client 1 (tcp 127.0.0.1:.*) joined' &&
		"$daemon" ctl status >"$tmp/status" && cat "$tmp/status" &&
		grep -q 'TLS1.3 AES-256-GCM, CN=client' "$tmp/status" &&
		"$daemon" ctl --json status | tr -d ' \n' >"$tmp/status" &&
		grep -q '"tls":{"version":"TLS1.3","cipher":"AES-256-GCM","peer":"CN=client"}' \
			"$tmp/status"
	result=$?
	client_leaves
	return $result
}

# no_entry TEXT ARGUMENT...: the client that needs a certificate is refused, for this reason.
no_entry() {
	entry_text=$1
	shift
	tls_client "$((port + 1))" --x509cafile="$tmp/ca.crt" "$@"
	log_says "no TLS: $entry_text"
	result=$?
	client_leaves
	return $result
}

by_key() {
	tls_client "$((port + 2))" --pskusername=alice --pskkey="$(sed 's/.*://' "$tmp/psk")" \
		--priority=NORMAL:-KX-ALL:+ECDHE-PSK && tls_up && both_ways org.psk
	result=$?
	client_leaves
	return $result
}

by_wrong_key() {
	tls_client "$((port + 2))" --pskusername=mallory --pskkey=00112233445566778899aabbccddeeff \
		--priority=NORMAL:-KX-ALL:+ECDHE-PSK:+DHE-PSK
	log_says 'no TLS: its pre-shared key is of an identity that is not in tls-psk'
	result=$?
	client_leaves
	return $result
}

plain_text() {
	printf 'GET / HTTP/1.0\r\n\r\n' | timeout 10 socat -t 5 - "TCP:127.0.0.1:$port" >"$tmp/out"
	[ ! -s "$tmp/out" ] && log_says 'no TLS: what it says is not TLS'
}

# Megabytes on a port that holds, compared at the end.
many_bytes() {
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	timeout 100 gnutls-cli --logfile="$tmp/cli" -p "$port" --x509cafile="$tmp/ca.crt" 127.0.0.1 \
		<"$tmp/keys" 2>/dev/null | md5sum >"$tmp/sum" &
	client=$!
	exec 7>"$tmp/keys"
	guest --port org.tls --wait-open --timeout 60000 seq 500000 || { cat "$tmp/guest"; return 1; }
	"$daemon" ctl detach console0/1 2
	result=$?
	wait "$client"
	exec 7>&-
	[ $result -eq 0 ] || return 1
	[ "$(cat "$tmp/sum")" = "$(seq 500000 | md5sum)" ]
}

# connect_to PORT WORDS
connect_to() {
	"$daemon" ctl attach console0/4 \
		"tcp-connect:127.0.0.1:$1,reconnect=50,reconnect-max=50$2" >"$tmp/attached"
}

detach() {
	"$daemon" ctl detach console0/4 "$(sed 's/[^0-9]//g' "$tmp/attached")"
}

# Servers that are not ours.

connects_to_socat() {
	connect_to "$((port + 3))" ",tls-ca=$tmp/ca.crt" || return 1
	options=bind=127.0.0.1,reuseaddr,verify=0
	client "OPENSSL-LISTEN:$((port + 3)),$options,cert=$tmp/server.crt,key=$tmp/server.key" \
		"$tmp/out"
	both_ways org.out
	result=$?
	client_leaves
	detach
	return $result
}

start_gnutls_serv() {
	timeout 60 gnutls-serv --echo -p "$((port + 3))" --x509certfile="$tmp/server.crt" \
		--x509keyfile="$tmp/server.key" >"$tmp/serv" 2>&1 &
	server=$!
}

end_gnutls_serv() {
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	detach
}

# serv_hears TEXT: the guest says it.
serv_hears() {
	from_guest org.out "$1
" && wait_for 10 said "$tmp/serv" "$1" || { cat "$tmp/serv" "$tmp/log"; return 1; }
}

connects_to_gnutls_serv() {
	start_gnutls_serv
	connect_to "$((port + 3))" ",tls-ca=$tmp/ca.crt" && serv_hears "say it again"
	result=$?
	end_gnutls_serv
	return $result
}

n_upgraded() {
	grep -c 'console: upgraded: ' "$tmp/log"
}

more_upgraded() {
	[ "$(n_upgraded)" -gt "$1" ]
}

upgrade() {
	upgrades=$(n_upgraded)
	kill -USR2 "$daemon_pid" && wait_for 20 more_upgraded "$upgrades" || { cat "$tmp/log"; return 1; }
}

# Both by itself, and with what came meanwhile.
connects_again_after_an_upgrade() {
	start_gnutls_serv
	connect_to "$((port + 3))" ",tls-ca=$tmp/ca.crt" && serv_hears "before it" && upgrade &&
		serv_hears "after it"
	result=$?
	end_gnutls_serv
	return $result
}

# What needs a word, and does not get it.

# fails TEXT ARGUMENT...: it does not start, and nothing is left.
fails() {
	want=$1
	shift
	timeout 10 "$daemon" -s "$tmp/z" "$@" 2>"$tmp/err" </dev/null
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 2 ] && said "$tmp/err" "$want" && [ ! -e "$tmp/z0" ]
}

# attach_fails TEXT ATTACHMENT
attach_fails() {
	! "$daemon" ctl attach console0/1 "$2" 2>"$tmp/err" && cat "$tmp/err" && said "$tmp/err" "$1"
}

listens() {
	timeout 5 socat -u /dev/null "TCP:127.0.0.1:$1" 2>/dev/null
}

for_all_with_tls() {
	"$daemon" ctl attach console0/4 \
		"tcp:0.0.0.0:$((port + 4)),remote,tls-cert=$tmp/server.crt,tls-key=$tmp/server.key" &&
		log_says 'TCP 0.0.0.0:.*everybody who can reach it may read and type; with tls-ca' &&
		tls_client "$((port + 4))" --x509cafile="$tmp/ca.crt" && tls_up
	result=$?
	client_leaves
	return $result
}

write_conf() {
	cat >"$tmp/conf" <<-END
		socket-path=$tmp/s
		control=$tmp/ctl
		port=0,console,null
		port=1,name=org.tls,tcp:$port,tls-cert=$tmp/live.crt,tls-key=$tmp/live.key
		port=2,name=org.ca,tcp:$((port + 1)),tls-cert=$tmp/live.crt,tls-key=$tmp/live.key,tls-ca=$tmp/ca.crt
		port=3,name=org.psk,tcp:$((port + 2)),tls-psk=$tmp/psk
		port=4,name=org.out
		$1
	END
}

reload_refuses() {
	write_conf "port=5,tcp:0.0.0.0:$((port + 5))"
	! "$daemon" ctl reload 2>"$tmp/err" && cat "$tmp/err" &&
		said "$tmp/err" 'can be reached from other machines' && ! listens "$((port + 5))"
	result=$?
	write_conf
	return $result
}

new_certificate_counts() {
	cp "$tmp/second.crt" "$tmp/live.crt" && cp -p "$tmp/second.key" "$tmp/live.key" &&
		"$daemon" ctl reload || return 1
	tls_client "$port" --x509cafile="$tmp/ca.crt" && tls_up
	client_leaves
	said "$tmp/cli" 'CN=second' || { cat "$tmp/cli"; return 1; }
}

bad_certificate_changes_nothing() {
	: >"$tmp/live.crt"
	"$daemon" ctl reload && log_says 'cannot be used: .*; TLS goes on as before' || return 1
	cp "$tmp/second.crt" "$tmp/live.crt"
	tls_client "$port" --x509cafile="$tmp/ca.crt" && tls_up
	result=$?
	client_leaves
	return $result
}

# Another program goes on: a TLS client is told, and comes back.
upgrade_says_farewell() {
	tls_client "$port" --x509cafile="$tmp/ca.crt" && tls_up || return 1
	upgrade && log_says 'left: the daemon is upgraded, and a TLS session cannot go along' || return 1
	wait "$client"
	exec 7>&-
	said "$tmp/cli" 'Peer has closed the GnuTLS connection' || { cat "$tmp/cli"; return 1; }
	by_certificate
}

plan 28

check "certificates are made" make_certificates
cp "$tmp/server.crt" "$tmp/live.crt"
cp -p "$tmp/server.key" "$tmp/live.key"
write_conf
start_daemon 1 --config "$tmp/conf"
check "gnutls-cli and the guest hear each other" by_certificate
check "openssl s_client and the guest hear each other" by_openssl
check "socat's client and the guest hear each other" by_socat
check "status tells version, cipher and who it is" status_tells_who_it_is
check "a client without a certificate is refused" no_entry 'it has shown no certificate'
check "a client of another authority is refused" no_entry 'its certificate is not accepted' \
	--x509certfile="$tmp/stranger.crt" --x509keyfile="$tmp/stranger.key"
check "a pre-shared key lets in" by_key
check "an identity that is unknown does not" by_wrong_key
check "plain text on a TLS port is told of" plain_text
check "gnutls-serv is told what the guest says" connects_to_gnutls_serv
check "socat's server and the guest hear each other" connects_to_socat

check "a listener for all machines is refused" fails \
	"tcp:0.0.0.0:$((port + 6)) can be reached from other machines.*: add remote,tls-cert=FILE,tls-key=FILE" \
	--port "console,tcp:0.0.0.0:$((port + 6))"
check "so is one of IPv6" fails "add remote,tls-cert" --port "console,telnet:[::]:$((port + 6))"
check "and one that is mapped" fails "add remote,tls-cert" \
	--port "console,tcp:[::ffff:0.0.0.0]:$((port + 6))"
check "remote alone is not enough" fails "add tls-cert=FILE,tls-key=FILE (or tls-psk=FILE)" \
	--port "console,tcp:0.0.0.0:$((port + 6)),remote"
check "TLS alone is not enough" fails "TLS: add remote" \
	--port "console,tcp:0.0.0.0:$((port + 6)),tls-psk=$tmp/psk"
check "connecting to another machine is refused" fails \
	"tcp-connect:192.0.2.1:1 leads to another machine.*: add remote,tls" \
	--port "console,tcp-connect:192.0.2.1:1"
check "ctl attach refuses it" attach_fails "add remote,tls-cert" "tcp:0.0.0.0:$((port + 6))"
check "and has opened nothing" eval "! listens $((port + 6))"
check "a reload refuses it" reload_refuses
check "with the word and TLS all machines may come" for_all_with_tls
chmod 644 "$tmp/psk"
check "a key that others may read is refused" attach_fails "mode 644 lets others use it" \
	"tcp:$((port + 7)),tls-psk=$tmp/psk"
chmod 600 "$tmp/psk"
check "a new certificate counts after a reload" new_certificate_counts
check "one that is bad changes nothing" bad_certificate_changes_nothing
check "an upgrade says farewell, and lets in again" upgrade_says_farewell
check "one who connects does so again" connects_again_after_an_upgrade
check "megabytes come whole, and then the end" many_bytes
end_daemon
