-- Gives back what take.lua spent from the windows KEYS, if the last key remembers it: the latest tokens of each window, as
-- many as it costs.
-- Reply: nothing.

if redis.call('DEL', KEYS[#KEYS]) == 0 then
  return {}
end
for i = 1, #KEYS - 1 do
  local _, cost, length = settings(i)
  local value = redis.call('GET', KEYS[i]) or ''
  local from, before, sum = read(value, length)
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
return {}
