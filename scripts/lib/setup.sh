# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Sourced by scripts/*: Debian packages, the build, and the cache folder of what
# the guests need from other suites. The caller has set $top_srcdir.
# shellcheck shell=bash disable=SC2154

build_packages=(autoconf automake gcc libc6-dev libcap-ng-dev libcmocka-dev libgnutls28-dev
	libjson-c-dev libseccomp-dev libtelnet-dev liburing-dev make pkg-config)
guest_packages=(busybox-static cpio python3 tmux user-mode-linux)
check_packages=(chromium clang-tidy cppcheck gnutls-bin libedit-dev mandoc openssl procps
	qemu-system-common qemu-system-x86 socat tshark valgrind xz-utils)

# Where these programs are, they need not come from Debian.
for program in node:nodejs npm:npm; do
	command -v "${program%:*}" >/dev/null || check_packages+=("${program#*:}")
done

cache=${VHU_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vhu}
apt_updated=

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# need_folder DIR: DIR exists and takes new files, or we stop here.
need_folder() {
	mkdir -p "$1" && [ -w "$1" ] || die "cannot write into $1"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "only root can do this: $*"
	fi
}

apt_update() {
	[ -z "$apt_updated" ] || return 0
	as_root apt-get -q update >&2 || die "apt-get update failed"
	apt_updated=yes
}

# packages_missing PACKAGE...: prints those that are not installed.
packages_missing() {
	local package
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
			grep -qx installed || echo "$package"
	done
}

# packages_install PACKAGE...: installs what is missing, says so on stderr.
packages_install() {
	local missing
	command -v dpkg-query >/dev/null || die "this needs a Debian system"
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "installing: ${missing[*]}" >&2
	apt_update
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		install --no-install-recommends "${missing[@]}" >&2 </dev/null ||
		die "apt-get could not install: ${missing[*]}"
}

# build_tree FOLDER [CONFIGURE OPTION...]: configures once, and again when options
# are given that it was not configured with; makes always.
build_tree() {
	local folder=$1
	shift
	[ -x "$top_srcdir/configure" ] || (cd "$top_srcdir" && ./bootstrap) || return 1
	mkdir -p "$folder" || return 1
	if [ ! -e "$folder/config.status" ] ||
		{ [ $# -gt 0 ] && [ "$(cat "$folder/configured-with")" != "$*" ]; }; then
		(cd "$folder" && "$top_srcdir/configure" "$@") || return 1
		echo "$*" >"$folder/configured-with"
	fi
	make -C "$folder" -j "$(nproc)"
}

# mirror_of_release: URI of the archive this system comes from.
mirror_of_release() {
	local codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' \
		'Label: Debian' "Codename: $codename" | head -n 1
}

# suite_options DIR: prints the apt options, one a line, that make apt forget
# this system and see nothing but the sources in DIR/sources.list.
suite_options() {
	printf -- '-o\n%s\n' \
		"Dir::State=$1/state" "Dir::State::status=$1/status" \
		"Dir::Cache=$1/cache" "Dir::Etc::sourcelist=$1/sources.list" \
		Dir::Etc::sourceparts=/dev/null Dir::Etc::preferences=/dev/null \
		Dir::Etc::preferencesparts=/dev/null APT::Sandbox::User= \
		Acquire::Languages=none Acquire::Check-Valid-Until=false
}

# suite_unpack DIR PACKAGES SUITE...: PACKAGES of the last suite, with all that they
# depend on, unpacked below DIR/root. Nothing is installed and nothing is run:
# programs of a newer release work here with the libraries of that release.
suite_unpack() {
	local dir=$1 packages mirror suite options deb
	read -ra packages <<<"$2"
	shift 2
	mirror=$(mirror_of_release)
	[ -n "$mirror" ] || { apt_update; mirror=$(mirror_of_release); }
	[ -n "$mirror" ] || return 1
	rm -rf "$dir"
	mkdir -p "$dir"/{root,state/lists/partial,cache/archives/partial} || return 1
	: >"$dir/status"
	for suite in "$@"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$dir/sources.list"
	mapfile -t options < <(suite_options "$dir")
	apt-get "${options[@]}" -q update || return 1
	apt-get "${options[@]}" -q -y install --download-only --no-install-recommends \
		-t "$suite" "${packages[@]}" </dev/null || return 1
	for deb in "$dir"/cache/archives/*.deb; do
		dpkg -x "$deb" "$dir/root" || return 1
	done
	rm -rf "$dir/state" "$dir/cache" "$dir/status"
}

# That QEMU with its own C library and firmware.
qemu_root=$cache/qemu/root
qemu=("$qemu_root/usr/lib64/ld-linux-x86-64.so.2"
	--library-path "$qemu_root/usr/lib/x86_64-linux-gnu"
	"$qemu_root/usr/bin/qemu-system-x86_64"
	-L "$qemu_root/usr/share/qemu" -L "$qemu_root/usr/share/seabios")

# qemu_setup: a QEMU that has the generic vhost-user device, 10.2 or later, in
# the cache folder. Kept once complete.
qemu_setup() {
	local dir=$cache/qemu suites
	[ ! -e "$dir/complete" ] || return 0
	need_folder "$cache"
	for suites in sid 'trixie trixie-backports'; do
		echo "fetching qemu of $suites into $dir" >&2
		# shellcheck disable=SC2086 # a list of suites
		suite_unpack "$dir" qemu-system-x86 $suites >"$cache/qemu.log" 2>&1 || continue
		"${qemu[@]}" -device help 2>&1 | grep -q '"vhost-user-test-device-pci"' || continue
		: >"$dir/complete"
		return 0
	done
	tail -n 5 "$cache/qemu.log" >&2
	return 1
}

# kernel_setup: kernel and modules of this release's linux-image-cloud-amd64 in
# the cache folder, unpacked and not installed. Kept once complete.
kernel_setup() {
	local dir=$cache/kernel
	[ ! -e "$dir/complete" ] || return 0
	need_folder "$cache"
	echo "fetching linux-image-cloud-amd64 into $dir" >&2
	rm -rf "$dir"
	mkdir -p "$dir/root" || return 1
	apt_update
	(cd "$dir" && apt-get -q -o APT::Sandbox::User= download "$(kernel_package)") \
		>"$cache/kernel.log" 2>&1 || { tail -n 5 "$cache/kernel.log" >&2; return 1; }
	dpkg -x "$dir"/linux-image-*.deb "$dir/root" || return 1
	rm "$dir"/*.deb
	: >"$dir/complete"
}

# The package that the meta package stands for.
kernel_package() {
	apt-cache depends linux-image-cloud-amd64 |
		sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
}

# What some test guests run besides busybox.
software_root=$cache/software/root

# software_setup: the guest agent and udev of this release, unpacked into the
# cache folder. Kept once complete.
software_setup() {
	local dir=$cache/software codename
	[ ! -e "$dir/complete" ] || return 0
	need_folder "$cache"
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	echo "fetching qemu-guest-agent and udev into $dir" >&2
	suite_unpack "$dir" 'qemu-guest-agent udev' "$codename" >"$cache/software.log" 2>&1 ||
		{ tail -n 5 "$cache/software.log" >&2; return 1; }
	: >"$dir/complete"
}

# page_setup: what drives a browser in the test of vhu-trace's page, in the cache
# folder; node finds it by $VHU_NODE_MODULES.
page_setup() {
	local dir=$cache/page
	export VHU_NODE_MODULES=$dir/node_modules
	! cmp -s "$top_srcdir/tests/page/package-lock.json" "$dir/complete" || return 0
	need_folder "$dir"
	echo "fetching puppeteer-core into $dir" >&2
	cp "$top_srcdir"/tests/page/package*.json "$dir" &&
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund) >"$dir/log" 2>&1 ||
		{ tail -n 5 "$dir/log" >&2; return 1; }
	cp "$dir/package-lock.json" "$dir/complete"
}
