-- Applies announcements to the activity feed, the counters and the queues of alerts: all of a batch or nothing.
-- KEYS[1]: the hash that the store begins with; all its other keys begin with that name, and so stand in its slot.
-- ARGV[1]: the batch as JSON. It must do what `activity/ledger.rs` does.
local base, batch = KEYS[1], cjson.decode(ARGV[1])

-- What stands under a key and is of another type is none of ours: it counts as lost.
local function call(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'WRONGTYPE', 1, true) then redis.call('UNLINK', key) end
    answer = redis.call(command, key, ...)
  end
  return answer
end

local entries, order = base .. ':entries', base .. ':order'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = call('HMGET', base, 'keeper', 'until', 'told')
-- Nobody is it for longer: that was said by a server whose clock was ahead.
local left = tonumber(known[2] or 0) - now
if known[1] and known[1] ~= batch.keeper and left > 0 and left <= batch.keep_for then return {'held'} end
if (known[3] or '') ~= batch.behind then return {'elsewhere', known[3] or ''} end

local unpublished = 0
local notices = {}
local function notices_of(stream)
  if not notices[stream] then
    local packed = call('HGET', base .. ':notices', stream)
    notices[stream] = packed and cmsgpack.unpack(packed) or {}
  end
  return notices[stream]
end

-- Whether a place in a stream stands behind another: as bytes, whatever the server's locale.
local function is_behind(place, other)
  for at = 1, math.min(#place, #other) do
    local one, two = string.byte(place, at), string.byte(other, at)
    if one ~= two then return one > two end
  end
  return false
end

-- What is added up of an entry, `times` 1 or -1.
local function tally(key, prefix, entry, times)
  if call('HINCRBY', key, prefix, times) == 1 then
    -- A net under what is forgotten below.
    call('EXPIRE', key, (batch.hours + 24) * 3600)
  end
  for _, sum in ipairs(entry.c) do
    call('HINCRBY', key, prefix .. sum[1] .. '\0' .. sum[2], sum[3] * times)
  end
end

local function forget_hours(hour)
  local oldest = hour - batch.hours
  for _, old in ipairs(call('ZRANGE', base .. ':hours', '-inf', '(' .. oldest, 'BYSCORE')) do
    call('UNLINK', base .. ':h:' .. old)
    call('UNLINK', base .. ':hs:' .. old)
    call('ZREM', base .. ':hours', old)
  end
end

local function count(entry)
  if not entry.o then return end
  local hour, kind = entry.o, entry.t .. '\0'
  tally(base .. ':h:' .. hour, kind, entry, 1)
  call('ZADD', base .. ':hours', hour, hour)
  forget_hours(hour)
  local subjects = base .. ':subjects'
  call('ZADD', subjects, 'GT', hour, entry.s)
  if call('ZCARD', subjects) > batch.subjects then call('ZPOPMIN', subjects) end
  local key, prefix = base .. ':hs:' .. hour, entry.s .. '\0' .. kind
  if call('HEXISTS', key, prefix) == 1 or call('HLEN', key) < batch.counters then
    tally(key, prefix, entry, 1)
  end
end

local function discount(entry)
  if not entry.o then return end
  local key, kind = base .. ':h:' .. entry.o, entry.t .. '\0'
  if call('HEXISTS', key, kind) == 1 then tally(key, kind, entry, -1) end
  key, kind = base .. ':hs:' .. entry.o, entry.s .. '\0' .. kind
  if call('HEXISTS', key, kind) == 1 then tally(key, kind, entry, -1) end
end

-- How an entry stands in a feed: its cursor, and its type.
local function member(entry)
  return entry.k .. entry.t
end

-- The feeds that an entry stands in: of all and of its subject, apart from those that are undone.
local function feeds(entry)
  local name = base .. (entry.h and ':undone' or ':feed')
  return {name, name .. ':' .. entry.s}
end

local function keep(fingerprint, entry)
  call('HSET', entries, fingerprint, cmsgpack.pack(entry))
end

local function add(fingerprint, entry)
  call('RPUSH', order, fingerprint)
  for _, feed in ipairs(feeds(entry)) do call('ZADD', feed, 0, member(entry)) end
  if entry.b then
    call('ZADD', base .. ':b:' .. entry.n, entry.b, fingerprint)
    call('SADD', base .. ':networks', entry.n)
  end
  count(entry)
end

local function trim()
  -- Not all at once, where fewer are kept than before.
  local left = 50
  while left > 0 and call('LLEN', order) > batch.entries do
    left = left - 1
    local oldest = call('LPOP', order)
    local packed = call('HGET', entries, oldest)
    if packed then
      local entry = cmsgpack.unpack(packed)
      call('HDEL', entries, oldest)
      for _, feed in ipairs(feeds(entry)) do call('ZREM', feed, member(entry)) end
      if entry.b then
        call('ZREM', base .. ':b:' .. entry.n, oldest)
        if call('EXISTS', base .. ':b:' .. entry.n) == 0 then
          call('SREM', base .. ':networks', entry.n)
        end
      end
    end
  end
end

local function is_undone(entry)
  if not entry.b then return false end
  for stream, place in pairs(entry.p) do
    for _, notice in ipairs(notices_of(stream)) do
      if is_behind(notice.p, place) and entry.b >= notice.f and (not notice.n or notice.n == entry.n) then
        return true
      end
    end
  end
  return false
end

-- Looks again whether an entry is undone; whether that has changed.
local function judge(entry)
  local undone = is_undone(entry)
  if undone == entry.h then return false end
  for _, feed in ipairs(feeds(entry)) do call('ZREM', feed, member(entry)) end
  entry.h = undone
  for _, feed in ipairs(feeds(entry)) do call('ZADD', feed, 0, member(entry)) end
  if undone then discount(entry) else count(entry) end
  return true
end

local function fail(queue, id, json, suppressed, reason, at)
  local failed = {queue = queue, id = id, json = json, suppressed = suppressed, reason = reason, at = at}
  call('LPUSH', base .. ':failed', cjson.encode(failed))
  call('LTRIM', base .. ':failed', 0, batch.most_failed - 1)
end

-- How many were held back before an alert; nil if it is held back too.
local function take_place(alert, at)
  if not alert.most then return 0 end
  local packed = call('HGET', base .. ':rates', alert.rule)
  local rate = packed and cmsgpack.unpack(packed) or {since = 0, raised = 0, suppressed = 0}
  -- Clocks of nodes differ.
  if at - rate.since >= alert.per or rate.since - at > alert.per then
    rate.since, rate.raised = at, 0
  end
  local suppressed
  if rate.raised >= alert.most then
    rate.suppressed = rate.suppressed + 1
  else
    suppressed = rate.suppressed
    rate.raised, rate.suppressed = rate.raised + 1, 0
  end
  call('HSET', base .. ':rates', alert.rule, cmsgpack.pack(rate))
  return suppressed
end

local function raise(alert, at, arrival)
  local raised = base .. ':raised'
  if call('ZADD', raised, 'NX', arrival, alert.id) == 0 then return end
  if call('ZCARD', raised) > batch.entries then call('ZPOPMIN', raised) end
  local suppressed = take_place(alert, at)
  if not suppressed then return end
  for _, queue in ipairs(alert.queues) do
    local key = base .. ':q:' .. queue
    if call('LLEN', key) < batch.most_waiting then
      call('RPUSH', key, alert.id .. ' ' .. suppressed .. ' ' .. alert.json)
      call('SADD', base .. ':queues', queue)
    else
      fail(queue, alert.id, alert.json, suppressed, 'too many alerts wait for the receiver', at)
    end
  end
end

local function see(change, place, arrival)
  local packed = call('HGET', entries, change.fp)
  local entry
  if packed then
    entry = cmsgpack.unpack(packed)
  else
    entry = {
      k = change.key, t = change.type, s = change.subject, n = change.network, b = change.block,
      o = change.hour, c = change.sums, j = change.json, h = false, p = {},
    }
    add(change.fp, entry)
  end
  local last = entry.p[change.stream]
  local moved = false
  if last then
    moved = is_behind(place, last)
  else
    local streams = 0
    for _ in pairs(entry.p) do streams = streams + 1 end
    moved = streams < batch.streams
  end
  if moved then entry.p[change.stream] = place end
  -- Its notice may be forgotten: told again where it stood, it stays what it is.
  local judged = moved and judge(entry)
  if moved or judged or not packed then keep(change.fp, entry) end
  trim()
  if packed then return 0 end
  -- A user may lack the right to the channel; what is kept does not depend on it.
  if type(redis.pcall('PUBLISH', batch.channel, change.json)) == 'table' then unpublished = 1 end
  for _, alert in ipairs(change.alerts) do raise(alert, change.at, arrival) end
  return 1
end

local function is_copy(notice, change)
  return notice.c == change.content and math.abs(notice.m - change.millis) <= batch.copies
end

-- Whether that changes anything: a copy that stands behind the first one does not.
local function note(change, place)
  local of_stream = notices_of(change.stream)
  local copy
  for _, notice in ipairs(of_stream) do
    if is_copy(notice, change) then copy = notice break end
  end
  if copy then
    if not is_behind(copy.p, place) then return false end
    copy.p = place
    if change.millis < copy.m then copy.m = change.millis end
  else
    table.insert(of_stream, {p = place, n = change.network, f = change.fork, c = change.content, m = change.millis})
    if #of_stream > batch.notices then table.remove(of_stream, 1) end
  end
  call('HSET', base .. ':notices', change.stream, cmsgpack.pack(of_stream))
  return true
end

local function reorg(change, place)
  if not note(change, place) then return end
  local networks = change.network and {change.network} or call('SMEMBERS', base .. ':networks')
  for _, network in ipairs(networks) do
    local undone = call('ZRANGE', base .. ':b:' .. network, change.fork, '+inf', 'BYSCORE')
    for _, fingerprint in ipairs(undone) do
      local packed = call('HGET', entries, fingerprint)
      if packed then
        local entry = cmsgpack.unpack(packed)
        if judge(entry) then keep(fingerprint, entry) end
      end
    end
  end
end

local new = 0
for _, change in ipairs(batch.changes) do
  local arrival = call('HINCRBY', base, 'arrivals', 1)
  local place = change.place or string.format('a%016x', arrival)
  if change.fork then
    reorg(change, place)
  else
    new = new + see(change, place, arrival)
  end
end
call('HSET', base, 'told', batch.through, 'keeper', batch.keeper, 'until', now + batch.keep_for)
return {'done', new, unpublished}
