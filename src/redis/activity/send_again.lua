-- Puts alerts that were given up back at the end of their queues, oldest first; how many.
-- KEYS[1]: the hash that the store begins with. ARGV: the id of an alert, or '' for all.
local base, again = KEYS[1], 0
local all = redis.call('LRANGE', base .. ':failed', 0, -1)
for place = #all, 1, -1 do
  local failed = cjson.decode(all[place])
  if ARGV[1] == '' or failed.id == ARGV[1] then
    redis.call('LREM', base .. ':failed', 1, all[place])
    redis.call('RPUSH', base .. ':q:' .. failed.queue, failed.id .. ' ' .. failed.suppressed .. ' ' .. failed.json)
    redis.call('SADD', base .. ':queues', failed.queue)
    again = again + 1
  end
end
return again
