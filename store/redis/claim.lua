-- Claims elements of an outbox that are due: watchword.Outbox.Claim.
--
-- KEYS: the stream, the sorted set of what is due later, the list of dead letters.
-- ARGV: the consumer; the greatest number of elements; how long (ms) another consumer must have held an element for it to count as
-- dead, or 0 to claim no such elements; how long (ms) another consumer must have claimed nothing to be removed, or 0; 1 if the
-- elements that this consumer has claimed before are returned too, because a reply was lost. These do not count in the limit; the greatest length of an
-- element; the lifetime of the keys in ms, or 0.
-- Reply: the ms until the next element of the sorted set is due, or -1; the number of new dead letters; 1 if there may be more; if the
-- lease is not 0, the number of entries of the stream, that of elements in the sorted set, and for how long (ms) the oldest entry has
-- been in the stream, and -1 for what is unknown; then id and element of each claimed entry.
local stream, due, dead = KEYS[1], KEYS[2], KEYS[3]
local consumer, limit, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local maxClaims, maxScanned, maxElement = 5, 256, tonumber(ARGV[6])
local ms = math.floor(now / 1000)
local reply = {-1, 0, 0, -1, -1, -1}

-- read runs a command on a key whose value may be of another type; such a value is removed.
local function read(verb, key, ...)
	local found = redis.pcall(verb, key, ...)
	if type(found) == 'table' and found.err then
		if string.find(found.err, 'WRONGTYPE', 1, true) then
			redis.call('DEL', key)
			return {}
		end
		return redis.call(verb, key, ...)
	end
	return found
end

local moved = read('ZRANGE', due, '-inf', ms, 'BYSCORE', 'LIMIT', 0, limit)
for _, element in ipairs(moved) do
	force('XADD', stream, '*', 'm', element)
	redis.call('ZREM', due, element)
end
if #moved > 0 or ARGV[4] ~= '0' then
	keepFor(ARGV[7], stream, due)
end
local first = read('ZRANGE', due, 0, 0, 'WITHSCORES')
if first[2] then
	reply[1] = math.max(math.ceil(tonumber(first[2]) - ms), 0)
end
if lease > 0 then
	reply[4], reply[5] = 0, redis.call('ZCARD', due)
end
local length = redis.pcall('XLEN', stream)
if type(length) == 'table' then
	redis.call('DEL', stream)
	return reply
elseif length == 0 then
	return reply
end

-- bury moves an entry to the dead letters.
local function bury(id, fields)
	buryElement(dead, string.sub(table.concat(fields, ' '), 1, maxElement + 2), ARGV[7])
	finish(stream, id)
	reply[2] = reply[2] + 1
end

local function isElement(fields)
	if #fields ~= 2 or fields[1] ~= 'm' or #fields[2] > maxElement then
		return false
	end
	local send, attempt = string.match(fields[2], '^[a-z_]*|(%d+)|(%d+)|[%w_-]+$')
	return send and #send < 12 and #attempt < 10
end

-- take adds an entry to the reply, or buries it. Entries that were trimmed while they were claimed have no fields.
local function take(id, fields)
	if not fields then
		finish(stream, id)
	elseif isElement(fields) then
		reply[#reply + 1], reply[#reply + 2] = id, fields[2]
		limit = limit - 1
	else
		bury(id, fields)
	end
end

-- inGroup runs a command of the group. A missing group is made again, from the first entry.
local function inGroup(...)
	local found = redis.pcall(...)
	if type(found) == 'table' and found.err and string.find(found.err, 'NOGROUP', 1, true) then
		redis.call('XGROUP', 'CREATE', stream, 'w', '0')
		return redis.call(...)
	elseif type(found) == 'table' and found.err then
		return redis.call(...)
	end
	return found
end

if ARGV[5] == '1' then
	local got = inGroup('XREADGROUP', 'GROUP', 'w', consumer, 'COUNT', maxScanned, 'STREAMS', stream, '0')
	for _, entry in ipairs(got and got[1] and got[1][2] or {}) do
		local before = limit
		take(entry[1], entry[2])
		limit = before
	end
end
if lease > 0 then
	local claimed = inGroup('XAUTOCLAIM', stream, 'w', consumer, lease, '0-0', 'COUNT', limit)
	for _, entry in ipairs(claimed[2]) do
		local pending = entry and redis.call('XPENDING', stream, 'w', entry[1], entry[1], 1)[1]
		if pending and pending[4] > maxClaims then
			bury(entry[1], entry[2] or {})
		elseif entry then
			take(entry[1], entry[2])
		end
	end
end
for _ = 1, math.ceil(maxScanned / limit) do
	if limit <= 0 then
		break
	end
	local got = inGroup('XREADGROUP', 'GROUP', 'w', consumer, 'COUNT', limit, 'STREAMS', stream, '>')
	local entries = got and got[1] and got[1][2] or {}
	for _, entry in ipairs(entries) do
		take(entry[1], entry[2])
	end
	if #entries == 0 then
		break
	end
	reply[3] = 1
end
if lease > 0 then
	local pending = inGroup('XPENDING', stream, 'w')
	reply[4] = redis.call('XLEN', stream)
	if pending[2] then -- entries are claimed in their order, so the oldest one is among those
		reply[6] = math.max(ms - tonumber(string.match(pending[2], '^%d+')), 0)
	end
	-- Somebody has moved the position of the group, if there are entries that nobody has claimed and that it does not return.
	if reply[3] == 0 and reply[4] > pending[1] then
		redis.call('XGROUP', 'SETID', stream, 'w', '0')
		reply[3] = 1
	end
end
local idle = tonumber(ARGV[4])
if idle > 0 then
	for _, c in ipairs(inGroup('XINFO', 'CONSUMERS', stream, 'w')) do
		local info = {}
		for i = 1, #c, 2 do
			info[c[i]] = c[i + 1]
		end
		if info.name ~= consumer and info.pending == 0 and info.idle >= idle then
			redis.call('XGROUP', 'DELCONSUMER', stream, 'w', info.name)
		end
	end
end
return reply
