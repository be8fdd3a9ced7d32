-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 The sallyport authors
--
-- What perf/pktgen uses of Pktgen's Lua API, with the arguments that it takes: a port list as text, the
-- words that it knows, addresses as text. Anything else is an error, as is a call that does not exist.
-- Behind the ports is a gateway that passes so many packets a second.
local M = { capacity = 1e6, speed = 10000, generator = 1e9, foreign = 0 }
local state, calls

local function fail(what)
	error("pktgen mock: " .. what, 3)
end

local function ports(list)
	if type(list) ~= "string" then
		fail("a port list is text")
	end
	if list == "all" then
		return { 0, 1 }
	end
	local out = {}
	for p in list:gmatch("[^,]+") do
		local n = tonumber(p)
		if n ~= 0 and n ~= 1 then
			fail("no port " .. p)
		end
		out[#out + 1] = n
	end
	return out
end

local function one_of(word, words)
	if not (" " .. words .. " "):find(" " .. tostring(word) .. " ", 1, true) then
		fail(tostring(word) .. " is none of: " .. words)
	end
end

local function ipv4(text)
	if type(text) ~= "string" or not text:match("^%d+%.%d+%.%d+%.%d+$") then
		fail("no IPv4 address: " .. tostring(text))
	end
	for n in text:gmatch("%d+") do
		if tonumber(n) > 255 then
			fail("no IPv4 address: " .. text)
		end
	end
end

local function mac(text)
	if type(text) ~= "string" or not text:match("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$") then
		fail("no MAC address: " .. tostring(text))
	end
end

local function integer(n)
	if math.type(n) ~= "integer" then
		fail("no integer: " .. tostring(n))
	end
end

-- A range entry: (ports, "start" | "min" | "max" | "inc", value).
local function range(name, check)
	return function(list, word, value, more)
		one_of(word, "start min max inc")
		check(value)
		if more ~= nil then
			fail(name .. ": too many arguments")
		end
		for _, p in ipairs(ports(list)) do
			state[p].range[name] = state[p].range[name] or {}
			state[p].range[name][word] = value
		end
	end
end

local api = {
	range = {
		dst_ip = range("dst_ip", ipv4), src_ip = range("src_ip", ipv4),
		dst_mac = range("dst_mac", mac), src_mac = range("src_mac", mac),
		dst_port = range("dst_port", integer), src_port = range("src_port", integer),
		ttl = range("ttl", integer), pkt_size = range("pkt_size", integer),
		ip_proto = function(list, word)
			ports(list)
			one_of(word, "udp tcp icmp")
		end,
	},
}

function api.screen(word)
	one_of(word, "on off")
end

function api.reset(list)
	for _, p in ipairs(ports(list)) do
		state[p] = { range = {}, rate = 100, size = 64, count = 0, ipackets = 0, opackets = 0 }
	end
end

function api.clr()
	for _, s in pairs(state) do
		s.ipackets, s.opackets = 0, 0
	end
end

function api.set(list, word, value)
	one_of(word, "count size rate burst sport dport ttl")
	if word ~= "rate" then
		integer(value)
	elseif type(value) ~= "number" or value <= 0 or value > 100 then
		fail("rate " .. tostring(value))
	end
	for _, p in ipairs(ports(list)) do
		state[p][word] = value
	end
end

function api.set_mac(list, word, value)
	one_of(word, "dst src")
	ports(list)
	mac(value)
end

-- The source has its network's prefix length.
function api.set_ipaddr(list, word, value)
	one_of(word, "dst src")
	ports(list)
	local address, bits = tostring(value):match("^([^/]*)/?(%d*)$")
	ipv4(address)
	if (word == "src") ~= (bits ~= "") then
		fail(word .. " address " .. tostring(value))
	end
end

function api.set_type(list, word)
	one_of(word, "ipv4 ipv6 vlan arp")
	ports(list)
end

function api.set_proto(list, word)
	one_of(word, "udp tcp icmp")
	ports(list)
end

function api.set_range(list, word)
	one_of(word, "on off")
	for _, p in ipairs(ports(list)) do
		state[p].ranged = word == "on"
	end
end

function api.process(list, word)
	one_of(word, "on off")
	ports(list)
end

function api.start(list)
	for _, p in ipairs(ports(list)) do
		state[p].running = true
	end
end

function api.stop(list)
	for _, p in ipairs(ports(list)) do
		state[p].running = false
	end
end

-- Time passes only here.
function api.delay(ms)
	local s, other = state[0], state[1]
	if not s.running then
		return
	end
	if not s.ranged then
		fail("traffic without a range: one packet for all tunnels")
	end
	local pps = math.min(M.generator, M.speed * 1e6 * s.rate / 100 / ((s.size + 20) * 8))
	local n = math.floor(pps * ms / 1000 + 0.5)
	if s.count > 0 then
		n = math.min(n, s.count - s.opackets)
	end
	s.opackets = s.opackets + n
	other.ipackets = other.ipackets + math.floor(math.min(n, M.capacity * ms / 1000)) + M.foreign
	calls.frame = s.size
end

function api.linkState(list)
	local out = { n = 0 }
	for _, p in ipairs(ports(list)) do
		out[p] = M.speed > 0 and string.format("<UP-%d-FD>", M.speed) or "<--Down-->"
		out.n = out.n + 1
	end
	return out
end

function api.portStats(list, kind)
	one_of(kind, "port rate")
	local out = { n = 0 }
	for _, p in ipairs(ports(list)) do
		out[p] = { ipackets = state[p].ipackets, opackets = state[p].opackets }
		out.n = out.n + 1
	end
	return out
end

function M.install(settings)
	M.capacity, M.speed, M.generator, M.foreign = 1e6, 10000, 1e9, 0
	for k, v in pairs(settings or {}) do
		M[k] = v
	end
	state, calls = {}, {}
	api.reset("all")
	pktgen = setmetatable(api, {
		__index = function(_, name)
			fail("Pktgen has no " .. tostring(name))
		end,
	})
	return state
end

return M
