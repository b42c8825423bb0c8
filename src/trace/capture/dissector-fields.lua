-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
-- The dissector, first part of three: fields of filters, payloads by their
-- shapes. vhu-trace-dump makes one file of its tables (SHAPES, FRONT_END,
-- BACK_END, BITS, ...) and the three. Every Lua that Wireshark has had will do,
-- so there are no bit operations.

local vhost_user = Proto("vhost_user", "vhost-user")

local ENVELOPE = 16 -- bytes before what is in it
local HEADER = 12 -- of a message
local TO_BACKEND = 0
local LINE_BYTES = 32 -- that a line shows of a run of bytes

-- Fields by the name that follows "vhost_user." in filters.

local F = {}

local function declare(name, kind, ...)
	F[name] = ProtoField[kind]("vhost_user." .. name, ...)
end

-- Names of requests by number, for the column of values.
local function names_of(requests)
	local names = {}
	for id, request in pairs(requests) do
		names[id] = request.name
	end
	return names
end

local NUMBERS = { [1] = "uint8", [2] = "uint16", [4] = "uint32", [8] = "uint64" }

local function declare_shape_field(shape, field)
	local name = shape.name .. "." .. field.name
	local base_of = field.style == "dec" and base.DEC or base.HEX
	if field.style == "bytes" then
		declare(name, "bytes", field.name, base.NONE, field.text)
	elseif field.style == "uuid" then
		declare(name, "string", field.name, base.UNICODE, field.text)
	elseif field.style == "words" then
		declare(name, "uint64", field.name, base.HEX, nil, nil, field.text)
	elseif field.style ~= "nest" and field.style ~= "padding" then
		declare(name, NUMBERS[field.width], field.name, base_of, nil, nil, field.text)
	end
end

local function declare_shapes()
	for _, shape in pairs(SHAPES) do
		for _, field in ipairs(shape) do
			declare_shape_field(shape, field)
		end
	end
	for style, bits in pairs(BITS) do
		for _, name in pairs(bits) do
			declare(style .. "." .. name:lower(), "bool", name)
		end
	end
end

local function declare_envelope()
	declare("kind", "uint8", "Kind", base.DEC, RECORD_KINDS)
	declare("direction", "uint8", "Direction", base.DEC,
		{ [0] = "to the back-end", [1] = "to the front-end" })
	declare("channel", "bool", "On the back-end's channel")
	declare("session", "uint32", "Session")
	declare("text", "string", "Text")
	declare("raw", "bytes", "Bytes that make no message")
	declare("fd", "string", "Descriptor")
	declare("fd.kind", "uint8", "Kind", base.DEC, FD_KINDS)
	declare("fd.name", "string", "Name")
	declare("fd.size", "uint64", "Size")
	declare("fd.id", "uint64", "Inode, or number of the eventfd")
	declare("fd.seals", "uint32", "Seals", base.HEX)
	declare("fd.readonly", "bool", "Read-only")
	declare("fd.nonblock", "bool", "Non-blocking")
end

local function declare_message()
	declare("request", "uint32", "Request", base.DEC, names_of(FRONT_END))
	declare("backend_request", "uint32", "Request of the back-end", base.DEC,
		names_of(BACK_END))
	declare("name", "string", "Name")
	declare("meaning", "string", "Meaning")
	declare("flags", "uint32", "Flags", base.HEX)
	declare("version", "uint8", "Version")
	declare("reply", "bool", "Reply")
	declare("need_reply", "bool", "Reply wanted")
	declare("size", "uint32", "Size of the payload")
	declare("ring", "uint32", "Ring")
	declare("nofd", "bool", "No descriptor comes along")
	declare("extra", "bytes", "Bytes that the message has no field for")
	declare("response_in", "framenum", "Answered in", base.NONE, frametype.RESPONSE)
	declare("response_to", "framenum", "Answers", base.NONE, frametype.REQUEST)
	declare("time", "relative_time", "Time since the request")
end

declare_shapes()
declare_envelope()
declare_message()

local broken = ProtoExpert.new("vhost_user.error", "vhost-user: broken",
	expert.group.PROTOCOL, expert.severity.ERROR)
local unknown = ProtoExpert.new("vhost_user.unknown", "vhost-user: unknown",
	expert.group.UNDECODED, expert.severity.NOTE)
local refused = ProtoExpert.new("vhost_user.refused", "vhost-user: refused",
	expert.group.RESPONSE_CODE, expert.severity.WARN)
local spare = ProtoExpert.new("vhost_user.spare", "vhost-user: longer than it has to be",
	expert.group.PROTOCOL, expert.severity.NOTE)
local rule_broken = ProtoExpert.new("vhost_user.rule", "vhost-user: a rule is broken",
	expert.group.PROTOCOL, expert.severity.ERROR)
local rule_noted = ProtoExpert.new("vhost_user.rule_noted", "vhost-user: usual, but not wanted",
	expert.group.PROTOCOL, expert.severity.NOTE)
vhost_user.experts = { broken, unknown, refused, spare, rule_broken, rule_noted }

-- Rules need the whole session to be judged by. The tracer has done that: what is
-- broken stands at the end of its line, " ! NAME text (clauses)", for a note "~".

local comments = Field.new("frame.comment")

local function add_rules(tree)
	for _, comment in ipairs({ comments() }) do
		local mark, name, text, clauses = tostring(comment):match(
			"^.* ([!~]) ([%u_]+) (.-) %((V[UR]%-%d[%w%-, ]*)%)$")
		if mark then
			tree:add_proto_expert_info(mark == "!" and rule_broken or rule_noted,
				string.format("%s %s (%s)", clauses, text, name))
		end
	end
end

-- Numbers. 64 bits do not fit a Lua number everywhere, so they come in halves.

local function hex64(range)
	local low, high = range(0, 4):le_uint(), range(4, 4):le_uint()
	if high == 0 then
		return string.format("0x%x", low)
	end
	return string.format("0x%x%08x", high, low)
end

local function number_text(range, style)
	if range:len() == 8 then
		return style == "dec" and tostring(range:le_uint64()) or hex64(range)
	end
	return string.format(style == "dec" and "%d" or "0x%x", range:le_uint())
end

local function has_bit(range, bit)
	local byte = range(math.floor(bit / 8), 1):uint()
	return math.floor(byte / 2 ^ (bit % 8)) % 2 == 1
end

local function hex_bytes(range)
	local text = range(0, math.min(range:len(), LINE_BYTES)):bytes():tohex(true)
	if range:len() > LINE_BYTES then
		text = text .. "(+" .. range:len() - LINE_BYTES .. ")"
	end
	return text
end

local function uuid_text(range)
	local hex = range:bytes():tohex(true)
	return string.format("%s-%s-%s-%s-%s", hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16),
		hex:sub(17, 20), hex:sub(21))
end

-- Fields of payloads. Each of these functions adds to the tree what is there and
-- returns it in words.

local function add_bits(item, style, range)
	local words = {}
	for bit = 0, 8 * range:len() - 1 do
		local name = BITS[style][bit]
		local set = has_bit(range, bit)
		if name then
			item:add(F[style .. "." .. name:lower()],
				range(math.floor(bit / 8), 1), set)
		end
		if set then
			words[#words + 1] = name or "bit" .. bit
		end
	end
	return "[" .. table.concat(words, " ") .. "]"
end

local function add_ring_word(item, range)
	local words = "ring=" .. range(0, 1):uint()
	local nofd = has_bit(range, 8)
	item:add(F.nofd, range(1, 1), nofd)
	return nofd and words .. " nofd" or words
end

local function add_number(tree, shape, field, range)
	local item = tree:add_le(F[shape.name .. "." .. field.name], range)
	if BITS[field.style] then
		local words = hex64(range) .. add_bits(item, field.style, range)
		item:append_text(" " .. words:match("%[.*"))
		return field.name .. "=" .. words
	elseif field.style == "ring" then
		return add_ring_word(item, range)
	end
	return field.name .. "=" .. number_text(range, field.style)
end

local function add_words(tree, shape, field, range)
	local words = {}
	for i = 0, range:len() / 8 - 1 do
		local value = range(i * 8, 8)
		if hex64(value) ~= "0x0" then
			local item = tree:add_le(F[shape.name .. "." .. field.name], value)
			item:prepend_text("[" .. i .. "] ")
			words[#words + 1] = i .. "=" .. hex64(value)
		end
	end
	return field.name .. "={" .. table.concat(words, " ") .. "}"
end

local add_fields

local function add_nest(tree, shape, field, range)
	local inner = SHAPES[field.inner]
	local words = {}
	for i = 0, range:len() / field.width - 1 do
		local part = range(i * field.width, field.width)
		local name = field.n > 1 and field.name .. "[" .. i .. "]" or field.name
		local item = tree:add(part, name)
		words[#words + 1] = "{" .. add_fields(item, inner, part) .. "}"
		item:append_text(": " .. words[#words]:sub(2, -2))
	end
	local text = table.concat(words, " ")
	return field.name .. "=" .. (field.n > 1 and "[" .. text .. "]" or text)
end

-- How many elements of field are in the payload, and meant.
local function n_elements(shape, field, range)
	local n = math.min(math.floor((range:len() - field.at) / field.width), field.n)
	if shape.count and field.at == shape.prefix then
		n = math.min(n, range(shape.count, 4):le_uint())
	end
	return n
end

local function add_field(tree, shape, field, range)
	local n = range:len() > field.at and n_elements(shape, field, range) or 0
	if n == 0 or field.style == "padding" then
		return nil
	end
	local part = range(field.at, n * field.width)
	if field.style == "nest" then
		return add_nest(tree, shape, field, part)
	elseif field.style == "words" then
		return add_words(tree, shape, field, part)
	elseif field.style == "bytes" then
		tree:add(F[shape.name .. "." .. field.name], part)
		return field.name .. "=" .. hex_bytes(part)
	elseif field.style == "uuid" then
		tree:add(F[shape.name .. "." .. field.name], part, uuid_text(part))
		return field.name .. "=" .. uuid_text(part)
	end
	return add_number(tree, shape, field, part)
end

function add_fields(tree, shape, range)
	local words = {}
	for _, field in ipairs(shape) do
		words[#words + 1] = add_field(tree, shape, field, range)
	end
	return table.concat(words, " ")
end

-- The bytes that the payload should have: least, most; nil and what is wrong.
local function expected_size(shape, payload)
	if not shape.count or not payload or payload:len() < shape.count + 4 then
		return shape.min, shape.max
	end
	local n = payload(shape.count, 4):le_uint()
	if n > shape.most then
		return nil, string.format("%d of them; at most %d are allowed", n, shape.most)
	end
	local size = shape.prefix + n * shape.unit
	return size, size
end

-- Bytes that are too many; front-ends may have room for more than they count
-- (VU-012): UML's memory table always has two regions.
local function add_extra(tree, shape, size, most)
	if size <= shape.max then
		tree:add_proto_expert_info(spare, string.format(
			"%d bytes more than are counted (VU-012)", size - most))
	else
		tree:add_proto_expert_info(broken, size - most .. " bytes too many")
	end
end

-- Says what is wrong, as words for the line, too.
local function check_size(tree, shape, payload, size)
	local least, most = expected_size(shape, payload)
	local there = payload and payload:len() or 0
	if not least then
		tree:add_proto_expert_info(broken, most)
	elseif size > most then
		add_extra(tree, shape, size, most)
		if most < there then
			tree:add(F.extra, payload(most))
		end
		return "extra=" .. size - most
	elseif there < least then
		tree:add_proto_expert_info(broken, least - there .. " bytes are missing")
		return "missing=" .. least - there
	end
	return ""
end
