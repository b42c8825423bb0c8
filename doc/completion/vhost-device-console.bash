# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# shellcheck shell=bash
# What bash completes after vhost-device-console. The lists between the marks
# are printed by src/console-options-dump bash.

# generated: begin
__vhu_options='--socket-path -s --socket-count -c --fd --max-queue-size -q --device --max-ports --resize-order --port --backend -b --tcp-port -p --escape --history --loops --poll-us --config --control --journal --sandbox --sandbox-path --user --group --trace --log-level --print-capabilities --help -h --version -V'
__vhu_options_with_value=' --socket-path -s --socket-count -c --fd --max-queue-size -q --device --max-ports --resize-order --port --backend -b --tcp-port -p --escape --history --loops --poll-us --config --control --journal --sandbox --sandbox-path --user --group --trace --log-level '
__vhu_options_with_file=' --socket-path -s --config --control --journal --sandbox-path --trace '
__vhu_ctl_options='--control -C --json --verbose -v --help -h'
__vhu_ctl_options_with_value=' --control -C '
__vhu_ctl_options_with_file=' --control -C '
__vhu_port_words='console name= overflow= history='
__vhu_device_words='socket= fd= name= max-ports= resize-order= iommu= mode= owner= group='
__vhu_kinds='terminal tcp: telnet: unix: tcp-connect: unix-connect: pty file: fd: log: null'
__vhu_kinds_with_file=' unix unix-connect pty file log '
__vhu_kind_words() {
	case $1 in
	terminal) echo 'ro replay= escape=' ;;
	tcp) echo 'ro steal replay= clients=' ;;
	telnet) echo 'ro steal replay= clients=' ;;
	unix) echo 'ro steal replay= clients= mode= owner= group=' ;;
	tcp-connect) echo 'ro steal replay= reconnect= reconnect-max=' ;;
	unix-connect) echo 'ro steal replay= reconnect= reconnect-max=' ;;
	pty) echo 'ro steal replay= mode= owner= group=' ;;
	file) echo 'replay= mode= owner= group= input= truncate' ;;
	fd) echo 'ro steal replay= clients=' ;;
	log) echo 'mode= owner= group= max-size= keep= timestamps record=' ;;
	null) echo '' ;;
	esac
}
__vhu_values() {
	case $1 in
	--resize-order) echo 'spec linux-legacy' ;;
	--backend | -b) echo 'nested network' ;;
	--sandbox) echo 'auto strict none' ;;
	--log-level) echo 'error warning info debug trace' ;;
	overflow=) echo 'auto drop hold' ;;
	resize-order=) echo 'auto spec linux-legacy' ;;
	iommu=) echo 'off on' ;;
	replay=) echo 'all none' ;;
	record=) echo 'output input both' ;;
	esac
}
__vhu_commands='status set-port add-port remove-port rename-port attach detach disconnect steal reload upgrade help'
__vhu_command_words() {
	case $1 in
	set-port) echo 'input=on input=off output=on output=off overflow=drop overflow=hold size=' ;;
	esac
}
# generated: end

# The lists are read by the functions below; completion works on the line up to
# the cursor, since bash cuts words at = and : where we do not.

# __vhu_has LIST NAME: NAME is one of the words.
__vhu_has() {
	[[ " $1 " == *" $2 "* ]]
}

# __vhu_reply CUR WORD...: those that begin with CUR, without what bash has kept.
__vhu_reply() {
	local cur=$1 kept='' word
	shift
	if [[ $cur == *[=:]* ]]; then
		kept=${cur%"${cur##*[=:]}"}
	fi
	COMPREPLY=()
	for word; do
		if [[ $word == "$cur"* ]]; then
			COMPREPLY+=("${word#"$kept"}")
		fi
	done
}

# __vhu_files PREFIX CUR: files, with PREFIX in front of their names.
__vhu_files() {
	local -a files
	mapfile -t files < <(compgen -f -- "$2")
	compopt -o filenames -o nospace 2>/dev/null
	__vhu_reply "$1$2" "${files[@]/#/$1}"
}

# __vhu_list CUR WORDS KINDS: the last word of a comma list.
__vhu_list() {
	local cur=$1 words="$2 $3" last=${1##*,} kind='' part name
	local before=${cur%"$last"}
	local -a parts candidates
	IFS=, read -ra parts <<<"$before"
	for part in "${parts[@]}"; do
		if __vhu_has "$3" "${part%%:*}" || __vhu_has "$3" "${part%%:*}:"; then
			kind=${part%%:*}
		fi
	done
	case $last in
	socket=* | input=*)
		__vhu_files "$before${last%%=*}=" "${last#*=}"
		return
		;;
	*=*)
		for name in $(__vhu_values "${last%%=*}="); do
			candidates+=("$before${last%%=*}=$name")
		done
		;;
	*:*)
		if [[ -n $3 ]] && __vhu_has "$__vhu_kinds_with_file" "${last%%:*}"; then
			__vhu_files "$before${last%%:*}:" "${last#*:}"
			return
		fi
		;;
	*)
		if [[ -n $kind ]]; then
			words="$(__vhu_kind_words "$kind") $words"
		fi
		for name in $words; do
			candidates+=("$before$name")
		done
		;;
	esac
	compopt -o nospace 2>/dev/null
	__vhu_reply "$cur" "${candidates[@]}"
}

# __vhu_option CUR OPTION: the value of an option.
__vhu_option() {
	case $2 in
	--port) __vhu_list "$1" "$__vhu_port_words" "$__vhu_kinds" ;;
	--device) __vhu_list "$1" "$__vhu_device_words" '' ;;
	*)
		# shellcheck disable=SC2046 # words
		__vhu_reply "$1" $(__vhu_values "$2")
		if __vhu_has "$__vhu_options_with_file$__vhu_ctl_options_with_file" "$2"; then
			__vhu_files '' "$1"
		fi
		;;
	esac
}

# __vhu_ctl CUR PREVIOUS WORD...: after "ctl", where the words are.
__vhu_ctl() {
	local cur=$1 previous=$2 command='' skip='' word
	shift 2
	if __vhu_has "$__vhu_ctl_options_with_value" "$previous"; then
		__vhu_option "$cur" "$previous"
		return
	fi
	for word; do
		if [[ -n $skip ]]; then
			skip=''
		elif __vhu_has "$__vhu_ctl_options_with_value" "$word"; then
			skip=1
		elif [[ $word != -* ]]; then
			command=$word
			break
		fi
	done
	# shellcheck disable=SC2046,SC2086 # words
	if [[ $cur == -* ]]; then
		__vhu_reply "$cur" $__vhu_ctl_options
	elif [[ -n $command ]]; then
		__vhu_reply "$cur" $(__vhu_command_words "$command")
	else
		__vhu_reply "$cur" $__vhu_commands
	fi
}

_vhost_device_console() {
	local line=${COMP_LINE:0:COMP_POINT} cur='' previous
	local -a words
	COMPREPLY=()
	read -ra words <<<"$line"
	if [[ $line != *[[:space:]] ]]; then
		cur=${words[-1]}
		unset 'words[-1]'
	fi
	previous=${words[-1]}
	# shellcheck disable=SC2086 # words
	if [[ ${words[1]} == ctl ]]; then
		__vhu_ctl "$cur" "$previous" "${words[@]:2}"
	elif __vhu_has "$__vhu_options_with_value" "$previous"; then
		__vhu_option "$cur" "$previous"
	elif [[ $cur == --*=* ]]; then
		__vhu_option "${cur#*=}" "${cur%%=*}"
	elif [[ ${#words[@]} -eq 1 ]]; then
		__vhu_reply "$cur" ctl $__vhu_options
	else
		__vhu_reply "$cur" $__vhu_options
	fi
}
complete -F _vhost_device_console vhost-device-console
