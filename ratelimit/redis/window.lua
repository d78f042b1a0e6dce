-- A window is one string: its events, the oldest first, each as its time (7 octets, microseconds of this server's clock)
-- and what was ever spent up to it (7). What counts is the difference between the last event and the one before the first
-- that still counts. Where events were cut off, one of time 0 stands for them. The key leaves by itself after the last.
--
-- ARGV[1] is, for each window: its limit (4), what it costs (4), its length (8) and its grain (8).
-- ARGV[1 + i] is for how many milliseconds window i is kept.
local EVENT, SETTINGS = 14, 24

-- MOST is the largest limit that a rule may have (ratelimit.MaxLimit): no window counts more.
local MOST = 1000000000

-- A short window is written whole. In a long one a single event is written, and those that count no more are only cut off
-- when there are some of them: building long strings is what a script spends its time with.
local LONG, DEAD = 40 * EVENT, 16 * EVENT

-- now is the server's time, from what each script begins with (internal/script).

-- settings returns the limit, the cost, the length and the grain of a window.
local function settings(i)
  return struct.unpack('<I4I4I8I8', ARGV[1], (i - 1) * SETTINGS + 1)
end

-- read returns where the events of a value begin that still count, what was spent before them, and what by all; nothing if
-- the value cannot be a window.
local function read(value, length, grain)
  local from, before = 1, 0
  if #value == 0 then
    return from, before, 0
  elseif #value % EVENT ~= 0 then
    return
  end
  local last, all = struct.unpack('<I7I7', value, #value - EVENT + 1)
  if last > now + length + grain then
    return
  end
  while from < #value do
    local at, sum = struct.unpack('<I7I7', value, from)
    if at > last or sum < before or sum > all then
      return
    end
    if at + length > now then
      if all - before > MOST then
        return
      end
      return from, before, all
    end
    from, before = from + EVENT, sum
  end
  return from, before, all
end

-- damaged is how many windows were. Whatever stands there may shut out a whole app, and nobody would write it anew, so it is
-- removed, and the window counts from nothing as if its key were lost.
local damaged = 0

-- window returns the value under a key, and what read says of it.
local function window(key, value, length, grain)
  local from, before, sum = read(value, length, grain)
  if from then
    return value, from, before, sum
  end
  redis.call('DEL', key)
  damaged = damaged + 1
  return '', 1, 0, 0
end

-- get returns the string under a key, empty if there is none. What is no string at all is damaged.
local function get(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'table' then
    return value or ''
  elseif string.find(value.err, 'WRONGTYPE', 1, true) ~= 1 then
    return redis.call('GET', key)
  end
  redis.call('DEL', key)
  damaged = damaged + 1
  return ''
end

-- ends returns when the first event from there on stops to count up to which so much was spent; nothing if there is none.
local function ends(value, from, length, spent)
  while from < #value do
    local at, sum = struct.unpack('<I7I7', value, from)
    if sum >= spent then
      return at + length
    end
    from = from + EVENT
  end
end

-- spend adds an event to a value whose events from there on count. Its time is rounded up to a multiple of the grain; one
-- that is not later than the last event's counts as that, so that the events stay in order when the clock is set back.
-- Returns the time.
local function spend(i, value, from, before, sum, grain)
  local at, to = math.ceil(now / grain) * grain, #value
  if from < to then
    local last = struct.unpack('<I7', value, to - EVENT + 1)
    if at <= last then
      at, to = last, to - EVENT
    end
  end
  local event = struct.pack('<I7I7', at, sum)
  if to < LONG or from > DEAD then
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
