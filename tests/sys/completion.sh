#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# What shells complete: each script is right for its shell, and completes.

. "$(dirname "$0")/tap.sh"

requires bash

scripts=$top_srcdir/doc/completion

# bash_gives LINE WORD...: what LINE is completed to, as the last words of readline.
cat >"$tmp/ask.bash" <<'EOF'
source "$1"
COMP_LINE="vhost-device-console $2"
COMP_POINT=${#COMP_LINE}
_vhost_device_console
printf '%s\n' "${COMPREPLY[@]}"
EOF
bash_gives() {
	bash "$tmp/ask.bash" "$scripts/vhost-device-console.bash" "$1" >"$tmp/got" || return 1
	shift
	same_words "$@"
}

# same_words WORD...: the answer is these, in any order.
same_words() {
	cat "$tmp/got"
	printf '%s\n' "$@" | LC_ALL=C sort >"$tmp/want"
	LC_ALL=C sort "$tmp/got" | diff "$tmp/want" -
}

fish_gives() {
	# shellcheck disable=SC2016 # for fish
	fish -c 'source $argv[1]; complete -C "vhost-device-console $argv[2]"' \
		"$scripts/vhost-device-console.fish" "$1" 2>&1 | cut -f1 >"$tmp/got"
	shift
	same_words "$@"
}

# optional PROGRAM WHAT COMMAND...: a point that holds where PROGRAM is not installed.
optional() {
	program=$1
	shift
	if command -v "$program" >/dev/null; then
		check "$@"
	else
		ok "$1 # SKIP $program is not installed"
	fi
}

plan 23
touch "$tmp/file-one" "$tmp/file-two"

check "bash reads its script" bash -n "$scripts/vhost-device-console.bash"
check "bash: an option" bash_gives --bac --backend
check "bash: choices of an option" bash_gives '-b ' nested network
check "bash: the same after =" bash_gives '--backend=ne' nested network
check "bash: a file" bash_gives "--config $tmp/file-o" "$tmp/file-one"
check "bash: words of a port" bash_gives '--port con' console
check "bash: attachments" bash_gives '--port console,uni' console,unix: console,unix-connect:
check "bash: words of an attachment" bash_gives '--port log:/x,ti' /x,timestamps
check "bash: not those of another" bash_gives '--port null,ti' ''
check "bash: values of a word" bash_gives '--port 1,overflow=' auto drop hold
check "bash: the file of an attachment" bash_gives "--port 1,unix:$tmp/file-" \
	"$tmp/file-one" "$tmp/file-two"
check "bash: words of a device" bash_gives '--device max' max-ports=
check "bash: ctl" bash_gives c ctl
check "bash: commands of ctl" bash_gives 'ctl -C /x add' add-port
check "bash: arguments of a command" bash_gives 'ctl set-port 1 output=' on off
optional shellcheck "shellcheck finds nothing" \
	shellcheck "$scripts/vhost-device-console.bash"

optional zsh "zsh reads its script" zsh -n "$scripts/_vhost-device-console"

# zsh completes on a terminal only, so it is given one.
cat >"$tmp/ask.py" <<'EOF'
import os, pty, sys
folder, line, want = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.environ["COLUMNS"] = "200"
    os.execvp("zsh", ["zsh", "-f", "-i"])
setup = f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=999; echo read''y\n"
got = b""
def until(text):
    global got
    while text not in got:
        got += os.read(fd, 4096)
    got = b""
os.write(fd, setup.encode())
until(b"ready")
os.write(fd, ("vhost-device-console " + line + "\t\t").encode())
until(want.encode())
os.write(fd, b"\x15exit\n")
EOF
zsh_gives() {
	timeout 20 python3 "$tmp/ask.py" "$scripts" "$1" "$2"
}
if command -v python3 >/dev/null; then zsh=zsh; else zsh=python3; fi
optional $zsh "zsh: words of an attachment" zsh_gives '--port log:/x,tim' timestamps
optional $zsh "zsh: commands of ctl" zsh_gives 'ctl add-p' add-port

optional fish "fish reads its script" fish -n "$scripts/vhost-device-console.fish"
optional fish "fish: choices of an option" fish_gives '-b ' nested network
optional fish "fish: words of an attachment" fish_gives '--port log:/x,ti' log:/x,timestamps
optional fish "fish: arguments of a command" fish_gives 'ctl set-port 1 output=' \
	output=on output=off
