-- Says what becomes of the first alert of a queue; whether it was the first.
-- KEYS[1]: the hash that the store begins with. ARGV: the keeper, the queue, the alert's id, then 'done'; or 'again', how often it was
-- tried and when it is next; or 'failed', the reason, the time, and how many failed ones are kept.
local base, queue = KEYS[1], ARGV[2]
local key = base .. ':q:' .. queue
if redis.call('HGET', base, 'keeper') ~= ARGV[1] then return 0 end
local first = redis.call('LINDEX', key, 0)
if not first or string.sub(first, 1, 32) ~= ARGV[3] then return 0 end
if ARGV[4] == 'again' then
  redis.call('HSET', base .. ':tried', queue, ARGV[5] .. ' ' .. ARGV[6])
  return 1
end
redis.call('LPOP', key)
redis.call('HDEL', base .. ':tried', queue)
if redis.call('EXISTS', key) == 0 then redis.call('SREM', base .. ':queues', queue) end
if ARGV[4] == 'failed' then
  local suppressed, json = string.match(string.sub(first, 34), '^(%d+) (.*)$')
  local failed = {
    queue = queue, id = ARGV[3], json = json, suppressed = tonumber(suppressed), reason = ARGV[5],
    at = tonumber(ARGV[6]),
  }
  redis.call('LPUSH', base .. ':failed', cjson.encode(failed))
  redis.call('LTRIM', base .. ':failed', 0, ARGV[7] - 1)
end
return 1
