-- Sets what a group has read to what it has, after a loss that was told: unless anything changed
-- since, which nobody has looked at yet.
local stream, group = KEYS[1], ARGV[1]
local function member(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then return list[i + 1] end
  end
end
local info = redis.pcall('XINFO', 'STREAM', stream)
if info.err then return info end
local groups = redis.pcall('XINFO', 'GROUPS', stream)
if groups.err then return groups end
for _, one in ipairs(groups) do
  if member(one, 'name') == group and member(one, 'last-delivered-id') == ARGV[2]
    and member(info, 'entries-added') == tonumber(ARGV[3]) and member(info, 'length') == tonumber(ARGV[4])
    and member(info, 'max-deleted-entry-id') == ARGV[5] then
    local set = redis.pcall('XGROUP', 'SETID', stream, group, ARGV[6], 'ENTRIESREAD', ARGV[7])
    -- Our own doing, and no gap.
    if not set.err and redis.call('EXISTS', KEYS[2]) == 1 then redis.pcall('SET', KEYS[2], ARGV[6]) end
    return set
  end
end
return false
