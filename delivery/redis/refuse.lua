-- Refuses a key and removes its counts, unless it is refused already.
-- KEYS: the sorted set of refused keys by expiry; the sorted set of the app's keys by expiry; the hash of the key's counts.
-- ARGV: the key; how long it is refused in ms; most keys that are refused at the same time.
-- Reply: 1 if the key is refused now, 0 if nothing was changed.
local ms = math.floor(now / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
	return 0
end
redis.call('ZADD', KEYS[1], ms + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[2])))
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
return 1
