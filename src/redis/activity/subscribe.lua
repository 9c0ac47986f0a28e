-- Keeps a browser that wants alerts: 1, 2 if it was there, 0 if there are too many.
-- KEYS[1]: the hash that the store begins with. ARGV: its number, what is kept of it, and how many there may be.
local key = KEYS[1] .. ':push'
local known = redis.call('ZREMRANGEBYLEX', key, '[' .. ARGV[1], '(' .. ARGV[1] .. '!')
if known == 0 and redis.call('ZCARD', key) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', key, 0, ARGV[1] .. ' ' .. ARGV[2])
return known == 0 and 1 or 2
