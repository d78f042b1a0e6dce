-- Spends from the windows KEYS, all of them or none. One key more than there are windows remembers that it was done:
-- then nothing is spent again.
-- Reply: how many windows were damaged; and unless all were spent, which window makes one wait longest, counted from 0, and
-- for how long.

local windows = #ARGV[1] / SETTINGS
local values = redis.call('MGET', unpack(KEYS))
if windows < #KEYS and values[#KEYS] then
  return {0}
end
local froms, befores, sums, grains = {}, {}, {}, {}
local refused, longest = nil, 0
for i = 1, windows do
  local limit, cost, length, grain = settings(i)
  local value, from, before, sum = window(KEYS[i], values[i] or '', length, grain)
  if sum + cost - before > limit then
    local w = (ends(value, from, length, sum + cost - limit) or now + length) - now
    if w > longest then
      refused, longest = i - 1, w
    end
  end
  values[i], froms[i], befores[i], sums[i], grains[i] = value, from, before, sum + cost, grain
end
if refused then
  return {damaged, refused, longest}
end
for i = 1, windows do
  spend(i, values[i], froms[i], befores[i], sums[i], grains[i])
end
if windows < #KEYS then
  redis.call('SET', KEYS[#KEYS], '', 'PX', 30000)
end
return {damaged}
