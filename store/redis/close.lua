-- Ends a pending entry, once: watchword.Store.Close.
--
-- KEYS: the entry; the budget to empty, if any.
-- ARGV: state, mark, 1 if the sealed data is replaced, the new sealed data.
-- Answers with one letter: c closed before   x expired, and not to be approved   w closed now
local e, err = read(KEYS[1])
if not e then
	return err
end
if e.state ~= 0 then
	return 'c'
end
local state = tonumber(ARGV[1])
if state == 1 and clock() >= e.expires then
	return 'x'
end
e.state = state
local data = sealed(e)
if ARGV[3] == '1' then
	data = ARGV[4]
	e.version = e.version + 1
end
write(KEYS[1], e, ARGV[2], digests(e), data)
if KEYS[2] then
	redis.call('DEL', KEYS[2])
end
return 'w'
