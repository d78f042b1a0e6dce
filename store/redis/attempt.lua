-- Charges one try and compares the guesses: watchword.Store.Attempt, in the prescribed order.
--
-- KEYS: the entry; its budget, if it has one: the times of charges in µs, 8 bytes each, the newest first; stream and sorted set of
-- the queue that gets an element if the attempt ends the entry.
-- ARGV: 1 if the first try of an entry is free; the maximum number of repeats, if a repeat is charged instead of a try, or 0;
-- the number of limits; the number of elements that are queued if the attempt ends the entry, and these, see queueFrom; Max and Per
-- (µs) of each limit; then digest, state and mark of each guess.
-- Reply: a letter and, except after w and d, the entry's state, tries left, used and settled:
--   c closed   x expired   s spent   b budget, and the µs to wait   m mismatch   w matched or charged, and the whole entry
--   d damaged entry
-- An exclamation mark before the letter means that the budget was damaged and counts as empty.
local e, err = read(KEYS[1])
if not e then
	return err
end

local prefix = ''
local function refusal(letter)
	return prefix .. letter .. struct.pack('>BI4I4I2', e.state, e.tries, e.used, e.settled)
end

local repeats = tonumber(ARGV[2])
if e.state ~= 0 then
	return refusal('c')
elseif now >= e.expires then
	return refusal('x')
elseif repeats > 0 and e.repeats >= math.min(repeats, 255) or repeats == 0 and e.tries == 0 then
	return refusal('s')
end
if repeats > 0 then
	e.repeats, e.last = e.repeats + 1, now
	redis.call('SETRANGE', KEYS[1], 1, counters(e))
	return 'w' .. '\1' .. counters(e) .. string.sub(e.value, 22)
end

-- A limit refuses while its Max-th most recent charge is younger than Per. A charge in the future (after a failover from a
-- server whose clock was ahead) counts as one of now.
local ended = 5 + 3 * ARGV[4]
local guesses = ended + 2 * ARGV[3]
local budget = #KEYS % 2 == 0 and KEYS[2]
local wait, most, longest = 0, 1, 0
for i = ended, guesses - 2, 2 do
	most, longest = math.max(most, tonumber(ARGV[i])), math.max(longest, tonumber(ARGV[i + 1]))
end
local log = ''
if budget then
	log = get(budget)
	if log == false then
		log = ''
	elseif not log or #log % 8 ~= 0 or #log > 0 and struct.unpack('>I8', log) > now + longest then
		log, prefix = '', '!'
	end
end
for i = ended, guesses - 2, 2 do
	local max, per = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
	if max <= 0 then
		wait = math.max(wait, per)
	elseif #log >= 8 * max then
		local charged = struct.unpack('>I8', log, 8 * max - 7)
		wait = math.max(wait, per - math.max(now - charged, 0))
	end
end
if wait > 0 and not (ARGV[1] == '1' and e.used == 0) then
	return refusal('b') .. struct.pack('>I8', wait)
end

local all, expected = digests(e), digestSet(e)
if not expected then
	return 'd'
end

-- The guesses, in order. Digests are keyed, so the time of the comparison reveals nothing. An empty digest matches nothing.
local hit
for i = guesses, #ARGV, 3 do
	if not hit and ARGV[i] ~= '' and expected[ARGV[i]] then
		hit, e.state = i, tonumber(ARGV[i + 1])
	end
end
e.tries, e.used, e.last = e.tries - 1, e.used + 1, now
if not hit and #all > 0 and e.tries == 0 then
	e.state = 2
end

-- Nothing has been written so far. From here on only the first write can fail. First the charge, which an approval would clear:
-- the log keeps as many times as the largest limit needs, for as long as the longest window.
if longest > 0 and e.state ~= 1 then
	log = struct.pack('>I8', now) .. string.sub(log, 1, 8 * (most - 1))
	redis.call('SET', budget, log, 'PX', math.ceil(longest / 1000))
end
if e.state ~= 0 then
	queueFrom(5, ended - 1)
end
if hit then
	local value = write(KEYS[1], e, ARGV[hit + 2], all, sealed(e))
	if e.state == 1 and budget then
		redis.call('DEL', budget)
	end
	return prefix .. 'w' .. value
end
redis.call('SETRANGE', KEYS[1], 1, counters(e))
if #all == 0 then
	return prefix .. 'w' .. '\1' .. counters(e) .. string.sub(e.value, 22)
end
return refusal('m')
