-- Spends from the windows KEYS, all of them or none.
-- ARGV: for each window its limit, its length and its grain in microseconds, and what it costs.
-- Reply: nothing when all were spent; else which window makes one wait longest, counted from 0, and for how long.

local values = redis.call('MGET', unpack(KEYS))
local totals, froms = {}, {}
local refused, longest = nil, 0
for i = 1, #KEYS do
  local limit, length, cost = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i])
  totals[i], froms[i] = read(values[i], length)
  local excess = totals[i] + cost - limit
  if excess > 0 then
    local w = wait(values[i], froms[i], length, excess)
    if w > longest then
      refused, longest = i - 1, w
    end
  end
end
if refused then
  return {refused, longest}
end
for i = 1, #KEYS do
  spend(KEYS[i], values[i], totals[i], froms[i], tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]))
end
return {}
