-- Queues elements: watchword.Outbox.Put and watchword.EventQueue.Put.
--
-- KEYS: the stream, the sorted set of what is due later.
-- ARGV: the greatest size of the queue in bytes, if it has more than 1,000 elements, or 0; the lifetime of its keys in ms, or 0; then
-- the elements, see queueFrom.
-- Reply: w queued   f full

-- count returns the reply of a command, or 0 if the value is of another type.
local function count(...)
	local n = redis.pcall(...)
	if type(n) == 'table' and not string.find(n.err, 'WRONGTYPE', 1, true) then
		return redis.call(...)
	end
	return type(n) == 'number' and n or 0
end

local size = tonumber(ARGV[1])
if size > 0 and count('XLEN', KEYS[1]) + count('ZCARD', KEYS[2]) > 1000 and
	count('MEMORY', 'USAGE', KEYS[1]) + count('MEMORY', 'USAGE', KEYS[2]) > size then
	return 'f'
end
queueFrom(3, #ARGV)
keepFor(ARGV[2], KEYS[1], KEYS[2])
return 'w'
