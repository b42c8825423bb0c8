#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# daemon.sh VHU-CONFORM DAEMON [OPTION]...: the whole of vhu-conform on a daemon
# with consoles and data ports, strictly. Prints TAP.
conform=$1
daemon=$2
shift 2
ctl="$daemon ctl --control {dir}/ctl"
set -- --device console --strict --hostile --peer 'unix:{dir}/port{port}' \
	--exec "$daemon --log-level error --control {dir}/ctl \
--device socket={socket},name=vm,max-ports=8,iommu=on \
--port 0,console,unix:{dir}/port0 \
--port 1,name=org.test.a,overflow=hold,unix:{dir}/port1 \
--port 2,name=org.test.b,overflow=hold,unix:{dir}/port2 \
--port 3,console,name=second,unix:{dir}/port3" \
	--do "resize=$ctl set-port vm/{port} size={cols}x{rows}" \
	--do "unplug=$ctl remove-port vm/{port}" \
	--do "plug=$ctl add-port vm {port},name={name},overflow=hold,unix:{dir}/port{port}" \
	--format tap "$@"
exec "$conform" "$@"
