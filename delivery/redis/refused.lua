-- Lists the refused keys.
-- KEYS: the sorted set of refused keys by expiry.
-- ARGV: most keys that are listed.
-- Reply: for each refused key its name and the remaining time in ms.
local ms = math.floor(now / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ms, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for i = 2, #found, 2 do
	found[i] = tonumber(found[i]) - ms
end
return found
