-- Spends from the window KEYS[1], or only looks at it.
-- ARGV: its limit, its length and its grain in microseconds, what it costs, and 1 to spend that.
-- Reply: 1 if it does not fit, else 0; what counts now; when the next of it comes back, which is now if nothing counts.

local limit, length, grain, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local value = redis.call('GET', KEYS[1])
local total, from = read(value, length)
local back = now
if value and from < #value then
  back = struct.unpack('<I8', value, from) + length
end
if total + cost > limit then
  return {1, total, back}
end
if ARGV[5] == '1' then
  local at = spend(KEYS[1], value, total, from, length, grain, cost)
  if total == 0 then
    back = at + length
  end
  total = total + cost
end
return {0, total, back}
