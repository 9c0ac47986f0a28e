-- Makes somebody the keeper, if nobody else is.
-- KEYS[1]: the hash that the store begins with. ARGV: the keeper's name, and for how many milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'keeper', 'until', 'told')
if known[1] and known[1] ~= ARGV[1] and tonumber(known[2]) > now then return {'held'} end
redis.call('HSET', KEYS[1], 'keeper', ARGV[1], 'until', now + ARGV[2])
return {'own', known[3] or ''}
