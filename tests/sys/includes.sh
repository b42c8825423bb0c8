#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Includes point one way: the table of doc/architecture.md, "Layers". A file
# that fits no group is an error, so that new files get their place here.

. "$(dirname "$0")/tap.sh"

# group FILE: the group of a file, given relative to src.
group() {
	case $1 in
	base.h | clock.h | encode.[ch] | proc.[ch] | fdkind.[ch] | list.h | fd.[ch] | log.[ch] | bytering.[ch] | histogram.[ch] | state.[ch] | journal.[ch] | ringmark.h | handover.[ch] | thread.[ch])
		echo base ;;
	options*.[ch]) echo base ;;
	loop.[ch] | loop-*.[ch]) echo loop ;;
	listener.[ch] | systemd.[ch] | systemd-store.c) echo listener ;;
	vhu/proto.[ch] | vhu/codec.[ch] | vhu/rules.[ch] | vhu/checks.[ch] | vhu/format.[ch] | vhu/fields.[ch] | vhu/words.[ch])
		echo model ;;
	vhu/*.def) echo model ;;
	virtio/features.h | virtio/features.def | virtio/devices.def) echo features ;;
	virtio/gmem*.[ch] | virtio/vring.[ch] | virtio/driverq.[ch]) echo engine ;;
	virtio/dirtylog.[ch] | virtio/inflight*.[ch] | virtio/iotlb.[ch]) echo engine ;;
	virtio/packed.[ch] | virtio/driverq-packed.[ch] | virtio/picture*.[ch]) echo engine ;;
	virtio/virtq*.[ch] | virtio/batch.[ch]) echo virtq ;;
	virtio/device.h) echo device-interface ;;
	virtio/console*.[ch]) echo console ;;
	backends/port*.[ch] | backends/replay.[ch] | backends/sanitize.[ch] | backends/peer*.[ch]) echo port ;;
	backends/attachment.h | backends/*.def) echo port ;;
	backends/*.[ch]) echo backend ;;
	vhu/conn.[ch]) echo conn ;;
	vhu/backend*.[ch] | vhu/quiesce.[ch] | vhu/server.[ch]) echo vhu-backend ;;
	vhu/frontend*.[ch]) echo vhu-frontend ;;
	guest/*.[ch]) echo guest ;;
	script/*.[ch]) echo script ;;
	trace/*.[ch] | trace/*.def) echo trace ;;
	load/*.[ch] | load/*.def) echo load ;;
	conform/*.[ch] | conform/*.def) echo conform ;;
	daemon/*.[ch] | daemon/*.def | console-options.[ch] | options.def) echo daemon ;;
	*/*) echo unknown ;;
	*.[ch] | *.def) echo program ;;
	*) echo unknown ;;
	esac
}

# allowed GROUP: the groups that it may include.
allowed() {
	case $1 in
	base) echo base ;;
	loop) echo base loop ;;
	listener) echo base loop listener ;;
	# Numbers of feature bits are words that both specifications share.
	features) echo features ;;
	model) echo base features model ;;
	engine | virtq) echo base features engine virtq ;;
	device-interface) echo base loop features virtq device-interface ;;
	# The console copies and never leases, so it has no business with the loop.
	console) echo base features virtq device-interface port console ;;
	port) echo base loop port ;;
	backend) echo base loop listener port backend ;;
	conn) echo base loop model conn ;;
	vhu-backend)
		echo base loop listener features model engine virtq device-interface conn \
			vhu-backend
		;;
	vhu-frontend) echo base loop features model engine conn vhu-frontend ;;
	guest) echo base loop features model engine console conn vhu-frontend guest ;;
	load) echo base features model engine console conn loop vhu-frontend guest load ;;
	script) echo base features model script ;;
	trace) echo base loop listener features model engine console script trace ;;
	conform)
		echo base features model engine virtq console conn loop vhu-frontend guest script conform
		;;
	daemon)
		echo base loop listener features model engine virtq device-interface console port \
			backend conn vhu-backend trace daemon
		;;
	program)
		echo base loop listener features model engine virtq device-interface console port \
			backend conn vhu-backend vhu-frontend guest load script trace conform daemon program
		;;
	esac
}

sources() {
	(cd "$1" && find . -name '*.[ch]' -o -name '*.def') | sed 's|^\./||' | LC_ALL=C sort
}

# code FILE: the file without comments, strings and character constants.
code() {
	awk '
	{
		out = ""
		for (i = 1; i <= length($0); i++) {
			two = substr($0, i, 2); one = substr($0, i, 1)
			if (comment) {
				if (two == "*/") { comment = 0; i++ }
			} else if (quote != "") {
				if (one == "\\") i++
				else if (one == quote) quote = ""
			} else if (two == "/*") { comment = 1; i++ }
			else if (two == "//") break
			else if (one == "\"" || one == "\047") quote = one
			else out = out one
		}
		quote = ""
		print out
	}' "$1"
}

# The checks print each offence and say nothing when all is well.

# directions SRC
directions() {
	sources "$1" | while read -r file; do
		from=$(group "$file")
		if [ "$from" = unknown ]; then
			echo "$file: belongs to no group of tests/sys/includes.sh"
			continue
		fi
		sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$1/$file" |
			while read -r included; do
				[ "$included" != config.h ] || continue
				to=$(group "$included")
				case " $(allowed "$from") " in
				*" $to "*) ;;
				*) echo "$file ($from) includes $included ($to)" ;;
				esac
			done
	done
}

# angled SRC: our own headers are included with quotes, or the check above is blind.
angled() {
	sources "$1" | while read -r file; do
		sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1/p' "$1/$file" |
			while read -r included; do
				[ ! -e "$1/$included" ] || echo "$file includes <$included>"
			done
	done
}

# Only the loop knows io_uring.
uring() {
	sources "$1" | while read -r file; do
		# The limit "wake" is a bare loop, to compare ours with.
		case $file in loop.[ch] | loop-*.[ch] | load/limit-ping.c) continue ;; esac
		if grep -q '#[ \t]*include[ \t]*<\(liburing\|linux/io_uring\)' "$1/$file" ||
			code "$1/$file" | grep -qE 'liburing|io_uring|IORING_|IOSQE_'; then
			echo "$file names io_uring"
		fi
	done
}

# Only the vring module reads and writes memory that somebody else may be writing.
shared_memory() {
	sources "$1" | while read -r file; do
		case $file in base.h | virtio/vring.[ch] | virtio/packed.[ch]) continue ;; esac
		! code "$1/$file" | grep -qE 'shm_(load|store)_' ||
			echo "$file uses an accessor of shared memory"
	done
}

# clean WHAT CHECK: the sources pass CHECK.
clean() {
	"$2" "$top_srcdir/src" >"$tmp/offences"
	if [ -s "$tmp/offences" ]; then
		not_ok "$1"
		note "$tmp/offences"
	else
		ok "$1"
	fi
}

# caught CHECK FILE TEXT: CHECK finds TEXT in a file planted among sources of its own.
caught() {
	rm -rf "$tmp/planted"
	mkdir -p "$tmp/planted/vhu" "$tmp/planted/virtio" "$tmp/planted/backends"
	: >"$tmp/planted/base.h"
	printf '%s\n' "$3" >"$tmp/planted/$2"
	if [ -n "$("$1" "$tmp/planted")" ]; then
		ok "caught: $2 with $3"
	else
		not_ok "caught: $2 with $3"
	fi
}

plan 20
clean "includes point one way" directions
clean "our own headers are included with quotes" angled
clean "only the loop names io_uring" uring
clean "only vring and packed use the accessors of shared memory" shared_memory

caught directions fd.c '#include "loop.h"'
caught directions loop.h '#include "vhu/conn.h"'
caught directions vhu/codec.c '#include "loop.h"'
caught directions virtio/virtq.c '#include "vhu/proto.h"'
caught directions virtio/gmem.c '#include "loop.h"'
caught directions virtio/console.c '#include "vhu/backend.h"'
caught directions virtio/console.c '#include "loop.h"'
caught directions backends/tcp.c '#include "virtio/virtq.h"'
caught directions backends/port.h '#include "virtio/device.h"'
caught directions vhu/backend.c '#include "backends/tcp.h"'
caught directions vhu/backend.c '  #  include "virtio/console.h"'
caught directions vhu/frontend.c '#include "vhu/backend.h"'
caught directions virtio/new.c ''
caught angled vhu/codec.c '#include <base.h>'
caught uring vhu/conn.c 'int f(struct io_uring *r);'
caught shared_memory virtio/virtq.c 'int x = shm_load_le16(p);'
