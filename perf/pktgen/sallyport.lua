-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 The sallyport authors
--
-- Throughput of gateways by RFC 2544 with Pktgen-DPDK: what encrypt.lua and decrypt.lua have in common.
-- Both send clear packets; README.md says what stands between the two ports.
--
-- Pktgen's sizes are of Ethernet frames with their checksum (FCS): an inner IP packet and 18 bytes.

local M = {}

local ETHERNET = 18
local MINIMUM = 64      -- of a frame
local OVERHEAD = 20     -- preamble and gap, bytes
local IMPOSSIBLE = 0.98 -- of what was asked for: less, and it is the generator that does not keep up

local function defaults(config)
	local c = {
		send = "0", receive = "1", -- Pktgen's ports
		sizes = { 64, 128, 256, 512, 1024, 1420 }, -- of inner IP packets, bytes
		seconds = 20, -- of a trial
		settle_ms = 2000, -- for packets that are still under way
		warm_ms = 1000, -- of traffic before the first trial of a size: ARP, caches
		steps = 12, -- of the search, at most
		precision = 0.25, -- per cent of the link's rate
		losses = { { name = "NDR", per_cent = 0 }, { name = "PDR", per_cent = 0.5 } },
		rate = 100, -- per cent where the search begins
		port = { 1024, 1024 + 63 }, -- UDP source ports, first and last
		file = "results.csv",
	}
	for k, v in pairs(config) do
		c[k] = v
	end
	for _, k in ipairs({ "src", "dst", "tunnels", "own", "mac", "title" }) do
		if c[k] == nil then
			error("sallyport.lua: " .. k .. " is not set", 2)
		end
	end
	return c
end

local function number_of(address)
	local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
	if not a then
		error("not an IPv4 address: " .. tostring(address), 2)
	end
	return ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

local function text_of(n)
	return string.format("%d.%d.%d.%d", n // 16777216, n // 65536 % 256, n // 256 % 256, n % 256)
end

-- One address after the other, of source and destination in step: so each packet is another tunnel's.
local function addresses(set, port, first, count)
	set(port, "start", first)
	set(port, "min", first)
	set(port, "max", text_of(number_of(first) + count - 1))
	set(port, "inc", count > 1 and "0.0.0.1" or "0.0.0.0")
end

local function numbers(set, port, first, last)
	set(port, "start", first)
	set(port, "min", first)
	set(port, "max", last)
	set(port, "inc", last > first and 1 or 0)
end

local function set_up(c)
	pktgen.screen("off")
	pktgen.stop("all")
	pktgen.reset("all")
	pktgen.set(c.send, "burst", 32)
	pktgen.set_type(c.send, "ipv4")
	pktgen.set_proto(c.send, "udp")
	pktgen.set_mac(c.send, "dst", c.mac)
	-- Each answers ARP for its own address.
	pktgen.set_ipaddr(c.send, "src", c.own[1])
	pktgen.set_ipaddr(c.receive, "src", c.own[2])
	pktgen.process(c.send .. "," .. c.receive, "on")
	pktgen.range.dst_mac(c.send, "start", c.mac)
	pktgen.range.ip_proto(c.send, "udp")
	addresses(pktgen.range.src_ip, c.send, c.src, c.tunnels)
	addresses(pktgen.range.dst_ip, c.send, c.dst, c.tunnels)
	numbers(pktgen.range.src_port, c.send, c.port[1], c.port[2])
	numbers(pktgen.range.dst_port, c.send, 9, 9) -- discard
	numbers(pktgen.range.ttl, c.send, 64, 64)
	pktgen.set_range(c.send, "on")
end

-- Mbit/s, from "<UP-10000-FD>".
local function link_speed(port)
	local speed = tostring(pktgen.linkState(port)[tonumber(port)]):match("UP%-(%d+)")
	if not speed then
		error("port " .. port .. " has no link")
	end
	return tonumber(speed)
end

local function counted(port)
	return pktgen.portStats(port, "port")[tonumber(port)]
end

local function frame_of(size)
	return math.max(size + ETHERNET, MINIMUM)
end

-- Packets a second at that per cent of the link.
local function pps_of(c, size, rate)
	return link_speed(c.send) * 1e6 * rate / 100 / ((frame_of(size) + OVERHEAD) * 8)
end

local function set_size(c, size)
	local frame = frame_of(size)
	pktgen.set(c.send, "size", frame)
	numbers(pktgen.range.pkt_size, c.send, frame, frame)
end

local function warm(c)
	pktgen.set(c.send, "rate", 1)
	pktgen.set(c.send, "count", 0)
	pktgen.start(c.send)
	pktgen.delay(c.warm_ms)
	pktgen.stop(c.send)
	pktgen.delay(c.settle_ms)
end

-- One trial: a fixed number of packets, all of which have time to come.
local function trial(c, size, rate)
	local want = math.floor(pps_of(c, size, rate) * c.seconds)
	pktgen.clr()
	pktgen.set(c.send, "rate", rate)
	pktgen.set(c.send, "count", want)
	pktgen.start(c.send)
	pktgen.delay(c.seconds * 1000)
	local in_time = counted(c.send).opackets
	pktgen.delay(c.settle_ms)
	pktgen.stop(c.send)
	local sent, got = counted(c.send).opackets, counted(c.receive).ipackets
	local t = {
		rate = rate, sent = sent, received = got,
		-- More may come than was sent: the gateway's own ARP.
		loss = sent > 0 and math.max(0, sent - got) / sent * 100 or 100,
		pps = got / c.seconds,
		slow = in_time < want * IMPOSSIBLE,
	}
	print(string.format("# %s: %d bytes at %.2f %%: %d sent, %d received, %.4f %% lost%s", c.title, size,
		rate, sent, got, t.loss, t.slow and ", the generator is too slow" or ""))
	return t
end

-- Highest rate with no more than that loss, by halving; NIL: not even at the lowest.
function M.search(run, c, per_cent)
	local low, high, rate, best = 0, c.rate, c.rate, nil
	for _ = 1, c.steps do
		local t = run(rate)
		if t.loss <= per_cent then
			best, low = t, rate
		else
			high = rate
		end
		if low >= c.rate or high - low <= c.precision then
			break
		end
		rate = (low + high) / 2
	end
	return best
end

local function line_of(c, size, loss, t)
	if not t then
		return string.format("%s,%d,%s,%g,,,,", c.title, size, loss.name, loss.per_cent)
	end
	return string.format("%s,%d,%s,%g,%.3f,%.4f,%.4f,%s", c.title, size, loss.name, loss.per_cent, t.rate,
		t.pps / 1e6, t.pps * size * 8 / 1e9, t.slow and "generator" or "gateway")
end

-- All sizes and losses. Returns the lines that were written to the file.
function M.run(config)
	local c = defaults(config)
	local lines = { "title,size,what,loss_per_cent,rate_per_cent,mpps,gbps_inner,limit" }
	set_up(c)
	for _, size in ipairs(c.sizes) do
		set_size(c, size)
		warm(c)
		for _, loss in ipairs(c.losses) do
			local best = M.search(function(rate)
				return trial(c, size, rate)
			end, c, loss.per_cent)
			lines[#lines + 1] = line_of(c, size, loss, best)
		end
	end
	pktgen.set_range(c.send, "off")
	local file = assert(io.open(c.file, "w"))
	file:write(table.concat(lines, "\n"), "\n")
	file:close()
	print(table.concat(lines, "\n"))
	return lines
end

return M
