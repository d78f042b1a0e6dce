-- Refunds what take.lua spent from the windows KEYS, if the last key, of the take's name, exists. It removes the latest tokens of
-- each window, as many as the cost.
-- Reply: the number of damaged windows.

if redis.call('DEL', KEYS[#KEYS]) == 0 then
  return {0}
end
for i = 1, #KEYS - 1 do
  local _, cost, length, resolution = settings(i)
  local value, from, before, sum = window(KEYS[i], get(KEYS[i]), length, resolution)
  local left = math.max(sum - cost, before)
  local to = #value - EVENT + 1
  while to >= from do
    local at, spent = struct.unpack('<I7I7', value, to)
    if spent <= left then
      break
    end
    redis.call('SETRANGE', KEYS[i], to - 1, struct.pack('<I7I7', at, left))
    to = to - EVENT
  end
end
return {damaged}
