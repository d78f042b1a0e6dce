-- Functions for the scripts that queue messages, and for those of the outbox. A queue has three keys in each partition:
-- a stream of the elements that are due, with the consumer group w and one field m each; a sorted set of the elements that are due
-- later, by the time in ms; and a list of dead letters. An element is kind|send|attempt|challenge; in the queue of an endpoint for
-- events, |seconds since 1970|attempt|encrypted event.
--
-- Another program may have written anything under these keys. A value of another type, and a stream that takes no more entries, is
-- removed and made again.

-- force runs a command that writes to a key. If the value is damaged, it removes the value and runs the command again.
local function force(verb, key, ...)
	local reply = redis.pcall(verb, key, ...)
	if type(reply) ~= 'table' or not reply.err then
		return reply
	end
	if string.find(reply.err, 'WRONGTYPE', 1, true) or string.find(reply.err, 'exhausted', 1, true) then
		redis.call('DEL', key)
	end
	return redis.call(verb, key, ...)
end

-- queue adds an element that is due after a delay in ms.
local function queue(stream, due, delay, element)
	if tonumber(delay) > 0 then
		force('ZADD', due, math.floor(now / 1000) + delay, element)
	else
		force('XADD', stream, '*', 'm', element)
	end
end

-- queueFrom adds the elements in ARGV from one position to another: of each the number of its stream in KEYS, which the sorted set
-- follows, the delay and the element.
local function queueFrom(first, last)
	for i = first, last, 3 do
		local key = tonumber(ARGV[i])
		queue(KEYS[key], KEYS[key + 1], ARGV[i + 1], ARGV[i + 2])
	end
end

-- keepFor sets how long keys are kept, in ms, unless that is 0.
local function keepFor(keep, ...)
	if keep ~= '0' then
		for _, key in ipairs({...}) do
			redis.call('PEXPIRE', key, keep)
		end
	end
end

-- finish removes claimed entries of the stream. A value of another type has none.
local function finish(stream, ...)
	local acked = redis.pcall('XACK', stream, 'w', ...)
	if type(acked) ~= 'table' then
		redis.call('XDEL', stream, ...)
	elseif not string.find(acked.err, 'WRONGTYPE', 1, true) then
		redis.call('XACK', stream, 'w', ...)
	end
end

-- finishDirect removes an element of the sorted set, which is there in case its worker dies.
local function finishDirect(due, element)
	local removed = redis.pcall('ZREM', due, element)
	if type(removed) == 'table' and not string.find(removed.err, 'WRONGTYPE', 1, true) then
		redis.call('ZREM', due, element)
	end
end

-- MAX_DEAD is the greatest number of dead letters of a queue.
local MAX_DEAD = 1000

-- buryElement adds a dead letter, and keeps the list for a time in ms after that, unless it is 0.
local function buryElement(dead, text, keep)
	force('LPUSH', dead, text)
	redis.call('LTRIM', dead, 0, MAX_DEAD - 1)
	keepFor(keep, dead)
end

-- finishClaimed removes what was claimed: an entry of the stream by its id, or an element of the sorted set.
local function finishClaimed(stream, due, claimed)
	if string.find(claimed, '|', 1, true) then
		finishDirect(due, claimed)
	else
		finish(stream, claimed)
	end
end
