-- Adds the counts of a batch, unless the batch was added before.
-- KEYS: the batch's ID; the sorted set of the app's keys by expiry; the hash of counts of each key of the batch.
-- ARGV: lifetime of a batch's ID in ms; most keys of an app; oldest slot that is kept; lifetime of a key in ms; the names of the
-- batch's keys; then for each count the index of its key, the slot, sent and verified.
-- Reply: for each stored count the index of its key, the slot, sent and verified.
local names = #KEYS - 2
local oldest = tonumber(ARGV[3])
local ms = math.floor(now / 1000)
local fresh = redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms)

-- A hash has a few dozen fields. One with many more was not written here, and reading it would hold Redis up.
for key = 1, names do
	if redis.call('HLEN', KEYS[2 + key]) > 2000 then
		redis.call('DEL', KEYS[2 + key])
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
				redis.call('HINCRBY', KEYS[2 + key], kind .. slot, n)
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
