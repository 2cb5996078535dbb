-- A small JSON tool call. Its id is always the one that the fixed answer names (processes.py), else nothing answers it.
-- The session id comes from the environment.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
local session = os.getenv("BENCH_SESSION")
if session then
  wrk.headers["Mcp-Session-Id"] = session
  wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
end
local size = tonumber(os.getenv("BENCH_BODY") or "0")
local pad = size > 0 and (',"pad":"' .. string.rep("x", size) .. '"') or ""
local sessions = tonumber(os.getenv("BENCH_SESSIONS") or "0")
local rate = tonumber(os.getenv("BENCH_RATE") or "0") -- requests a second, whatever the answers do; 0: as fast as they come
if rate > 0 then
  local ffi = require("ffi")
  ffi.cdef("typedef struct { long s, ns; } moment; int clock_gettime(int, moment *);")
  local at, began, slot = ffi.new("moment[1]"), nil, 0
  function delay()
    ffi.C.clock_gettime(1, at)
    local now = tonumber(at[0].s) * 1000 + tonumber(at[0].ns) / 1e6
    began, slot = began or now, slot + 1
    return math.max(0, math.floor(began + slot * 1000 / rate - now))
  end
end
local sent = 0
function request()
  sent = sent + 1
  if sessions > 0 then wrk.headers["Mcp-Session-Id"] = string.format("session-%08d", sent % sessions) end
  return wrk.format(nil, "/mcp", nil,
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2' .. pad .. '}}}')
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %.1f %.1f %.1f\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.mean))
end
