-- A window is a string of events, oldest first. An event is its time (7 bytes, microseconds of the server's clock) and the sum of
-- all tokens ever spent up to and including it (7 bytes). The spent tokens are the difference between the sums of the last event
-- and of the event before the first that still counts. An event of time 0 replaces events that were cut off. The key expires after
-- the last event.
--
-- ARGV[1] has for each window its limit (4 bytes), its cost (4), its length (8) and its resolution (8).
-- ARGV[1 + i] is the lifetime of the key of window i in milliseconds.
local EVENT, SETTINGS = 14, 24

-- No window is longer than MAX_VALUE bytes. What is longer is deleted. take.lua loads it once before: its MGET takes a third of the
-- time of as many GETRANGEs.
local MAX_VALUE = 65536

-- MAX_LIMIT is ratelimit.MaxLimit: no window has more spent tokens.
local MAX_LIMIT = 1000000000

-- A window of up to LONG bytes is rewritten completely. In a longer one only one event is written, and ended events are cut off
-- only when they take more than ENDED bytes, because building long strings is the largest cost of the scripts.
local LONG, ENDED = 40 * EVENT, 16 * EVENT

-- now is the server's time in microseconds. The prologue of each script sets it (internal/script).

-- settings returns the limit, the cost, the length and the resolution of a window.
local function settings(i)
  return struct.unpack('<I4I4I8I8', ARGV[1], (i - 1) * SETTINGS + 1)
end

-- read returns the position of the first event that still counts, the sum before it, and the sum of all events. It returns nothing
-- if the value is not a valid window.
local function read(value, length, resolution)
  local from, before = 1, 0
  if #value == 0 then
    return from, before, 0
  elseif #value % EVENT ~= 0 or #value > MAX_VALUE then
    return
  end
  local last, all = struct.unpack('<I7I7', value, #value - EVENT + 1)
  if last > now + length + resolution then
    return
  end
  while from < #value do
    local at, sum = struct.unpack('<I7I7', value, from)
    if at > last or sum < before or sum > all then
      return
    end
    if at + length > now then
      if all - before > MAX_LIMIT then
        return
      end
      return from, before, all
    end
    from, before = from + EVENT, sum
  end
  return from, before, all
end

-- damaged is the number of invalid windows. An invalid value might refuse all requests of an app, and nothing would replace it. So
-- it is deleted, and the window counts from zero, as if its key were lost.
local damaged = 0

-- window returns a window's value and the results of read. It deletes the key if the value is invalid.
local function window(key, value, length, resolution)
  local from, before, sum = read(value, length, resolution)
  if from then
    return value, from, before, sum
  end
  redis.call('DEL', key)
  damaged = damaged + 1
  return '', 1, 0, 0
end

-- get returns the string at a key, or '' if there is none. A value of another type is damaged and deleted. What is too long is not
-- read as a whole, because other commands would wait for that.
local function get(key)
  local value = redis.pcall('GETRANGE', key, 0, MAX_VALUE)
  if type(value) ~= 'table' then
    return value
  elseif string.find(value.err, 'WRONGTYPE', 1, true) ~= 1 then
    return redis.call('GETRANGE', key, 0, MAX_VALUE)
  end
  redis.call('DEL', key)
  damaged = damaged + 1
  return ''
end

-- ends returns the time at which the first event whose sum is at least spent stops counting; nothing if there is no such event.
local function ends(value, from, length, spent)
  while from < #value do
    local at, sum = struct.unpack('<I7I7', value, from)
    if sum >= spent then
      return at + length
    end
    from = from + EVENT
  end
end

-- spend adds an event with the given sum to the window i and returns the event's time, which is rounded up to a multiple of the
-- resolution. The events of the value from the position "from" on still count. If the time is not later than that of the last
-- event, the event replaces the last one, so that the events stay in order when the clock is set back.
local function spend(i, value, from, before, sum, resolution)
  local at, to = math.ceil(now / resolution) * resolution, #value
  if from < to then
    local last = struct.unpack('<I7', value, to - EVENT + 1)
    if at <= last then
      at, to = last, to - EVENT
    end
  end
  local event = struct.pack('<I7I7', at, sum)
  if to < LONG or from > ENDED then
    if from > 1 then
      event = struct.pack('<I7I7', 0, before) .. string.sub(value, from, to) .. event
    else
      event = string.sub(value, 1, to) .. event
    end
    redis.call('SET', KEYS[i], event, 'PX', ARGV[1 + i])
  else
    redis.call('SETRANGE', KEYS[i], to, event)
    redis.call('PEXPIRE', KEYS[i], ARGV[1 + i])
  end
  return at
end
