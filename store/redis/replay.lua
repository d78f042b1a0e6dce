-- Returns a dead letter to the queue.
--
-- KEYS: the stream, the sorted set of what is due later, the list of dead letters.
-- ARGV: the dead letter; the lifetime of the queue's keys in ms; then the element, see queueFrom.
-- Reply: w queued   m there is no such dead letter
if redis.call('LREM', KEYS[3], 1, ARGV[1]) == 0 then
	return 'm'
end
queueFrom(3, #ARGV)
keepFor(ARGV[2], KEYS[1], KEYS[2])
return 'w'
