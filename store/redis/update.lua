-- Replaces digests and sealed data if version and state have not changed, and queues messages: watchword.Store.Update. Before that
-- it removes a claimed message, whatever the reply is: watchword.DirectOutbox.UpdateAndFinish.
--
-- KEYS: the entry; stream and sorted set of each queue that gets an element, those of the message to remove first.
-- ARGV: the version that was read (8 bytes), the encoded digests, the sealed data, the state that was read; the message to remove, as
-- in finish.lua, or an empty string; then the elements, see queueFrom.
-- Reply: v another version or state   w replaced
if ARGV[5] ~= '' then
	finishClaimed(KEYS[2], KEYS[3], ARGV[5])
end
local e, err = read(KEYS[1])
if not e then
	return err
end
if string.sub(e.value, 22, 29) ~= ARGV[1] or e.state ~= tonumber(ARGV[4]) then
	return 'v'
end
queueFrom(6, #ARGV)
e.version = e.version + 1
write(KEYS[1], e, mark(e), ARGV[2], ARGV[3])
return 'w'
