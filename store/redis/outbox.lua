-- Functions for the scripts that claim and finish what is in a queue, see queue.lua.

-- keepFor sets how long keys are kept, in ms, unless that is 0.
local function keepFor(keep, ...)
	if keep ~= '0' then
		for _, key in ipairs({...}) do
			redis.call('PEXPIRE', key, keep)
		end
	end
end

-- finish removes claimed entries of the stream. A value of another type has none.
local function finish(stream, ...)
	local acked = redis.pcall('XACK', stream, 'w', ...)
	if type(acked) ~= 'table' then
		redis.call('XDEL', stream, ...)
	elseif not string.find(acked.err, 'WRONGTYPE', 1, true) then
		redis.call('XACK', stream, 'w', ...)
	end
end

-- finishDirect removes an element of the sorted set, which is there in case its worker dies.
local function finishDirect(due, element)
	local removed = redis.pcall('ZREM', due, element)
	if type(removed) == 'table' and not string.find(removed.err, 'WRONGTYPE', 1, true) then
		redis.call('ZREM', due, element)
	end
end

-- MAX_DEAD is the greatest number of dead letters of a queue.
local MAX_DEAD = 1000

-- buryElement adds a dead letter, and keeps the list for a time in ms after that, unless it is 0.
local function buryElement(dead, text, keep)
	force('LPUSH', dead, text)
	redis.call('LTRIM', dead, 0, MAX_DEAD - 1)
	keepFor(keep, dead)
end

-- finishClaimed removes what was claimed: an entry of the stream by its id, or an element of the sorted set.
local function finishClaimed(stream, due, claimed)
	if string.find(claimed, '|', 1, true) then
		finishDirect(due, claimed)
	else
		finish(stream, claimed)
	end
end
