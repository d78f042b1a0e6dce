-- KEYS: until when keys are refused.
-- Reply: a key, for how many ms it is still refused, and so on.
local ms = math.floor(now / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ms, '+inf', 'WITHSCORES')
for i = 2, #found, 2 do
	found[i] = tonumber(found[i]) - ms
end
return found
