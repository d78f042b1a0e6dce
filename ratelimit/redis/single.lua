-- Spends from the window KEYS[1], or only looks at it.
-- ARGV[3]: 1 to spend, 0 to look.
-- Reply: how many windows were damaged; 1 if the cost does not fit, else 0; what counts now; when the next of it comes
-- back, which is now if nothing counts.

local limit, cost, length, grain = settings(1)
local value, from, before, sum = window(KEYS[1], get(KEYS[1]), length, grain)
local back = ends(value, from, length, 0)
if sum + cost - before > limit then
  return {damaged, 1, sum - before, back or now}
end
if ARGV[3] == '1' then
  sum = sum + cost
  local at = spend(1, value, from, before, sum, grain)
  back = back or at + length
end
return {damaged, 0, sum - before, back or now}
