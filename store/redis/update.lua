-- Replaces digests and sealed data if nobody else has: watchword.Store.Update.
--
-- KEYS: the entry.
-- ARGV: the version as it was read (8 bytes), the digests as they are stored, the sealed data, the state as it was read.
-- Answers with one letter: v another version or state   w replaced
local e, err = read(KEYS[1])
if not e then
	return err
end
if string.sub(e.value, 22, 29) ~= ARGV[1] or e.state ~= tonumber(ARGV[4]) then
	return 'v'
end
e.version = e.version + 1
write(KEYS[1], e, mark(e), ARGV[2], ARGV[3])
return 'w'
