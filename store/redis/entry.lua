-- Functions for the other scripts. An entry is one string with big-endian numbers (codec.go), at these positions:
--
--    1  format, 1             11  last try, µs         30  expires at, µs
--    2  state                 19  tries settled        38  kept until, µs
--    3  tries left            21  repeats              46  length of the mark
--    7  tries used            22  version              48  length of all digests
--                                                      52  mark, digests (2 bytes of length before each), sealed data
--
-- now is the server's time in µs since 1970; internal/script sets it at the beginning of each script.
--
-- Another program may have written anything under a key. A damaged entry counts as missing: the reply is d and nothing is
-- written. A new entry may replace it.

-- MAX_VALUE is maxValue of codec.go. Redis formats a number that is an argument of a command, which costs more than a text.
local MAX_VALUE = 262144
local MAX_VALUE_TEXT = '262144'

-- get returns the string under a key, false if the key does not exist or the string is empty, or nil if the value is too long or
-- not a string. A long value is not read as a whole, because other commands would wait for that.
local function get(key)
	local value = redis.pcall('GETRANGE', key, '0', MAX_VALUE_TEXT)
	if type(value) == 'table' then
		if string.find(value.err, 'WRONGTYPE', 1, true) ~= 1 then
			return redis.call('GETRANGE', key, '0', MAX_VALUE_TEXT)
		end
	elseif value == '' then
		return false
	elseif #value <= MAX_VALUE then
		return value
	end
end

-- read returns the entry under a key, or nil and the script's reply: false if there is none, d if it is damaged.
local function read(key)
	local value = get(key)
	if value == false then
		return nil, false
	elseif not value then
		return nil, 'd'
	end
	if #value >= 51 and string.byte(value, 1) == 1 then
		local state, tries, used, last, settled, repeats, version, expires = struct.unpack('>BI4I4I8I2BI8I8', value, 2)
		local marked, digested = struct.unpack('>I2I4', value, 46)
		if 51 + marked + digested <= #value then
			return {value = value, state = state, tries = tries, used = used, last = last, settled = settled, repeats = repeats,
				version = version, expires = expires, marked = marked, digested = digested}
		end
	end
	return nil, 'd'
end

-- counters returns the bytes that a try changes, which begin at the second byte.
local function counters(e)
	return struct.pack('>BI4I4I8I2B', e.state, e.tries, e.used, e.last, math.min(e.settled, 65535), math.min(e.repeats, 255))
end

-- write replaces the entry except for its times. Its expiry does not change.
local function write(key, e, mark, digests, sealed)
	local value = '\1' .. counters(e) .. struct.pack('>I8', e.version) .. string.sub(e.value, 30, 45) ..
		struct.pack('>I2I4', #mark, #digests) .. mark .. digests .. sealed
	redis.call('SET', key, value, 'KEEPTTL')
	return value
end

local function mark(e) return string.sub(e.value, 52, 51 + e.marked) end

local function digests(e) return string.sub(e.value, 52 + e.marked, 51 + e.marked + e.digested) end

-- digestSet returns the digests of an entry as a set, or nothing if they are damaged.
local function digestSet(e)
	local set, all, at = {}, digests(e), 1
	while at <= #all do
		local length = #all > at and struct.unpack('>I2', all, at) or #all
		if at + 1 + length > #all then
			return
		end
		set[string.sub(all, at + 2, at + 1 + length)] = true
		at = at + 2 + length
	end
	return set
end

local function sealed(e) return string.sub(e.value, 52 + e.marked + e.digested) end
