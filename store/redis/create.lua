-- Stores a new entry, and queues its messages: watchword.Store.Create.
--
-- KEYS: the entry; stream and sorted set of each queue that gets an element.
-- ARGV: the entry's value, and the end of its retention in ms since 1970; then the elements, see queueFrom.
-- Reply: e the id exists   w stored   !w stored in place of a damaged value
--
-- The messages come first, because an entry must not be stored if they cannot be: a message without its entry is dropped.
local damaged = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
	local e = read(KEYS[1])
	if e and digestSet(e) then
		return 'e'
	end
	damaged = '!'
end
queueFrom(3, #ARGV)
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return damaged .. 'w'
