-- The state of a stream and its group, and the next entries: as many as fit, all in one step.
-- XINFO STREAM has the first and the last entry whole; they are left out here, as they may be large.
local stream, group, consumer, after = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count, room = tonumber(ARGV[4]), tonumber(ARGV[5])
-- Losses up to here were told: the highest id that XDEL removed, and the highest of all; empty: read whatever is lost.
local told_deleted, told_last = ARGV[8], ARGV[9]
-- How far apart looks at the group are to be, and the longest that one consumer may be without one, in milliseconds.
local every, most = tonumber(ARGV[10]), tonumber(ARGV[11])

local function member(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then return list[i + 1] end
  end
end

local info = redis.pcall('XINFO', 'STREAM', stream)
if info.err then return info end
local groups = redis.pcall('XINFO', 'GROUPS', stream)
if groups.err then return groups end
local brief = {}
for i = 1, #info, 2 do
  local name, value = info[i], info[i + 1]
  if name ~= 'last-entry' then
    if name == 'first-entry' and value then value = { value[1] } end
    brief[#brief + 1] = name
    brief[#brief + 1] = value
  end
end

local ours, bell
for _, one in ipairs(groups) do
  if member(one, 'name') == group then ours = one end
  if member(one, 'name') == ARGV[7] then bell = one end
end
local function padded(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  if not ms or #ms > 20 or #sequence > 20 then return nil end
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #sequence) .. sequence
end

-- Where the group was when one of ours last looked. If it is further on, somebody else was given the entries
-- between, or skipped them: that is a gap, and is marked as one before it is forgotten here. A place that is
-- not known, as it may have been evicted, says nothing.
local before = ours and member(ours, 'last-delivered-id')
local at = redis.pcall('GET', KEYS[2])
local marked = true
if type(at) == 'string' and before and padded(at) and padded(before) > padded(at) then
  local answer = redis.pcall('HSET', KEYS[3], ARGV[6], 'taken by others')
  marked = type(answer) ~= 'table' or not answer.err
  if marked then
    brief[#brief + 1] = 'taken'
    brief[#brief + 1] = 1
  end
end
local function now_at(id)
  if marked and id and id ~= at then
    local answer = redis.pcall('SET', KEYS[2], id)
    -- Rather no place than one that is not ours any more.
    if answer.err then redis.pcall('DEL', KEYS[2]) end
  end
end
-- Entries in front of the group, counted where the server cannot tell: some of them were deleted, or the group was
-- moved. Each is copied for that, so they are counted once few bytes are left of them.
if ours then
  local delivered, gone = member(ours, 'last-delivered-id'), member(info, 'max-deleted-entry-id')
  local moved = member(info, 'entries-added') and not member(ours, 'entries-read')
  if moved or gone and padded(gone) > padded(delivered) then
    local unread, from, bytes = 0, delivered, 0
    while unread < 1000 and bytes < 262144 do
      local found = redis.pcall('XRANGE', stream, '(' .. from, '+', 'COUNT', 1)
      if found.err then return found end
      if not found[1] then
        brief[#brief + 1] = 'unread'
        brief[#brief + 1] = unread
        break
      end
      unread, from = unread + 1, found[1][1]
      for _, field in ipairs(found[1][2]) do bytes = bytes + #field end
    end
  end
end
now_at(before)
-- Whoever waits at the bell is woken by what stands behind the group, and by nothing else.
local function set_bell(id)
  if bell and id and member(bell, 'last-delivered-id') ~= id then
    redis.pcall('XGROUP', 'SETID', stream, ARGV[7], id)
  end
end
if count == 0 then
  set_bell(before)
  -- Looks are handed out in turn, whoever asks: so there are as many however many consumers there are.
  local taken, time = redis.pcall('GET', KEYS[4]), redis.pcall('TIME')
  if time.err then return { brief, groups, false } end
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  taken = type(taken) == 'string' and tonumber(taken) or 0
  local place = math.min(math.max(taken, now) + every, now + most)
  local set = redis.pcall('SET', KEYS[4], string.format('%.0f', place), 'PX', 2 * most)
  if not set.err then
    brief[#brief + 1] = 'next'
    brief[#brief + 1] = place - now
  end
  return { brief, groups, false }
end

-- Whether entries may be gone that the group has not read. That cannot be told any more once it has read what stands
-- behind them, so somebody has to write it down first.
local function may_tell_of_a_loss()
  local first, deleted = member(info, 'first-entry'), member(info, 'max-deleted-entry-id')
  if padded(member(info, 'last-generated-id')) < padded(told_last) then return true end
  if deleted and padded(deleted) > padded(before) and padded(deleted) > padded(told_deleted) then return true end
  if not first or padded(first[1]) <= padded(before) then return false end
  local added, read = member(info, 'entries-added'), member(ours, 'entries-read')
  local gone = added and added - member(info, 'length')
  return not gone or gone > 0 and (not read or gone > read)
end
if after == '>' and told_last ~= '' and before and may_tell_of_a_loss() then
  brief[#brief + 1] = 'stopped'
  brief[#brief + 1] = 1
  return { brief, groups, false }
end

-- How many entries fit; always one.
local taken = 0
local function fits(fields)
  local size = 0
  for _, field in ipairs(fields) do size = size + #field end
  if taken > 0 and size > room then return false end
  taken = taken + 1
  room = room - size
  return true
end
if after == '>' then
  local from = ours and member(ours, 'last-delivered-id')
  while from and taken < count do
    local found = redis.pcall('XRANGE', stream, '(' .. from, '+', 'COUNT', 1)
    if found.err then return found end
    if not found[1] or not fits(found[1][2]) then break end
    from = found[1][1]
  end
else
  local ours = redis.pcall('XPENDING', stream, group, '(' .. after, '+', count, consumer)
  if ours.err then return ours end
  for _, one in ipairs(ours) do
    local found = redis.pcall('XRANGE', stream, one[1], one[1])
    if found.err then return found end
    if not fits(found[1] and found[1][2] or {}) then break end
  end
end
local entries = redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', math.max(taken, 1),
  'STREAMS', stream, after)
if entries and entries.err then return entries end
if after == '>' then
  local list = entries and entries[1][2] or {}
  if #list > 0 then
    at = before
    before = list[#list][1]
    now_at(before)
  end
  set_bell(before)
end
return { brief, groups, entries }
