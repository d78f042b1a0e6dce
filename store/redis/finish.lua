-- Removes a claimed element, or returns it to the queue in the same step: watchword.Outbox.Done, Bury and Retry.
--
-- KEYS: the stream, the sorted set of what is due later.
-- ARGV: the id of the entry in the stream, or the element in the sorted set, which may be gone; then, if the element is returned, the delay in ms and the element.
-- Reply: w
queueFrom(KEYS[1], KEYS[2], 2)
local replaced = ARGV[3] == ARGV[1] and tonumber(ARGV[2]) > 0 -- the same element with another time: no provider was called
if replaced then
	return 'w'
end
finishClaimed(KEYS[1], KEYS[2], ARGV[1])
return 'w'
