-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
-- The dissector, second part: pictures of rings, in the layout of picture-pack.c.

local PICTURE_VERSION = 1
local PICTURE_HEAD, PICTURE_CHAIN, PICTURE_USED, PICTURE_DESC = 40, 52, 12, 20

local function declare_picture()
	declare("ring.cause", "uint8", "Taken at", base.DEC, CAUSES)
	declare("ring.packed", "bool", "Packed ring")
	declare("ring.event_idx", "bool", "Event index")
	declare("ring.size", "uint32", "Entries")
	declare("ring.avail_idx", "uint16", "Available index")
	declare("ring.used_idx", "uint16", "Used index")
	declare("ring.avail_flags", "uint16", "Flags of the driver", base.HEX)
	declare("ring.used_event", "uint16", "The driver wants to be called at")
	declare("ring.used_flags", "uint16", "Flags of the device", base.HEX)
	declare("ring.avail_event", "uint16", "The device wants to be kicked at")
	declare("ring.offered", "uint32", "Chains that the device has")
	declare("ring.missed", "uint16", "Offered since, and not in this picture")
	declare("ring.chain", "string", "Chain")
	declare("ring.chain.at", "uint16", "Place in the ring")
	declare("ring.chain.head", "uint16", "Head")
	declare("ring.chain.owner", "uint8", "Owner", base.DEC, OWNERS)
	declare("ring.chain.fault", "uint8", "Fault", base.DEC, FAULTS)
	declare("ring.chain.used_len", "uint32", "Bytes written")
	declare("ring.chain.more", "uint32", "Descriptors that are not in the picture")
	declare("ring.chain.out_len", "uint64", "Bytes that the device may read")
	declare("ring.chain.in_len", "uint64", "Bytes that it may write")
	declare("ring.chain.out", "bytes", "What the device may read")
	declare("ring.chain.in", "bytes", "What it has written")
	declare("ring.desc", "string", "Descriptor")
	declare("ring.desc.number", "uint16", "Number")
	declare("ring.desc.addr", "uint64", "Address", base.HEX)
	declare("ring.desc.len", "uint32", "Length")
	declare("ring.desc.flags", "uint16", "Flags", base.HEX)
	declare("ring.desc.next", "uint16", "Next descriptor, or id")
	declare("ring.used", "string", "Returned")
	declare("ring.used.at", "uint16", "Place in the ring")
	declare("ring.used.id", "uint32", "Id")
	declare("ring.used.len", "uint32", "Bytes written")
end

declare_picture()

local function read_picture(range)
	local p = {
		packed = has_bit(range(1, 1), 0),
		avail_idx = range(2, 2):le_uint(),
		used_idx = range(4, 2):le_uint(),
		n_chains = range(20, 4):le_uint(),
		n_used = range(24, 4):le_uint(),
		n_descs = range(28, 4):le_uint(),
		n_data = range(32, 4):le_uint(),
	}
	p.chains_at = PICTURE_HEAD
	p.used_at = p.chains_at + p.n_chains * PICTURE_CHAIN
	p.descs_at = p.used_at + p.n_used * PICTURE_USED
	p.data_at = p.descs_at + p.n_descs * PICTURE_DESC
	p.is_whole = p.data_at + p.n_data == range:len()
	return p
end

local function desc_text(range)
	local flags = range(12, 2)
	local kind = has_bit(flags, 2) and "table" or has_bit(flags, 1) and "write" or "read"
	local next = has_bit(flags, 0) and " ->" .. range(14, 2):le_uint() or ""
	return hex64(range(0, 8)) .. "+" .. range(8, 4):le_uint() .. " " .. kind .. next
end

local function add_desc(tree, range)
	local in_table = has_bit(range(18, 1), 0)
	local text = (in_table and "in the table: " or "") .. desc_text(range)
	local item = tree:add(F["ring.desc"], range, text)
	item:add_le(F["ring.desc.number"], range(16, 2))
	item:add_le(F["ring.desc.addr"], range(0, 8))
	item:add_le(F["ring.desc.len"], range(8, 4))
	item:add_le(F["ring.desc.flags"], range(12, 2))
	item:add_le(F["ring.desc.next"], range(14, 2))
end

local function add_descs(item, range, p, chain)
	local first, n = chain(12, 4):le_uint(), chain(16, 1):uint()
	if first + n > p.n_descs then
		item:add_proto_expert_info(broken, "it has more descriptors than the picture")
		return
	end
	for i = first, first + n - 1 do
		add_desc(item, range(p.descs_at + i * PICTURE_DESC, PICTURE_DESC))
	end
	if chain(17, 3):le_uint() > 0 then
		item:add_le(F["ring.chain.more"], chain(17, 3))
	end
end

local function add_data(item, range, p, name, at, n)
	if n > 0 and at + n <= p.n_data then
		item:add(F[name], range(p.data_at + at, n))
	end
end

local function chain_text(chain)
	local text = string.format("[%d] head %d, %s", chain(0, 2):le_uint(),
		chain(2, 2):le_uint(), OWNERS[chain(4, 1):uint()] or "?")
	if has_bit(chain(6, 1), 0) then
		text = text .. " with " .. chain(8, 4):le_uint() .. " bytes written"
	end
	return text
end

local function add_chain(tree, range, p, chain)
	local item = tree:add(F["ring.chain"], chain, chain_text(chain))
	local fault = chain(5, 1):uint()
	item:add_le(F["ring.chain.at"], chain(0, 2))
	item:add_le(F["ring.chain.head"], chain(2, 2))
	item:add(F["ring.chain.owner"], chain(4, 1))
	if fault ~= 0 then
		item:add(F["ring.chain.fault"], chain(5, 1))
	end
	-- The device's alone: what is the driver's again may be anything.
	if fault ~= 0 and fault ~= FAULT_REUSED and chain(4, 1):uint() == 0 then
		item:add_proto_expert_info(broken, FAULTS[fault] or "it is wrong")
	end
	if has_bit(chain(6, 1), 0) then
		item:add_le(F["ring.chain.used_len"], chain(8, 4))
	end
	item:add_le(F["ring.chain.out_len"], chain(36, 8))
	item:add_le(F["ring.chain.in_len"], chain(44, 8))
	add_descs(item, range, p, chain)
	add_data(item, range, p, "ring.chain.out", chain(20, 4):le_uint(), chain(24, 4):le_uint())
	add_data(item, range, p, "ring.chain.in", chain(28, 4):le_uint(), chain(32, 4):le_uint())
end

local function add_used(tree, range)
	local text = string.format("[%d] id %d, %d bytes", range(0, 2):le_uint(),
		range(4, 4):le_uint(), range(8, 4):le_uint())
	local item = tree:add(F["ring.used"], range, text)
	local fault = range(2, 2):le_uint()
	item:add_le(F["ring.used.at"], range(0, 2))
	item:add_le(F["ring.used.id"], range(4, 4))
	item:add_le(F["ring.used.len"], range(8, 4))
	if fault ~= 0 then
		item:add_proto_expert_info(rule_broken,
			"used entry: the id is one " .. (RETURNS[fault] or "that is wrong"))
	end
end

-- The device's chains; a packed ring's indices do not tell, so they are counted.
local function n_offered(range, p)
	if not p.packed then
		return (p.avail_idx - p.used_idx) % 65536
	end
	local n = 0
	for i = 0, p.n_chains - 1 do
		if range(p.chains_at + i * PICTURE_CHAIN + 4, 1):uint() == 0 then
			n = n + 1
		end
	end
	return n
end

local function add_windows(tree, range, p)
	tree:add(F["ring.packed"], range(1, 1), p.packed)
	tree:add(F["ring.event_idx"], range(1, 1), has_bit(range(1, 1), 1))
	tree:add_le(F["ring.size"], range(16, 4))
	tree:add_le(F["ring.avail_idx"], range(2, 2))
	tree:add_le(F["ring.used_idx"], range(4, 2))
	tree:add_le(F["ring.avail_flags"], range(6, 2))
	tree:add_le(F["ring.used_event"], range(8, 2))
	tree:add_le(F["ring.used_flags"], range(10, 2))
	tree:add_le(F["ring.avail_event"], range(12, 2))
	tree:add_le(F["ring.missed"], range(14, 2))
	tree:add(F["ring.offered"], range(2, 4), n_offered(range, p)):set_generated()
	local ahead = (p.used_idx - p.avail_idx) % 65536
	if not p.packed and ahead > 0 and ahead < 0x8000 then
		tree:add_proto_expert_info(rule_broken,
			"the used index is ahead of the available index (VR-055)")
	end
end

-- record.head is the envelope's; returns the line.
local function add_picture(tree, range, record)
	local ring, cause = record.head(8, 4), record.head(12, 1)
	tree:add_le(F.ring, ring)
	tree:add(F["ring.cause"], cause)
	if range:len() < PICTURE_HEAD or range(0, 1):uint() ~= PICTURE_VERSION or
		not read_picture(range).is_whole then
		tree:add_proto_expert_info(broken, "a picture of another version, or cut")
		return "a picture that cannot be read"
	end
	local p = read_picture(range)
	local n = n_offered(range, p)
	add_windows(tree, range, p)
	for i = 0, p.n_chains - 1 do
		add_chain(tree, range, p, range(p.chains_at + i * PICTURE_CHAIN, PICTURE_CHAIN))
	end
	for i = 0, p.n_used - 1 do
		add_used(tree, range(p.used_at + i * PICTURE_USED, PICTURE_USED))
	end
	return string.format("ring %d: %s, %s", ring:le_uint(), CAUSES[cause:uint()] or "?",
		n == 0 and "no chain offered" or n == 1 and "1 chain offered" or
		n .. " chains offered")
end
