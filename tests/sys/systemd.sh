#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The daemon under a service manager: passed sockets, notifications, watchdog, units.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 socat timeout

cat >"$tmp/manager.py" <<'EOF'
"""A service manager for one daemon: passes sockets, hears what it says."""
import os, signal, socket, subprocess, sys

class Manager:
    def __init__(self, folder, daemon, guest):
        self.folder, self.program, self.guest_program = folder, daemon, guest
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = os.path.join(folder, "notify")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.notify.bind(self.path)
        self.notify.settimeout(20)
        self.daemon = None

    def at(self, name):
        return os.path.join(self.folder, name)

    def listen(self, name):
        s = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.at(name)):
            os.unlink(self.at(name))
        s.bind(self.at(name))
        s.listen()
        return s

    def start(self, arguments, sockets=(), env=None):
        """sockets: pairs of a name and a socket, passed as descriptors 3, 4, ..."""
        def place():
            fds = [os.dup(s.fileno()) for _, s in sockets]
            fds = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(fds):
                os.dup2(fd, 3 + i)
                os.set_inheritable(3 + i, True)
                os.close(fd)
            os.environ["LISTEN_PID"] = str(os.getpid())
        # The number of the process is known only in it: a shell fills it in.
        launch = 'export LISTEN_PID=$$; exec "$@"'
        more = dict(os.environ, NOTIFY_SOCKET=self.path, LISTEN_FDS=str(len(sockets)),
                    LISTEN_FDNAMES=":".join(name for name, _ in sockets), **(env or {}))
        self.daemon = subprocess.Popen(["sh", "-c", launch, "sh", self.program] + arguments,
                                       env=more, stdin=subprocess.DEVNULL,
                                       stderr=open(self.at("log"), "w"), close_fds=False,
                                       preexec_fn=place)

    def hear(self):
        return self.notify.recv(4096).decode().split("\n")

    def hear_until(self, word):
        while True:
            lines = self.hear()
            if word in lines:
                return lines

    def guest(self, *arguments):
        subprocess.run([self.guest_program] + list(arguments), check=True, timeout=30,
                       stderr=subprocess.DEVNULL)

    def end(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.hear_until("STOPPING=1")
        assert self.daemon.wait(timeout=10) == 0, self.daemon.returncode

m = Manager(*sys.argv[1:4])
try:
    exec(open(sys.argv[4]).read())
    if m.daemon.poll() is None:
        m.end()
finally:
    if m.daemon and m.daemon.poll() is None:
        m.daemon.kill()
        m.daemon.wait()
EOF

# manager: the rest of the test, in Python, on standard input.
manager() {
	cat >"$tmp/steps.py"
	timeout 60 python3 "$tmp/manager.py" "$tmp" "$daemon" "$vhu_guest" "$tmp/steps.py" "$@" ||
		{ cat "$tmp/log"; return 1; }
}

ready_and_stopping() {
	manager "$port" <<-'EOF'
		m.start(["-s", m.at("s"), "-b", "network", "-p", sys.argv[5]])
		lines = m.hear()
		assert lines[0] == "READY=1", lines
		assert lines[1].startswith("STATUS=1 device"), lines
		m.guest("--socket", m.at("s0"), "send", "x")    # it serves by then
		m.end()
	EOF
}

not_ready() {
	manager <<-'EOF'
		m.start(["-s", m.at("none/s"), "-b", "network"])
		assert m.daemon.wait(timeout=10) == 1
		m.notify.setblocking(False)
		try:
		    while True:
		        assert "READY=1" not in m.hear()
		except BlockingIOError:
		    pass
	EOF
}

reloading() {
	printf 'socket-path %s\nport name=a,unix:%s\nbackend network\ntcp-port %s\n' \
		"$tmp/s" "$tmp/a" "$port" >"$tmp/conf"
	manager "$tmp/conf" <<-'EOF'
		import time
		conf = sys.argv[5]
		m.start(["--config", conf])
		m.hear_until("READY=1")
		before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
		m.daemon.send_signal(signal.SIGHUP)
		lines = m.hear_until("RELOADING=1")
		stamp = [int(l[15:]) for l in lines if l.startswith("MONOTONIC_USEC=")]
		assert len(stamp) == 1 and stamp[0] >= before, lines
		m.hear_until("READY=1")
		open(conf, "a").write("port nonsense\n")
		m.daemon.send_signal(signal.SIGHUP)
		m.hear_until("RELOADING=1")
		m.hear_until("READY=1")                         # as it was, and alive
		m.guest("--socket", m.at("s0"), "send", "x")
	EOF
}

watchdog() {
	manager "$port" <<-'EOF'
		m.start(["-s", m.at("s"), "-b", "network", "-p", sys.argv[5]],
		        env={"WATCHDOG_USEC": "100000"})
		m.hear_until("READY=1")
		for i in range(3):
		    m.hear_until("WATCHDOG=1")
		m.end()
	EOF
}

# Sockets without any option that names one: each is a device.
passed_devices() {
	manager "$port" <<-'EOF'
		first, second = m.listen("f"), m.listen("g")
		m.start(["-b", "network", "-p", sys.argv[5]], [("device", first), ("device", second)])
		m.hear_until("READY=1")
		m.guest("--socket", m.at("f"), "send", "x")
		m.guest("--socket", m.at("g"), "send", "x")
		m.end()
		assert os.path.exists(m.at("f")) and os.path.exists(m.at("g"))
	EOF
}

# The front-end was there before the daemon: what activation is for.
waiting_front_end() {
	manager "$port" <<-'EOF'
		first = m.listen("f")
		early = subprocess.Popen([m.guest_program, "--socket", m.at("f"), "send", "x"],
		                         stderr=subprocess.DEVNULL)
		m.start(["-b", "network", "-p", sys.argv[5]], [("device", first)])
		m.hear_until("READY=1")
		assert early.wait(timeout=20) == 0
	EOF
}

passed_by_name() {
	manager "$port" <<-'EOF'
		front, agent = m.listen("f"), m.listen("agent")
		m.start(["--device", "fd=front", "--port", "name=org.a,fd:agent"],
		        [("agent", agent), ("front", front)])
		m.hear_until("READY=1")
		client = socket.socket(socket.AF_UNIX)
		client.connect(m.at("agent"))
		m.guest("--socket", m.at("f"), "--port", "org.a", "--wait-open", "send", "named")
		assert client.recv(100) == b"named"
		client.close()
		m.end()
		assert os.path.exists(m.at("f")) and os.path.exists(m.at("agent"))
	EOF
}

# A device on a passed socket goes, and comes back to the same socket.
passed_and_reloaded() {
	printf 'device fd=one\nport 0,console,null\ndevice fd=two,name=b\nport 0,console,null\n' \
		>"$tmp/conf"
	manager "$tmp/conf" <<-'EOF'
		conf = sys.argv[5]
		one, two = m.listen("f"), m.listen("g")
		def reload(text):
		    open(conf, "w").write(text)
		    m.daemon.send_signal(signal.SIGHUP)
		    m.hear_until("RELOADING=1")
		    m.hear_until("READY=1")
		both = open(conf).read()
		m.start(["--config", conf], [("one", one), ("two", two)])
		m.hear_until("READY=1")
		m.guest("--socket", m.at("g"), "send", "x")
		reload("\n".join(both.split("\n")[:2]) + "\n")
		m.guest("--socket", m.at("f"), "send", "x")
		reload(both)
		m.guest("--socket", m.at("g"), "send", "x")
	EOF
}

passed_control() {
	manager "$port" <<-'EOF'
		control = m.listen("ctl")
		m.start(["-s", m.at("s"), "-b", "network", "-p", sys.argv[5]], [("control", control)])
		m.hear_until("READY=1")
		client = socket.socket(socket.AF_UNIX)
		client.settimeout(20)
		client.connect(m.at("ctl"))
		client.sendall(b'{"command": "status"}\n')
		assert b'"ok"' in client.recv(65536)
		client.close()
	EOF
}

wrong_count() {
	LISTEN_FDS=many sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$daemon" -b network \
		2>"$tmp/err" </dev/null
	[ $? -eq 2 ] && said "$tmp/err" LISTEN_FDS
}

# With the program that systemd has for it.
activated() {
	systemd-socket-activate --fdname=device -l "$tmp/act" "$daemon" -b network -p "$port" \
		2>"$tmp/log" &
	daemon_pid=$!
	there() { [ -S "$tmp/act" ]; }
	wait_for 10 there && "$vhu_guest" --socket "$tmp/act" send x 2>"$tmp/guest" || return 1
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

# The units as they are installed, on the program that was built.
units_are_right() {
	mkdir "$tmp/units"
	for unit in service.in socket; do
		sed -e "s|@bindir@|$(dirname "$daemon")|" -e "s|@sysconfdir@|/etc|" \
			"$top_srcdir/doc/systemd/vhost-device-console@.$unit" \
			>"$tmp/units/vhost-device-console@.${unit%.in}"
	done
	systemd-analyze verify --man=no "$tmp/units/vhost-device-console@.service" \
		"$tmp/units/vhost-device-console@.socket" >"$tmp/verified" 2>&1
	status=$?
	cat "$tmp/verified"
	[ "$status" -eq 0 ] && [ ! -s "$tmp/verified" ]
}

plan 13
check "it says when it is ready and when it ends" ready_and_stopping
check "it does not say so when it cannot start" not_ready
check "it says when it reads its setup again" reloading
check "it pats the watchdog" watchdog
check "passed sockets are devices" passed_devices
check "a front-end that came first is served" waiting_front_end
check "passed sockets by name" passed_by_name
check "a device comes back to its passed socket" passed_and_reloaded
if "$daemon" ctl --help 2>&1 | grep -q json-c; then
	ok "a passed control socket # SKIP this build has none"
else
	check "a passed control socket" passed_control
fi
check "a count that is none" wrong_count
check "sockets that are kept over a crash" timeout 100 python3 \
	"$top_srcdir/tests/sys/systemd-store.py" "$daemon" "$vhu_guest" "$tmp" "$port"
if command -v systemd-socket-activate >/dev/null && command -v systemd-analyze >/dev/null; then
	check "systemd-socket-activate" activated
	check "units that systemd-analyze has nothing to say of" units_are_right
else
	ok "systemd-socket-activate # SKIP systemd is not installed"
	ok "units that systemd-analyze has nothing to say of # SKIP systemd is not installed"
fi
