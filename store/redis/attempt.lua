-- Charges one try and compares the guesses: watchword.Store.Attempt, in the prescribed order.
--
-- KEYS: the entry; its budget, if it has one: the times of charges in µs, 8 bytes each, the newest first; stream and sorted set of
-- the queue that gets an element if the attempt ends the entry.
-- ARGV: the plan, see encodePlan; the longest Per in ms; the elements that are queued if the attempt ends the entry, see queueFrom;
-- then digest, state and mark of each guess.
-- Reply: a letter and, except after w and d, the entry's state, tries left, used and settled:
--   c closed   x expired   s spent   b budget, and the µs to wait   m mismatch   w matched or charged, and the whole entry
--   d damaged entry
-- An exclamation mark before the letter means that the budget was damaged and counts as empty.
local PLAN_HEAD = 15 -- bytes before the limits

local e, err = read(KEYS[1])
if not e then
	return err
end

local firstFree, maxRepeats, queued, most, longest = struct.unpack('>BBBI4I8', ARGV[1])
local prefix = ''
local function refusal(letter)
	return prefix .. letter .. struct.pack('>BI4I4I2', e.state, e.tries, e.used, e.settled)
end

if e.state ~= 0 then
	return refusal('c')
elseif now >= e.expires then
	return refusal('x')
elseif maxRepeats > 0 and e.repeats >= maxRepeats or maxRepeats == 0 and e.tries == 0 then
	return refusal('s')
end

-- charged writes the counters and replies with the whole entry.
local function charged()
	local changed = counters(e)
	redis.call('SETRANGE', KEYS[1], '1', changed)
	return prefix .. 'w\1' .. changed, string.sub(e.value, 22)
end
if maxRepeats > 0 then
	e.repeats, e.last = e.repeats + 1, now
	return charged()
end

-- A limit refuses while its Max-th most recent charge is younger than Per. A charge in the future (after a failover from a
-- server whose clock was ahead) counts as one of now.
local budget = #KEYS % 2 == 0 and KEYS[2]
local wait, log = 0, ''
if budget then
	log = get(budget)
	if log == false then
		log = ''
	elseif not log or #log % 8 ~= 0 or #log > 0 and struct.unpack('>I8', log) > now + longest then
		log, prefix = '', '!'
	end
end
for at = PLAN_HEAD + 1, #ARGV[1], 12 do
	local max, per = struct.unpack('>I4I8', ARGV[1], at)
	if max == 0 then
		wait = math.max(wait, per)
	elseif #log >= 8 * max then
		local charge = struct.unpack('>I8', log, 8 * max - 7)
		wait = math.max(wait, per - math.max(now - charge, 0))
	end
end
if wait > 0 and not (firstFree == 1 and e.used == 0) then
	return refusal('b') .. struct.pack('>I8', wait)
end

local all, expected = digests(e), digestSet(e)
if not expected then
	return 'd'
end

-- The guesses, in order. Digests are keyed, so the time of the comparison reveals nothing. An empty digest matches nothing.
local hit
for i = 3 + 3 * queued, #ARGV, 3 do
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
	redis.call('SET', budget, log, 'PX', ARGV[2])
end
if e.state ~= 0 then
	queueFrom(3, 2 + 3 * queued)
end
if hit then
	local value = write(KEYS[1], e, ARGV[hit + 2], all, sealed(e))
	if e.state == 1 and budget and (#log > 0 or prefix ~= '') then
		redis.call('DEL', budget)
	end
	return prefix .. 'w', value
end
if #all == 0 then
	return charged()
end
redis.call('SETRANGE', KEYS[1], '1', counters(e))
return refusal('m')
