-- Queues elements: watchword.Outbox.Put.
--
-- KEYS: the stream, the sorted set of what is due later.
-- ARGV: the delay in ms and the element of each.
-- Reply: w
queueFrom(KEYS[1], KEYS[2], 1)
return 'w'
