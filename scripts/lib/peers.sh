# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Sourced by scripts/compat after setup.sh: back-ends and front-ends of other
# projects, from this Debian release and, where it has none or an old one, from
# a newer suite unpacked into the cache folder.
# shellcheck shell=bash disable=SC2154,SC2034

peer_packages=(dpdk-dev librte-net-vhost23 librte-net-virtio23 qemu-system-common
	qemu-system-x86 qemu-utils)

# Programs of the newer suite run here with their own C library.
peers_root=$cache/peers/root
peers_loader=("$peers_root/usr/lib64/ld-linux-x86-64.so.2"
	--library-path "$peers_root/usr/lib/x86_64-linux-gnu")

# peers_setup: Rust virtiofsd, vhost-device-vsock, passt, and a qemu-img that has
# libblkio. Kept once complete.
peers_setup() {
	local dir=$cache/peers
	packages_install "${peer_packages[@]}"
	[ ! -e "$dir/complete" ] || return 0
	need_folder "$cache"
	echo "fetching virtiofsd, vhost-device-vsock, passt and qemu-img of sid into $dir" >&2
	suite_unpack "$dir" \
		'virtiofsd vhost-device-vsock passt qemu-utils qemu-block-extra libblkio1' sid \
		>"$cache/peers.log" 2>&1 || { tail -n 5 "$cache/peers.log" >&2; return 1; }
	: >"$dir/complete"
}

# guests_setup: images at $tmp/{uml,qemu}.cpio of guests that use one device, see
# tests/guest/use. After guests.sh.
guests_setup() {
	local network='failover net_failover virtio_net'
	local socket='vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport'
	packages_install "${guest_packages[@]}"
	qemu_setup && kernel_setup || return 1
	# shellcheck disable=SC2086 # lists of modules
	guest_image uml guest_user /usr/lib/uml/modules virtio_console virtio_blk $network $socket &&
		guest_image qemu guest_user "$cache/kernel/root/lib/modules" virtio_ring virtio \
			virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_console \
			virtio-rng virtio_blk $network $socket
}

# guest_user TREE: what such a guest runs.
guest_user() {
	install -m 755 "$guest_source/use" "$1/use" &&
		"${CC:-cc}" -std=gnu11 -O1 -static -o "$1/bin/connect" "$guest_source/connect.c"
}

# peer_version PACKAGE: of an installed one.
peer_version() {
	dpkg-query -W -f '${Version}' "$1"
}

# words WORD...: one line of all words in them, for --exec.
words() {
	local word
	# shellcheck disable=SC2048 # they are to be split
	for word in $*; do
		printf '%s ' "$word"
	done
}

# uml DEVICE NUMBER: the words that start User-Mode Linux with that device.
uml() {
	words python3 "$guest_source/fxsave.py" linux.uml mem=128M "uml_dir={dir}" \
		"initrd=$tmp/uml.cpio" rdinit=/use con=null con0=null,fd:1 \
		"GLIBC_TUNABLES=glibc.cpu.hwcaps=$uml_hwcaps" \
		"virtio_uml.device={socket}:$2" console=tty0 diag=tty0 "use=$1"
}

# machine DEVICE WORD...: the options of a QEMU whose guest uses DEVICE; WORDs make
# it of the character device "peer".
machine() {
	local device=$1 kernel
	kernel=$(find "$cache/kernel/root/boot" -name 'vmlinuz-*' | head -n 1)
	shift
	words -machine q35,accel=tcg,memory-backend=mem -m 192M \
		-object memory-backend-memfd,id=mem,size=192M,share=on -bios qboot.rom \
		-nodefaults -no-user-config -display none -monitor none -serial stdio \
		-kernel "$kernel" -initrd "$tmp/qemu.cpio" \
		-append "'console=ttyS0 diag=ttyS0 loglevel=4 rdinit=/use use=$device'" \
		-chardev "socket,id=peer,path={socket}" "$@"
}

# newer_version PROGRAM: what a program of the newer suite says of itself.
newer_version() {
	"${peers_loader[@]}" "$peers_root$1" --version 2>/dev/null |
		sed -n '1s/^[^0-9]* \([0-9][^ ]*\).*/\1/p'
}

# newer_package PACKAGE: version of a package of the newer suite.
newer_package() {
	zcat "$peers_root/usr/share/doc/$1/changelog.Debian.gz" | sed -n '1s/.*(\([^)]*\)).*/\1/p'
}
