-- Spends from the window KEYS[1], or only reads it.
-- ARGV[3]: 1 to spend, 0 to read.
-- Reply: the number of damaged windows; 1 if the cost does not fit, else 0; the tokens that are spent; the time at which the next
-- token becomes available, the current time if none is spent.

local limit, cost, length, resolution = settings(1)
local value, from, before, sum = window(KEYS[1], get(KEYS[1]), length, resolution)
local back = ends(value, from, length, 0)
if sum + cost - before > limit then
  return {damaged, 1, sum - before, back or now}
end
if ARGV[3] == '1' then
  sum = sum + cost
  local at = spend(1, value, from, before, sum, resolution)
  back = back or at + length
end
return {damaged, 0, sum - before, back or now}
