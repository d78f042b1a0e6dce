-- Stores a new entry: watchword.Store.Create.
--
-- KEYS: the entry.
-- ARGV: its value, and the end of its retention in ms since 1970.
-- Reply: e the id exists   w stored   !w stored in place of a damaged value
if redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2], 'NX') then
	return 'w'
end
local e = read(KEYS[1])
if e and digestSet(e) then
	return 'e'
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return '!w'
