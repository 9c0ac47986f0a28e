-- Reads a feed, newest first: each entry's cursor, whether it is undone, and its JSON.
-- KEYS[1]: the hash that the store begins with. ARGV: the feed's name behind ':feed' and ':undone', how many of those that are not undone
-- it has, the cursor that the entries stand behind or '+', how many are read, whether also undone ones, then types; all types, if
-- there are none.
local base, most, limit = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local entries = base .. ':entries'
local types, any = {}, #ARGV < 6
for place = 6, #ARGV do types[ARGV[place]] = true end
local from = ARGV[3] == '+' and '+' or '(' .. ARGV[3]
local last = redis.call('ZRANGE', base .. ':feed' .. ARGV[1], -most, -most)[1]
local to = '-'
if last then to = '[' .. string.sub(last, 1, 64) end

local found = {}
local function find(feed, mark)
  local page, number, next_from = 250, 0, from
  while number < limit do
    local members = redis.call('ZRANGE', feed, next_from, to, 'BYLEX', 'REV', 'LIMIT', 0, page)
    for _, member in ipairs(members) do
      if number < limit and (any or types[string.sub(member, 65)]) then
        local packed = redis.call('HGET', entries, string.sub(member, 33, 64))
        if packed then
          found[#found + 1] = {string.sub(member, 1, 64), mark, packed}
          number = number + 1
        end
      end
    end
    if #members < page then return end
    next_from = '(' .. members[#members]
  end
end
find(base .. ':feed' .. ARGV[1], '.')
if ARGV[5] == '1' then
  find(base .. ':undone' .. ARGV[1], 'x')
  -- As bytes, whatever the server's locale.
  table.sort(found, function(one, two)
    for at = 1, 64 do
      local a, b = string.byte(one[1], at), string.byte(two[1], at)
      if a ~= b then return a > b end
    end
    return false
  end)
end

local read = {}
for place = 1, math.min(limit, #found) do
  local entry = found[place]
  read[#read + 1] = entry[1]
  read[#read + 1] = entry[2]
  read[#read + 1] = cmsgpack.unpack(entry[3]).j
end
return read
