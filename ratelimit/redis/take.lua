-- Spends from all windows KEYS or from none. If there is one key more than there are windows, it remembers the take's name: if that
-- key exists, nothing is spent again.
-- Reply: the number of damaged windows. If nothing was spent because a window is full, also the index, from 0, of the window with
-- the longest delay, and that delay in microseconds.

local windows = #ARGV[1] / SETTINGS
local values = redis.call('MGET', unpack(KEYS))
if windows < #KEYS and values[#KEYS] then
  return {0}
end
local froms, befores, sums, resolutions = {}, {}, {}, {}
local refused, longest = nil, 0
for i = 1, windows do
  local limit, cost, length, resolution = settings(i)
  local value, from, before, sum = window(KEYS[i], values[i] or '', length, resolution)
  if sum + cost - before > limit then
    local delay = (ends(value, from, length, sum + cost - limit) or now + length) - now
    if delay > longest then
      refused, longest = i - 1, delay
    end
  end
  values[i], froms[i], befores[i], sums[i], resolutions[i] = value, from, before, sum + cost, resolution
end
if refused then
  return {damaged, refused, longest}
end
for i = 1, windows do
  spend(i, values[i], froms[i], befores[i], sums[i], resolutions[i])
end
if windows < #KEYS then
  redis.call('SET', KEYS[#KEYS], '', 'PX', 30000)
end
return {damaged}
