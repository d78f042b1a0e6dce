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
