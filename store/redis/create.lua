-- Keeps a new entry: watchword.Store.Create.
--
-- KEYS: the entry.
-- ARGV: its value, and until when it is kept, in ms since 1970.
-- Answers with one letter: e exists already   w kept   !w kept in the place of something that is damaged
if redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2], 'NX') then
	return 'w'
end
local e = read(KEYS[1])
if e and known(e) then
	return 'e'
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return '!w'
