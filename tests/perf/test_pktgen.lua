-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 The sallyport authors
--
-- usage: lua test_pktgen.lua SOURCE-DIRECTORY
--
-- The scripts for Pktgen-DPDK against a mock of its API: they call what exists, with arguments that it
-- takes, and find a gateway's rate.
local top = arg[1]
package.path = top .. "/perf/pktgen/?.lua;" .. top .. "/tests/perf/?.lua;" .. package.path
local mock, sallyport = require("pktgen_mock"), require("sallyport")
local out = os.tmpname()

local function fields(line)
	local f = {}
	for v in (line .. ","):gmatch("([^,]*),") do
		f[#f + 1] = v
	end
	return f
end

local function config(more)
	local c = { title = "t", mac = "02:00:00:00:00:01", own = { "10.99.0.5/24", "10.98.0.5/24" },
		src = "10.2.0.1", dst = "10.1.0.1", tunnels = 1000, file = out, sizes = { 64 }, seconds = 1 }
	for k, v in pairs(more or {}) do
		c[k] = v
	end
	return c
end

local function near(x, want, tolerance)
	assert(x and math.abs(x - want) <= tolerance * want, tostring(x) .. " is not near " .. want)
end

local cases = {}

local function case(name, f)
	cases[#cases + 1] = { name, f }
end

case("finds the rate of a slow gateway", function()
	for _, mpps in ipairs({ 0.2, 1, 5, 9 }) do
		mock.install({ capacity = mpps * 1e6 })
		local ndr = fields(sallyport.run(config())[2])
		near(tonumber(ndr[6]), mpps, mpps < 1 and 0.2 or 0.03)
		assert(tonumber(ndr[6]) <= mpps and ndr[3] == "NDR" and ndr[8] == "gateway")
	end
end)

case("PDR is above NDR by its loss", function()
	mock.install({ capacity = 4e6 })
	local lines = sallyport.run(config({ precision = 0.01, steps = 30 }))
	local ndr, pdr = tonumber(fields(lines[2])[5]), tonumber(fields(lines[3])[5])
	assert(pdr > ndr and pdr < ndr * 1.01, ndr .. " " .. pdr)
end)

case("a link that the gateway fills is one trial", function()
	mock.install({ capacity = 1e9 })
	local f = fields(sallyport.run(config({ sizes = { 1420 } }))[2])
	near(tonumber(f[5]), 100, 0)
	-- 10 Gbit/s of frames of 1,438 and 20 bytes; counted are 1,420.
	near(tonumber(f[7]), 10 * 1420 / 1458, 0.001)
end)

case("the gateway's own packets are no gain", function()
	mock.install({ capacity = 1e6, foreign = 3 })
	local t = fields(sallyport.run(config({ losses = { { name = "NDR", per_cent = 0 } } }))[2])
	near(tonumber(t[6]), 1, 0.03)
end)

case("a generator that is too slow is named", function()
	mock.install({ capacity = 1e9, generator = 1e6 })
	assert(fields(sallyport.run(config())[2])[8] == "generator")
end)

case("nothing comes through", function()
	mock.install({ capacity = 0 })
	local f = fields(sallyport.run(config())[2])
	assert(f[5] == "" and f[6] == "")
end)

case("addresses of all tunnels, frames with Ethernet", function()
	local state = mock.install()
	sallyport.run(config({ dst = "10.1.255.1", tunnels = 60000, sizes = { 40, 1420 } }))
	local r = state[0].range
	assert(r.dst_ip.start == "10.1.255.1" and r.dst_ip.min == "10.1.255.1")
	assert(r.dst_ip.max == "10.2.233.96" and r.dst_ip.inc == "0.0.0.1")
	assert(r.src_ip.inc == "0.0.0.1" and r.src_ip.start == "10.2.0.1" and r.src_ip.max == "10.2.234.96")
	assert(r.pkt_size.start == 1438 and state[0].size == 1438 and r.dst_mac.start)
end)

case("mistakes are named", function()
	mock.install()
	for _, k in ipairs({ "src", "dst", "mac", "title", "tunnels", "own" }) do
		local c = config()
		c[k] = nil
		local ok, why = pcall(sallyport.run, c)
		assert(not ok and why:find(k, 1, true), why)
	end
	assert(not pcall(sallyport.run, config({ dst = "10.1.0" })))
	mock.install({ speed = 0 })
	local ok, why = pcall(sallyport.run, config())
	assert(not ok and why:find("no link", 1, true), why)
end)

for _, name in ipairs({ "encrypt", "decrypt" }) do
	case(name .. ".lua runs as it is", function()
		local state = mock.install({ capacity = 2e6 })
		local real = sallyport.run
		sallyport.run = function(c)
			assert(c.title == name)
			c.file, c.seconds, c.sizes = out, 1, { 64, 1420 }
			return real(c)
		end
		dofile(top .. "/perf/pktgen/" .. name .. ".lua")
		sallyport.run = real
		assert(state[0].range.dst_ip.max == "10.1.3.232")
		local f = assert(io.open(out))
		local text = f:read("a")
		f:close()
		assert(select(2, text:gsub("\n", "")) == 5 and text:find(name .. ",1420,PDR", 1, true), text)
	end)
end

case("the mock refuses what Pktgen would", function()
	mock.install()
	assert(not pcall(function() pktgen.nonsense("0") end))
	assert(not pcall(pktgen.set, 0, "rate", 10))
	assert(not pcall(pktgen.set, "0", "rate", 101))
	assert(not pcall(pktgen.range.dst_ip, "0", "first", "10.0.0.1"))
	assert(not pcall(pktgen.range.dst_ip, "0", "max", "10.0.0.256"))
end)

local failed = 0
local say, print_ = io.write, print
print = function() end
say("1.." .. #cases .. "\n")
for n, c in ipairs(cases) do
	local ok, why = pcall(c[2])
	failed = failed + (ok and 0 or 1)
	say(ok and "" or "# " .. tostring(why) .. "\n", ok and "ok " or "not ok ", n, " - ", c[1], "\n")
end
print = print_
os.remove(out)
os.exit(failed == 0)
