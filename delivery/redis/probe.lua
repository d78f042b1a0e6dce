-- Executes every command of the other scripts, and leaves nothing.
-- KEYS: a sorted set, a hash and a text that nothing else uses.
redis.call('ZADD', KEYS[1], 1, 'a')
redis.call('ZSCORE', KEYS[1], 'a')
redis.call('ZCARD', KEYS[1])
redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf')
redis.call('ZREM', KEYS[1], 'a')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '+inf')
redis.call('HINCRBY', KEYS[2], 'a', 1)
redis.call('PEXPIRE', KEYS[2], 1000)
redis.call('PTTL', KEYS[2])
redis.call('HLEN', KEYS[2])
redis.call('HGETALL', KEYS[2])
redis.call('HDEL', KEYS[2], 'a')
redis.call('SET', KEYS[3], '', 'PX', 1000)
redis.call('DEL', KEYS[3])
return 1
