-- Adds the counts of a batch, unless the batch was added before.
-- KEYS: the batch's ID; the sorted set of the app's keys by expiry; the hash of counts of each key of the batch.
-- ARGV: lifetime of a batch's ID in ms; most keys of an app; oldest slot that is kept; lifetime of a key in ms; the names of the
-- batch's keys; then for each count the index of its key, the slot, sent and verified.
-- Reply: for each stored count the index of its key, the slot, sent and verified.
local names = #KEYS - 2
local oldest = tonumber(ARGV[3])
local ms = math.floor(now / 1000)

-- A hash has at most 1,300 fields (delivery.PrefixBreakerConfig.Settle). A key of another type, or with many more, was not written here:
-- reading it would fail, or hold Redis up. It is replaced.
for key = 1, names do
	local fields = redis.pcall('HLEN', KEYS[2 + key])
	local foreign = type(fields) == 'table'
	if foreign and not string.find(fields.err, 'WRONGTYPE', 1, true) then
		return fields
	end
	if foreign or fields > 2000 then
		redis.call('DEL', KEYS[2 + key])
	end
end

local expired = redis.pcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms)
if type(expired) == 'table' then
	if not string.find(expired.err, 'WRONGTYPE', 1, true) then
		return expired
	end
	redis.call('DEL', KEYS[2])
end
local fresh = redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1])

-- count adds to a field. A field that is no number, or too great a one, was not written here: it is replaced.
local function count(key, field, n)
	if type(redis.pcall('HINCRBY', key, field, n)) == 'table' then
		redis.call('HDEL', key, field)
		redis.call('HINCRBY', key, field, n)
	end
end

-- admitted reports whether a key is counted, and extends its lifetime.
local function admitted(key)
	if not redis.call('ZSCORE', KEYS[2], ARGV[4 + key]) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then
		return false
	end
	redis.call('ZADD', KEYS[2], ms + tonumber(ARGV[4]), ARGV[4 + key])
	redis.call('PEXPIRE', KEYS[2], ARGV[4])
	return true
end

for i = 5 + names, #ARGV, 4 do
	local key, slot, sent, verified = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
	if fresh and sent + verified > 0 and tonumber(slot) >= oldest and admitted(key) then
		for kind, n in pairs({s = sent, v = verified}) do
			if n > 0 then
				count(KEYS[2 + key], kind .. slot, n)
			end
		end
		redis.call('PEXPIRE', KEYS[2 + key], ARGV[4])
	end
end

local reply = {}
for key = 1, names do
	local fields, sent, verified = redis.call('HGETALL', KEYS[2 + key]), {}, {}
	for i = 1, #fields, 2 do
		local slot, n = string.sub(fields[i], 2), tonumber(fields[i + 1])
		if not n or not tonumber(slot) or tonumber(slot) < oldest then
			redis.call('HDEL', KEYS[2 + key], fields[i])
		elseif string.sub(fields[i], 1, 1) == 's' then
			sent[slot], verified[slot] = n, verified[slot] or 0
		else
			sent[slot], verified[slot] = sent[slot] or 0, n
		end
	end
	for slot, n in pairs(sent) do
		for _, item in ipairs({key, tonumber(slot), n, verified[slot]}) do
			table.insert(reply, item)
		end
	end
end
return reply
