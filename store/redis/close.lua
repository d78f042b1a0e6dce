-- Closes a pending entry, once: watchword.Store.Close.
--
-- KEYS: the entry; the budget to empty, if any; stream and sorted set of the queue that gets an element.
-- ARGV: state; mark; 1 if the sealed data is replaced; the new sealed data; the time (µs) from which on an approval is too
-- late; 1 if a try is settled; how long ago (µs) the last try must be for unsettled tries not to count, if the entry may be
-- closed only when no try is left or in flight, or 0; the version that was read (8 bytes), or an empty text; then the elements
-- that are queued, see queueFrom.
-- Reply: c already closed   x too late to be approved   v another version   f tries in flight   w closed
local e, err = read(KEYS[1])
if not e then
	return err
end
if e.state ~= 0 then
	return 'c'
end
local state = tonumber(ARGV[1])
if state == 1 and now >= math.min(e.expires, tonumber(ARGV[5])) then
	return 'x'
end
if ARGV[8] ~= '' and string.sub(e.value, 22, 29) ~= ARGV[8] then
	return 'v'
end
if ARGV[6] == '1' then
	e.settled = e.settled + 1
end
local idle = tonumber(ARGV[7])
if idle > 0 and (e.tries > 0 or e.settled < e.used and now - e.last < idle) then
	redis.call('SETRANGE', KEYS[1], '1', counters(e))
	return 'f'
end
queueFrom(9, #ARGV)
e.state = state
local data = sealed(e)
if ARGV[3] == '1' then
	data = ARGV[4]
	e.version = e.version + 1
end
write(KEYS[1], e, ARGV[2], digests(e), data)
if #KEYS % 2 == 0 then
	redis.call('DEL', KEYS[2])
end
return 'w'
