-- A window is one string: the sum of what its events spent (4 octets), then the events, the oldest first, each as its
-- time (8) and what it spent (4). Times are microseconds of this server's clock. The key leaves by itself when the last
-- event has; within the string the oldest ones are dropped when something is added.
local HEAD, EVENT = 4, 12

-- now is the server's time.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- read returns how much of a value still counts, and where its events that do begin.
local function read(value, length)
  if not value then
    return 0, HEAD + 1
  end
  local total, from = struct.unpack('<I4', value), HEAD + 1
  while from < #value do
    local at, spent = struct.unpack('<I8I4', value, from)
    if at + length > now then
      break
    end
    total, from = total - spent, from + EVENT
  end
  return total, from
end

-- wait returns after how many microseconds so much more than now is left, the value's events beginning at from; what will
-- never fit waits for the window's whole length.
local function wait(value, from, length, excess)
  while value and from < #value do
    local at, spent = struct.unpack('<I8I4', value, from)
    excess = excess - spent
    if excess <= 0 then
      return at + length - now
    end
    from = from + EVENT
  end
  return length
end

-- spend adds an event to what still counts. Its time is rounded up to a multiple of the grain; one that is not later than
-- the last event's counts as that, so that the events stay in order when the clock is set back. Returns the time.
local function spend(key, value, total, from, length, grain, cost)
  local at = math.ceil(now / grain) * grain
  local events, spent = '', cost
  if value and from < #value then
    local last, before = struct.unpack('<I8I4', value, #value - EVENT + 1)
    if at <= last then
      at, spent = last, cost + before
      events = string.sub(value, from, -EVENT - 1)
    else
      events = string.sub(value, from)
    end
  end
  redis.call('SET', key, struct.pack('<I4', total + cost) .. events .. struct.pack('<I8I4', at, spent),
    'PX', math.ceil((at - now + length) / 1000) + 1000)
  return at
end
