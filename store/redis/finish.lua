-- Removes a claimed element, or returns it to the queue in the same step: watchword.Outbox.Done, Bury and Retry.
--
-- KEYS: the stream, the sorted set of what is due later.
-- ARGV: the id of the entry in the stream, or the element in the sorted set, which may be gone; then, if the element is returned, the
-- lifetime of the keys in ms, or 0, and the new form of the element, see queueFrom.
-- Reply: w
queueFrom(3, #ARGV)
keepFor(ARGV[2] or '0', KEYS[1], KEYS[2])
local replaced = ARGV[5] == ARGV[1] and tonumber(ARGV[4]) > 0 -- the same element with another time: no provider was called
if replaced then
	return 'w'
end
finishClaimed(KEYS[1], KEYS[2], ARGV[1])
return 'w'
