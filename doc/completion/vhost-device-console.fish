# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# What fish completes after vhost-device-console. The lists between the marks
# are printed by src/console-options-dump fish.

# Whether the first word is ctl.
function __vhu_is_ctl
	set -l words (commandline -opc)
	test (count $words) -gt 1; and test "$words[2]" = ctl
end

function __vhu_needs_command
	set -l words (commandline -opc)
	__vhu_is_ctl; or return 1
	set -l skip 0
	for word in $words[3..-1]
		if test $skip = 1
			set skip 0
		else if contains -- $word -C --control
			set skip 1
		else if not string match -q -- '-*' $word
			return 1
		end
	end
	return 0
end

# __vhu_list WORD...: candidates for a comma list, each with what stands before it.
function __vhu_list
	set -l current (commandline -ct | string replace -r -- '^--[a-z-]*=' '')
	set -l before (string replace -r -- '[^,]*$' '' $current)
	set -l last (string replace -r -- '^.*,' '' $current)
	set -l words $argv
	for part in (string split , -- $before)
		set -l more (__vhu_kind_words (string replace -r -- ':.*' '' $part))
		test -n "$more"; and set words (string split ' ' -- $more) $words
	end
	if string match -q -- '*=*' $last
		set -l name (string replace -r -- '=.*' '' $last)
		for value in (string split ' ' -- (__vhu_values $name))
			echo $before$name=$value
		end
	else if string match -q -r -- '^(unix|unix-connect|pty|file|log):' $last
		set -l kind (string replace -r -- ':.*' '' $last)
		for file in (__fish_complete_path (string replace -r -- '^[^:]*:' '' $last) | string replace -r -- '\t.*' '')
			echo $before$kind:$file
		end
	else
		for word in $words
			echo $before$word
		end
	end
end

function __vhu_port
	__vhu_list $__vhu_port_words $__vhu_kinds
end

function __vhu_device
	__vhu_list $__vhu_device_words
end

complete -c vhost-device-console -f
complete -c vhost-device-console -n '__fish_is_first_arg' -a ctl -d 'ask or change a running daemon'

# generated: begin
set -g __vhu_port_words console name= overflow= history=
set -g __vhu_device_words socket= fd= name= max-ports= resize-order= iommu= mode= owner= group=
set -g __vhu_kinds terminal tcp: telnet: unix: tcp-connect: unix-connect: pty file: fd: log: null
function __vhu_kind_words
	switch $argv[1]
	case terminal
		echo 'ro replay= escape='
	case tcp
		echo 'ro steal replay= clients='
	case telnet
		echo 'ro steal replay= clients='
	case unix
		echo 'ro steal replay= clients= mode= owner= group='
	case tcp-connect
		echo 'ro steal replay= reconnect= reconnect-max='
	case unix-connect
		echo 'ro steal replay= reconnect= reconnect-max='
	case pty
		echo 'ro steal replay= mode= owner= group='
	case file
		echo 'replay= mode= owner= group= input= truncate'
	case fd
		echo 'ro steal replay= clients='
	case log
		echo 'mode= owner= group= max-size= keep= timestamps record='
	case null
		echo ''
	end
end
function __vhu_values
	switch $argv[1]
	case overflow
		echo 'auto drop hold'
	case resize-order
		echo 'auto spec linux-legacy'
	case iommu
		echo 'off on'
	case replay
		echo 'all none'
	case record
		echo 'output input both'
	end
end
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l socket-path -s s -r -F -d 'listen on PATH0, PATH1, ... one per guest'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l socket-count -s c -x -d 'number of guests'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l fd -x -d 'serve inherited socket N instead; repeatable'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l max-queue-size -s q -x -d 'largest ring, a power of two'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l device -x -a '(__vhu_device)' -d 'one more guest, as socket=PATH,name=vm; repeatable'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l max-ports -x -d 'leave room for ports below N (default: just enough)'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l resize-order -x -a 'spec linux-legacy' -d 'spec; linux-legacy: before 6.15'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l port -x -a '(__vhu_port)' -d 'a port and what is attached to it; repeatable'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l backend -s b -x -a 'nested network' -d 'nested: this terminal; network: TCP'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l tcp-port -s p -x -d 'first TCP port, on 127.0.0.1'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l escape -x -d 'keys that leave the terminal, or none'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l history -x -d 'output kept per port, 4K to 1G'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l loops -x -d 'threads that guests are spread over'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l poll-us -x -d 'longest look before sleeping; 0: none'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l engine -x -a 'auto uring poll' -d 'io_uring, poll(2), or what is allowed'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l config -r -F -d 'read options from FILE; repeatable'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l control -r -F -d 'listen for vhost-device-console ctl here'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l journal -r -F -d 'keep what is on its way in DIR, if this is killed'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l trace -r -F -d 'write each message to it, by the name\'s ending'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l log-level -x -a 'error warning info debug trace' -d 'error, warning, info, debug or trace'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l print-capabilities -d 'print what this back-end is, as JSON, and exit'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l help -s h -d 'print this and exit'
complete -c vhost-device-console -n 'not __vhu_is_ctl' -l version -s V -d 'print the version and exit'
complete -c vhost-device-console -n '__vhu_is_ctl' -l control -s C -r -F -d 'control socket of the daemon (default: $VHU_CONTROL, or /run/vhost-device-console/control.sock)'
complete -c vhost-device-console -n '__vhu_is_ctl' -l json -d 'print the answer as it is, as JSON'
complete -c vhost-device-console -n '__vhu_is_ctl' -l verbose -s v -d 'status: with counters and latencies'
complete -c vhost-device-console -n '__vhu_is_ctl' -l help -s h -d 'print this and exit'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'status' -d 'tells of the daemon, its devices, ports, attachments and clients'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'set-port' -d 'changes a port while it is in use'
complete -c vhost-device-console -f -n '__vhu_is_ctl; and __fish_seen_subcommand_from set-port' -a 'input=on input=off output=on output=off overflow=drop overflow=hold size='
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'add-port' -d 'plugs a port in; the answer has its number'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'remove-port' -d 'unplugs a port, with its attachments'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'rename-port' -d 'gives a port another name: the guest loses it and gets it back; clients stay'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'attach' -d 'adds an attachment to a port; the answer has its number'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'detach' -d 'ends an attachment; its clients are given what is left'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'disconnect' -d 'ends one client of a port'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'steal' -d 'gives the keyboard of a port to a client'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'reload' -d 'reads the configuration anew and reopens logs, as SIGHUP does'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'upgrade' -d 'starts the program anew in the daemon\'s place, as SIGUSR2 does: guests and clients stay'
complete -c vhost-device-console -f -n '__vhu_needs_command' -a 'help' -d 'lists the commands and what they take'
# generated: end
