-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
-- The dissector, last part: who answers whom, messages, envelopes.

-- Who answers whom. Wireshark comes by in order once, and then as it likes.

local sessions, links

function vhost_user.init()
	sessions, links = {}, {}
end

-- All that a session has agreed on, and its requests that wait, oldest first.
local function session_of(number)
	local session = sessions[number]
	if not session then
		session = { waiting = { [true] = {}, [false] = {} }, protocol = {} }
		sessions[number] = session
	end
	return session
end

local function note_protocol(session, message)
	if message.channel or message.id ~= 16 or message.reply or not message.payload or
		message.payload:len() < 8 then
		return
	end
	for bit = 0, 63 do
		session.protocol[bit] = has_bit(message.payload, bit)
	end
end

local function wants_reply(session, message)
	local row = message.row
	return message.need_reply or row and (row.always or
		row.always_with and session.protocol[row.always_with])
end

-- A reply answers the oldest request of its number; those before it get none any more.
local function answer(waiting, message, pinfo)
	for i, request in ipairs(waiting) do
		if request.id == message.id then
			local time = pinfo.rel_ts - request.time
			links[pinfo.number] = { to = request.frame, time = time }
			links[request.frame] = links[request.frame] or {}
			links[request.frame].from = pinfo.number
			for _ = 1, i do
				table.remove(waiting, 1)
			end
			return
		end
	end
end

local function follow(message, pinfo)
	local session = session_of(message.session)
	local waiting = session.waiting[message.channel]
	note_protocol(session, message)
	if message.reply then
		answer(waiting, message, pinfo)
	elseif wants_reply(session, message) then
		waiting[#waiting + 1] = { id = message.id, frame = pinfo.number,
			time = pinfo.rel_ts }
	end
end

local function add_links(tree, pinfo)
	local link = links[pinfo.number]
	if link and link.from then
		tree:add(F.response_in, link.from):set_generated()
	end
	if link and link.to then
		local seconds = math.floor(link.time)
		local time = NSTime.new(seconds, math.floor((link.time - seconds) * 1e9 + 0.5))
		tree:add(F.response_to, link.to):set_generated()
		tree:add(F.time, time):set_generated()
	end
end

-- Messages.

-- A reply has the row's own layout, or is an acknowledgement.
local function shape_of(message)
	local row = message.row
	if not message.reply then
		return row.request
	elseif row.always then
		return row.reply
	elseif row.always_with and (not row.reply or row.reply.max == message.size) then
		return row.reply
	end
	return ACK, true
end

local function add_flags(tree, range)
	local flags = range:le_uint()
	local item = tree:add_le(F.flags, range)
	item:add(F.version, range(0, 1), flags % 4)
	item:add(F.reply, range(0, 1), has_bit(range, 2))
	item:add(F.need_reply, range(0, 1), has_bit(range, 3))
	if flags % 4 ~= 1 then
		item:add_proto_expert_info(broken, "the version is not 1")
	end
	if flags >= 16 then
		item:add_proto_expert_info(broken, "reserved bits are set")
	end
	return (flags % 4 ~= 1 or flags >= 16) and string.format("flags=0x%x", flags) or ""
end

-- Words with spaces between them.
local function join(...)
	local words = {}
	for _, word in ipairs({ ... }) do
		if word ~= "" then
			words[#words + 1] = word
		end
	end
	return table.concat(words, " ")
end

local function add_header(tree, range, message)
	local number = message.channel and F.backend_request or F.request
	local item = tree:add_le(number, range(0, 4))
	tree:add(F.name, range(0, 4), message.name):set_generated()
	if message.row then
		tree:add(F.meaning, message.row.text):set_generated()
	else
		item:add_proto_expert_info(unknown, "no such request is known")
	end
	message.odd_flags = add_flags(tree, range(4, 4))
	item = tree:add_le(F.size, range(8, 4))
	if message.size ~= range:len() - HEADER then
		item:add_proto_expert_info(broken, string.format(
			"the payload has %d bytes", range:len() - HEADER))
	end
end

local function read_message(range, record)
	local message = {
		session = record.session,
		channel = record.channel,
		id = range(0, 4):le_uint(),
		reply = has_bit(range(4, 4), 2),
		need_reply = has_bit(range(4, 4), 3),
		size = range(8, 4):le_uint(),
		payload = range:len() > HEADER and range(HEADER) or nil,
	}
	message.row = (record.channel and BACK_END or FRONT_END)[message.id]
	message.name = message.row and message.row.name or "unknown(" .. message.id .. ")"
	return message
end

-- Replies that say no: an acknowledgement other than zero, no bytes of the config space.
local function check_refusal(tree, message, is_ack)
	local payload = message.payload
	if is_ack and payload and payload:len() >= 8 and hex64(payload(0, 8)) ~= "0x0" then
		tree:add_proto_expert_info(refused, "the request failed")
		return "FAILED"
	end
	return ""
end

local function add_payload(tree, message)
	local payload = message.payload
	if not message.row then
		if payload then
			tree:add(F.extra, payload)
		end
		return payload and "bytes=" .. hex_bytes(payload) or ""
	end
	local shape, is_ack = shape_of(message)
	if message.reply and shape == SHAPES.config and message.size == 0 then
		tree:add_proto_expert_info(refused, "an empty reply: the request failed")
		return "FAILED"
	end
	shape = shape or { name = "none", min = 0, max = 0 }
	local words = payload and add_fields(tree, shape, payload) or ""
	return join(words, check_size(tree, shape, payload, message.size),
		check_refusal(tree, message, is_ack))
end

-- The ring that a request or its reply is about, for filters.
local function add_ring(tree, message)
	local width = message.row and message.row.ring
	local payload = message.payload
	if width and payload and payload:len() >= 8 and shape_of(message) ~= ACK then
		tree:add_le(F.ring, payload(0, width)):set_generated()
	end
end

local function message_line(message, words, fds)
	return join(message.name, message.reply and "reply" or "",
		message.need_reply and "need_reply" or "", message.odd_flags, words,
		#fds > 0 and "fds=[" .. table.concat(fds, "; ") .. "]" or "")
end

local function add_message(tree, range, record, pinfo)
	if range:len() < HEADER then
		tree:add_proto_expert_info(broken, "too short for a message")
		return "too short for a message"
	end
	local message = read_message(range, record)
	if not pinfo.visited then
		follow(message, pinfo)
	end
	add_header(tree, range, message)
	add_links(tree, pinfo)
	add_ring(tree, message)
	return message_line(message, add_payload(tree, message), record.fds)
end

-- Envelopes.

-- In the largest unit that is whole.
local function size_text(range)
	local units = { "B", "KiB", "MiB", "GiB" }
	local size = range(0, 4):le_uint() + range(4, 4):le_uint() * 2 ^ 32
	local i = 1
	while size ~= 0 and size % 1024 == 0 and units[i + 1] do
		size = size / 1024
		i = i + 1
	end
	return string.format("%.0f %s", size, units[i])
end

local function has_size(kind)
	return kind == "memfd" or kind == "file"
end

-- As fd_about_text() says it, but for other kinds of memory.
local function fd_text(kind, name, range)
	local words = FD_KINDS[kind] or "unknown"
	name = name:gsub(" %(deleted%)$", "")
	if name:sub(1, 7) == "/memfd:" then
		words = name:sub(2)
	elseif has_size(words) then
		words = join(words, name)
	elseif words == "other" and name ~= "" then
		words = name
	end
	if has_size(FD_KINDS[kind]) then
		words = words .. ", " .. size_text(range(8, 8)) ..
			(has_bit(range(1, 1), 0) and ", read-only" or "")
	end
	return words
end

-- One descriptor at the start of range: how many bytes it has, and what it is.
local function add_fd(tree, range)
	local path_len = range(2, 2):le_uint()
	local all = range(0, 24 + path_len)
	local name = path_len > 0 and range(24, path_len):string() or ""
	local kind = range(0, 1):uint()
	local text = fd_text(kind, name, range)
	local item = tree:add(F.fd, all, text)
	item:add(F["fd.kind"], range(0, 1))
	item:add(F["fd.readonly"], range(1, 1), has_bit(range(1, 1), 0))
	item:add(F["fd.nonblock"], range(1, 1), has_bit(range(1, 1), 1))
	item:add_le(F["fd.seals"], range(4, 4))
	item:add_le(F["fd.size"], range(8, 8))
	item:add_le(F["fd.id"], range(16, 8))
	if path_len > 0 then
		item:add(F["fd.name"], range(24, path_len))
	end
	return all:len(), text
end

local function add_fds(tree, range, n)
	local fds, at = {}, 0
	for i = 1, n do
		local len
		len, fds[i] = add_fd(tree, range(at))
		at = at + len
	end
	return fds, at
end

local function sender(record)
	return record.direction == TO_BACKEND and "front-end" or "back-end"
end

local function add_text(tree, range, before)
	if not range or range:len() == 0 then
		return before
	end
	tree:add(F.text, range)
	return before .. ": " .. range:string()
end

local BODIES = {
	open = function(tree, range, record)
		return add_text(tree, range, "session " .. record.session ..
			": a front-end has connected")
	end,
	message = function(tree, range, record, pinfo)
		return add_message(tree, range, record, pinfo)
	end,
	raw = function(tree, range)
		tree:add(F.raw, range)
		tree:add_proto_expert_info(broken, "bytes that make no message")
		return range:len() .. " bytes that make no message"
	end,
	channel = function()
		return "the back-end's channel is open"
	end,
	["end"] = function(tree, range, record)
		return add_text(tree, range, "the " .. sender(record) .. " has closed" ..
			(record.channel and " the channel" or ""))
	end,
	note = function(tree, range)
		return add_text(tree, range, "note")
	end,
	ring = function(tree, range, record)
		return add_picture(tree, range, record)
	end,
}

local HAVE_SENDER = { message = true, raw = true, ["end"] = true }

local function add_head(tree, range)
	local record = {
		kind = RECORD_KINDS[range(1, 1):uint()],
		direction = range(2, 1):uint(),
		channel = range(3, 1):uint() ~= 0,
		session = range(4, 4):le_uint(),
		head = range,
		n_fds = range(14, 2):le_uint(),
	}
	record.has_sender = HAVE_SENDER[record.kind]
	tree:add(F.kind, range(1, 1))
	if record.has_sender then
		tree:add(F.direction, range(2, 1))
		tree:add(F.channel, range(3, 1), record.channel)
	end
	tree:add_le(F.session, range(4, 4))
	return record
end

local function set_columns(pinfo, record, line)
	pinfo.cols.info = line
	if record.has_sender then
		local receiver = record.direction == TO_BACKEND and "back-end" or "front-end"
		pinfo.cols.src = sender(record)
		pinfo.cols.dst = receiver
	end
end

-- The line; raises an error where bytes are missing.
local function add_record(tree, tvb, pinfo)
	local record = add_head(tree, tvb(0, ENVELOPE))
	local fds, used = {}, 0
	if record.n_fds > 0 then
		fds, used = add_fds(tree, tvb(ENVELOPE), record.n_fds)
	end
	record.fds = fds
	if record.kind == "open" and not pinfo.visited then
		sessions[record.session] = nil
	end
	local rest = tvb:len() > ENVELOPE + used and tvb(ENVELOPE + used) or nil
	local line = BODIES[record.kind](tree, rest, record, pinfo)
	if record.kind == "message" or record.kind == "raw" then
		add_rules(tree)
	end
	set_columns(pinfo, record, line)
	return line
end

function vhost_user.dissector(tvb, pinfo, root)
	local tree = root:add(vhost_user, tvb())
	pinfo.cols.protocol = "vhost-user"
	if tvb:len() < ENVELOPE or tvb(0, 1):uint() ~= ENVELOPE_VERSION then
		tree:add_proto_expert_info(broken, "an envelope of another version")
		return
	end
	local good, line = pcall(add_record, tree, tvb, pinfo)
	if good then
		tree:append_text(", " .. line)
	else
		tree:add_proto_expert_info(broken, "the capture is damaged here")
	end
end

vhost_user.fields = F
