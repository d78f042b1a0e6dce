-- What attempt, close and update share. An entry is one string, numbers with the highest byte first (codec.go):
--
--    1  format, 1             11  last try, µs         43  length of the mark
--    2  state                 19  version              45  length of all digests
--    3  tries left            27  expires at, µs       49  mark, digests (2 bytes of length before each), sealed data
--    7  tries used            35  kept until, µs
--
-- Whoever can write to Redis may put anything here. What cannot be an entry is refused before anything is written.

-- read returns the entry under a key, nil if there is none, or nil and an error to answer with.
local function read(key)
	local value = redis.call('GET', key)
	if not value then
		return nil, false
	end
	local e = {value = value}
	if #value >= 48 and string.byte(value, 1) == 1 then
		e.state, e.tries, e.used, e.last, e.version, e.expires, e.keep, e.marked, e.digested =
			struct.unpack('>BI4I4I8I8I8I8I2I4', value, 2)
		if 48 + e.marked + e.digested <= #value then
			return e
		end
	end
	return nil, redis.error_reply('ERR watchword: not an entry')
end

-- counters are the bytes that a try changes, from the second on.
local function counters(e)
	return struct.pack('>BI4I4I8', e.state, e.tries, e.used, e.last)
end

-- write replaces the entry but for its times. It stays as long as it was to be kept.
local function write(key, e, mark, digests, sealed)
	local value = '\1' .. counters(e) .. struct.pack('>I8', e.version) .. string.sub(e.value, 27, 42) ..
		struct.pack('>I2I4', #mark, #digests) .. mark .. digests .. sealed
	redis.call('SET', key, value, 'KEEPTTL')
	return value
end

local function mark(e) return string.sub(e.value, 49, 48 + e.marked) end

local function digests(e) return string.sub(e.value, 49 + e.marked, 48 + e.marked + e.digested) end

local function sealed(e) return string.sub(e.value, 49 + e.marked + e.digested) end

-- clock is the server's time in µs since 1970.
local function clock()
	local time = redis.call('TIME')
	return time[1] * 1000000 + time[2]
end
