# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Sourced by scripts/demo and tests/guest/*.sh after tests/sys/tap.sh and
# setup.sh: real Linux guests, the daemon they talk to, conversations with their
# consoles. Everything is kept in $tmp: sockets, logs (NAME.log), what a guest
# said (NAME.talk), and pids (NAME.pid), so that functions may be called from
# subshells. $daemon is the program; $tracer, if set, is one to put in between.
# shellcheck shell=bash disable=SC2154

guest_source=$top_srcdir/tests/guest
daemon=${daemon:-$top_builddir/src/vhost-device-console}
# See fxsave.py.
uml_hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load

# processes_end: for cleanup_fn. The daemon may say goodbye.
processes_end() {
	local file
	[ ! -e "$tmp/daemon.pid" ] || process_end daemon TERM
	for file in "$tmp"/*.pid; do
		[ ! -e "$file" ] || process_end "$(basename "$file" .pid)" KILL
	done
	if [ -n "${guest_logs:-}" ]; then
		mkdir -p "$guest_logs"
		cp "$tmp"/*.log "$tmp"/*.talk "$tmp"/*.pcapng "$guest_logs" 2>/dev/null
	fi
}

# process_start NAME COMMAND...: in the background, in a session of its own so
# that all its processes can be ended together. Output goes to NAME.log.
process_start() {
	local name=$1
	shift
	(
		talks_forget
		exec setsid "$@"
	) </dev/null >>"$tmp/$name.log" 2>&1 &
	echo $! >"$tmp/$name.pid"
	disown # or bash tells of its end
}

# A zombie that nobody waits for counts as gone.
process_gone() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

# process_end NAME SIGNAL: the signal to all processes of NAME; until it is gone.
process_end() {
	local pid
	pid=$(cat "$tmp/$1.pid") || return 1
	kill -s "$2" -- "-$pid" 2>/dev/null
	wait_for 10 process_gone "$pid" || return 1
	rm "$tmp/$1.pid"
}

# guest_setup TYPE [FUNCTION]: what TYPE of guest needs that is no package here,
# and its initramfs at $tmp/TYPE.cpio. FUNCTION TREE puts more into it. Types are
# uml and qemu, and qemu-VARIANT, where rings are not the usual ones:
#   iommu: their addresses are those behind the guest's IOMMU
#   packed, in-order: by these features
guest_setup() {
	guest_variant "${1#*-}" || return 1
	case ${1%%-*} in
	uml)
		guest_image uml "${2:-:}" /usr/lib/uml/modules virtio_console
		;;
	qemu)
		qemu_setup && kernel_setup &&
			guest_image qemu "${2:-:}" "$cache/kernel/root/lib/modules" virtio_ring \
				virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci \
				virtio_console
		;;
	esac
}

# guest_variant NAME: what it adds to QEMU's command line, to the device there, to
# that of the daemon, to the kernel's command line.
guest_variant() {
	guest_qemu=() guest_device='' daemon_device='' guest_words=''
	case $1 in
	uml | qemu) ;;
	iommu)
		guest_qemu=(-device 'intel-iommu,intremap=off,device-iotlb=on')
		guest_device=,iommu_platform=on,ats=on
		daemon_device=,iommu=on
		guest_words='intel_iommu=on iommu.strict=1'
		;;
	packed) guest_device=,packed=on ;;
	in-order) guest_device=,in_order=on ;;
	*)
		echo "guest_variant: there is no $1" >&2
		return 1
		;;
	esac
}

# guest_image TYPE FUNCTION FOLDER MODULE...: busybox, the modules, our first process.
guest_image() {
	local tree=$tmp/$1.tree image=$tmp/$1.cpio more=$2 folder=$3 name
	shift 3
	mkdir -p "$tree"/{bin,dev,etc,proc,root,run,sys,tmp,lib/modules} || return 1
	cp "$(command -v busybox)" "$tree/bin/busybox" || return 1
	install -m 755 "$guest_source/init" "$tree/init" || return 1
	install -m 755 "$guest_source/reload" "$tree/bin/reload" || return 1
	install -m 644 "$guest_source/profile" "$tree/etc/profile" || return 1
	for name in "$@"; do
		find "$folder" -name "$name.ko" -exec cp {} "$tree/lib/modules" ';'
		[ -s "$tree/lib/modules/$name.ko" ] || return 1
		echo "$name.ko" >>"$tree/lib/modules/list"
	done
	"$more" "$tree" || return 1
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$image"
}

# software_program TREE PROGRAM: from the cache folder's packages, with its libraries.
software_program() {
	local tree=$1 program=$2 dirs=$software_root/lib/x86_64-linux-gnu lib
	local loader=$dirs/ld-linux-x86-64.so.2
	dirs=$dirs:$software_root/usr/lib/x86_64-linux-gnu:$software_root/lib/systemd
	mkdir -p "$tree/lib64" && install -m 755 "$loader" "$tree/lib64" &&
		install -m 755 -D "$software_root$program" "$tree$program" || return 1
	for lib in $("$loader" --library-path "$dirs" --list "$software_root$program" |
		sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'); do
		install -m 644 "$lib" "$tree/lib" || return 1
	done
}

# guest_boot TYPE NAME SOCKET [WORD]: a front-end with a guest in it. WORD is for
# the kernel command line, see tests/guest/init. $guest_memory and $guest_queues
# may say how much it has.
guest_boot() {
	local socket=$3
	if [ -n "${tracer:-}" ]; then
		traced "$socket" || return 1
		socket=$socket.traced
	fi
	"guest_boot_${1%%-*}" "$2" "$socket" "guest_name=$2 console=hvc0 ${4:-}"
}

# traced SOCKET [DEVICE]: from here on the program $tracer stands between SOCKET.traced,
# where front-ends connect, and SOCKET. It looks into every ring, or when $tracer_rings
# says, and its capture becomes a log.
traced() {
	local name
	name=tracer-${1#"$tmp"/}
	name=${name//\//-}
	[ ! -e "$tmp/$name.pid" ] || return 0
	process_start "$name" "$tracer" --listen "$1.traced" --connect "$1" \
		--device "${2:-console}" --rings "${tracer_rings:-all}" \
		--write "$tmp/$name.pcapng" --output /dev/null
	wait_for 10 listens "$1.traced"
}

# listens SOCKET: somebody does, and it is no file left behind.
listens() {
	grep -q "^[^ ]* [0-9A-F]* [0-9A-F]* 00010000 .* $1\$" /proc/net/unix
}

guest_boot_uml() {
	# shellcheck disable=SC2086 # words of the kernel command line
	process_start "$1" python3 "$guest_source/fxsave.py" linux.uml \
		"mem=${guest_memory:-128M}" \
		"uml_dir=$tmp" "initrd=$tmp/uml.cpio" rdinit=/init con=null con0=null,fd:1 \
		"GLIBC_TUNABLES=glibc.cpu.hwcaps=$uml_hwcaps" \
		"virtio_uml.device=$2:3" console=tty0 diag=tty0 $3
}

guest_boot_qemu() {
	local kernel memory=${guest_memory:-128M}
	kernel=$(find "$cache/kernel/root/boot" -name 'vmlinuz-*' | head -n 1)
	process_start "$1" "${qemu[@]}" \
		-machine q35,accel=tcg,memory-backend=mem -m "$memory" \
		-object "memory-backend-memfd,id=mem,size=$memory,share=on" \
		-nodefaults -no-user-config -display none -monitor none \
		-qmp "unix:$tmp/$1.qmp,server=on,wait=off" \
		-chardev "file,id=serial,path=$tmp/$1.log,append=on" -serial chardev:serial \
		-kernel "$kernel" -initrd "$tmp/qemu.cpio" \
		-append "console=ttyS0 diag=ttyS0 $guest_words $3" "${guest_qemu[@]}" \
		-chardev "socket,id=console,path=$2" -device \
		"vhost-user-test-device-pci,chardev=console,virtio-id=3,num_vqs=${guest_queues:-4},config_size=12$guest_device"
}

# guest_booted NAME: it has opened its console, whether or not anybody listens.
guest_booted() {
	grep -q 'init: shell' "$tmp/$1.log"
}

# port_listens PORT: somebody listens there; does not connect.
port_listens() {
	grep -qi "^ *[0-9]*: 0100007F:$(printf '%04X' "$1") 00000000:0000 0A" /proc/net/tcp
}

# daemon_start COUNT PORT: for guests at $tmp/vhu0.. and clients at PORT..
daemon_start() {
	local i devices=()
	if [ -z "$daemon_device" ]; then
		devices=(--socket-path "$tmp/vhu" --socket-count "$1" --backend network --tcp-port "$2")
	else
		for ((i = 0; i < $1; i++)); do
			devices+=(--device "socket=$tmp/vhu$i,name=console$i$daemon_device"
				--port "0,console,tcp:127.0.0.1:$(($2 + i))")
		done
	fi
	process_start daemon "$daemon" "${devices[@]}"
	for ((i = 0; i < $1; i++)); do
		wait_for 10 test -S "$tmp/vhu$i" || return 1
		wait_for 10 port_listens "$(($2 + i))" || return 1
	done
}

free_ports() {
	python3 "$guest_source/talk.py" --free-ports "$1"
}

declare -A talk_in talk_out

# A process that outlives this shell must not hold a conversation open.
talks_forget() {
	local fd
	for fd in "${talk_in[@]}" "${talk_out[@]}"; do
		exec {fd}>&-
	done
}

# talk_start NAME: a conversation of that name, see talk.py. It ends with the
# shell that started it.
talk_start() {
	local ends=$tmp/$1.$BASHPID in out
	mkfifo "$ends.in" "$ends.out" || return 1
	(
		talks_forget
		exec python3 "$guest_source/talk.py" "$tmp/$1.talk"
	) <"$ends.in" >"$ends.out" &
	exec {in}>"$ends.in" {out}<"$ends.out"
	talk_in[$1]=$in talk_out[$1]=$out
	rm "$ends.in" "$ends.out"
}

# talk_ask NAME COMMAND...: does not wait for the answer.
talk_ask() {
	local name=$1
	shift
	echo "$*" >&"${talk_in[$name]}"
}

# talk_answer NAME: REPLY is the text of the answer, or why there is none.
talk_answer() {
	local verdict
	IFS=' ' read -r -t 300 -u "${talk_out[$1]}" verdict REPLY || verdict=dead
	printf -v REPLY %b "$REPLY"
	[ "$verdict" = ok ] && return
	echo "$1: $REPLY" >&2
	return 1
}

# talk NAME COMMAND...: asks and waits for the answer.
talk() {
	talk_ask "$@" && talk_answer "$1"
}

# talk_start_at NAME PORT: a conversation that is connected, and first reads
# what the guest had said before.
talk_start_at() {
	talk_start "$1" && talk "$1" open "$2"
}

# talk_join NAME PORT: the same with a guest whose shell is there; what it had
# said before is put aside.
talk_join() {
	talk_start_at "$1" "$2" && talk "$1" sync
}

# same WHAT EXPECTED GOT
same() {
	[ "$2" = "$3" ] && return
	echo "$1: expected '$2', got '$3'" >&2
	return 1
}

# answers NAME COMMAND OUTPUT: the guest's shell runs COMMAND and prints OUTPUT.
answers() {
	talk "$1" run 20 "$2" && same "$1: $2" "0 $3"$'\n' "$REPLY"
}
