-- Makes somebody the keeper, if nobody else is.
-- KEYS[1]: the hash that the store begins with. ARGV: the keeper's name, and for how many milliseconds.
local base, call = KEYS[1], redis.call
-- What stands there and is of another type is none of ours: it counts as lost.
local kind = call('TYPE', base).ok
if kind ~= 'hash' and kind ~= 'none' then call('UNLINK', base) end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = call('HMGET', base, 'keeper', 'until', 'told')
-- Nobody is it for longer: that was said by a server whose clock was ahead.
local left = tonumber(known[2] or 0) - now
if known[1] and known[1] ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[2]) then return {'held'} end

-- Whoever becomes the keeper may run all commands that the other scripts do: one that is refused in the midst of a batch would
-- leave half of it.
if known[1] ~= ARGV[1] then
  local probe = base .. ':probe'
  local commands = {
    {'HSET', probe, 'a', 1}, {'HGET', probe, 'a'}, {'HINCRBY', probe, 'a', 1}, {'HEXISTS', probe, 'a'},
    {'HGETALL', probe}, {'HMGET', probe, 'a'}, {'HLEN', probe}, {'HDEL', probe, 'a'}, {'ZADD', probe, 1, 'a'}, {'ZCARD', probe}, {'ZRANGE', probe, 0, -1},
    {'ZREM', probe, 'a'}, {'ZPOPMIN', probe}, {'RPUSH', probe, 'a'}, {'LPUSH', probe, 'a'}, {'LLEN', probe},
    {'LINDEX', probe, 0}, {'LRANGE', probe, 0, -1}, {'LTRIM', probe, 0, 5}, {'LPOP', probe}, {'LPOP', probe},
    {'SADD', probe, 'a'}, {'SMEMBERS', probe}, {'SREM', probe, 'a'}, {'EXISTS', probe}, {'EXPIRE', probe, 1}, {'UNLINK', probe},
  }
  call('UNLINK', probe)
  for _, command in ipairs(commands) do call(unpack(command)) end
end
call('HSET', base, 'keeper', ARGV[1], 'until', now + ARGV[2])
return {'own', known[3] or ''}
