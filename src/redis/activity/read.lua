-- Reads a feed, newest first: each entry's cursor, whether it is undone, and its JSON.
-- KEYS[1]: the hash that the store begins with. ARGV: the feed's name behind that, the cursor that the entries stand behind or '+',
-- how many, whether also undone ones, then types; all types, if there are none.
local feed, entries = KEYS[1] .. ARGV[1], KEYS[1] .. ':entries'
local limit, also_undone = tonumber(ARGV[3]), ARGV[4] == '1'
local types, any = {}, #ARGV < 5
for place = 5, #ARGV do types[ARGV[place]] = true end
local from = ARGV[2] == '+' and '+' or '(' .. ARGV[2]
local read = {}
local offset, page = 0, 250
while #read < limit * 3 do
  local members = redis.call('ZRANGE', feed, from, '-', 'BYLEX', 'REV', 'LIMIT', offset, page)
  for _, member in ipairs(members) do
    local undone = string.sub(member, 65, 65) == 'x'
    if (also_undone or not undone) and (any or types[string.sub(member, 66)]) then
      local cursor = string.sub(member, 1, 64)
      local packed = redis.call('HGET', entries, string.sub(cursor, 33))
      if packed then
        read[#read + 1] = cursor
        read[#read + 1] = undone and 'x' or '.'
        read[#read + 1] = cmsgpack.unpack(packed).j
        if #read >= limit * 3 then break end
      end
    end
  end
  if #members < page then break end
  offset = offset + page
end
return read
