-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 The sallyport authors
--
-- Decryption: port 0 is at the inside of gateway A, port 1 at that of gateway B, and their outsides are
-- connected. The bottleneck is B, which has one worker; A has more (gateways.sh decrypt ...).
-- In Pktgen: load decrypt.lua
package.path = (os.getenv("SALLYPORT_PKTGEN") or ".") .. "/?.lua;" .. package.path

require("sallyport").run({
	title = "decrypt",
	send = "0", receive = "1",
	mac = os.getenv("GATEWAY_MAC") or "02:00:00:00:0a:02", -- A's inside port
	own = { "10.99.0.5/24", "10.98.0.5/24" }, -- Pktgen's, at A and at B
	src = "10.2.0.1", dst = "10.1.0.1", -- of the first tunnel
	tunnels = tonumber(os.getenv("TUNNELS") or "1000"),
	file = os.getenv("RESULTS") or "decrypt.csv",
})
