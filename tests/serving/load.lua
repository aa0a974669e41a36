-- Requests for wrk, in turn, and the check of each answer. load.py writes cases.lua beside it:
-- path, and cases: a list of {body =, length = of its JSON, answer =}; answer i has the id i.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  dofile(args[1])
  right, wrong, busy, other, turn = 0, 0, 0, 0, 0
  requests = {}
  for i, case in ipairs(cases) do
    requests[i] = wrk.format('POST', path, {['Inference-Header-Content-Length'] = case.length}, case.body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  if status == 200 then
    local id = tonumber(body:match('"id":"(%d+)"'))
    if id and cases[id].answer == body then right = right + 1 else wrong = wrong + 1 end
  elseif status == 503 and headers['retry-after'] then
    busy = busy + 1
  else
    other = other + 1
  end
end

function done(summary, latency)
  local totals = {right = 0, wrong = 0, busy = 0, other = 0}
  for name in pairs(totals) do
    for _, thread in ipairs(threads) do totals[name] = totals[name] + thread:get(name) end
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"right": %d, "wrong": %d, "busy": %d, "other": %d, "seconds": %f, "p50": %f, "p99": %f, '
    .. '"max": %f, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    totals.right, totals.wrong, totals.busy, totals.other, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect, errors.read, errors.write, errors.timeout))
end
