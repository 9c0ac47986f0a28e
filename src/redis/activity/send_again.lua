-- Puts alerts that were given up back at the end of their queues, oldest first, as far as there is room; how many.
-- KEYS[1]: the hash that the store begins with. ARGV: the id of an alert, or '' for all, and how many may wait in a queue.
local base, again, kept = KEYS[1], 0, {}
local all = redis.call('LRANGE', base .. ':failed', 0, -1)
for place = #all, 1, -1 do
  local failed = cjson.decode(all[place])
  local queue = base .. ':q:' .. failed.queue
  local is_wanted = ARGV[1] == '' or failed.id == ARGV[1]
  if is_wanted and redis.call('LLEN', queue) < tonumber(ARGV[2]) then
    redis.call('RPUSH', queue, failed.id .. ' ' .. failed.suppressed .. ' ' .. failed.json)
    redis.call('SADD', base .. ':queues', failed.queue)
    again = again + 1
  else
    kept[#kept + 1] = all[place]
  end
end
redis.call('UNLINK', base .. ':failed')
for _, failed in ipairs(kept) do redis.call('LPUSH', base .. ':failed', failed) end
return again
