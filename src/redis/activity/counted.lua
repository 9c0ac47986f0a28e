-- Reads counters: whose they are, the hour, the field and its value, each.
-- KEYS[1]: the hash that the store begins with. ARGV: the first hour and the last, then 'all', or 'one' and a subject, or 'many' and how
-- many of the subjects that were active last.
local base = KEYS[1]
local read = {}
local function add(whose, hour, field, value)
  read[#read + 1] = whose
  read[#read + 1] = hour
  read[#read + 1] = field
  read[#read + 1] = value
end
local subjects = {}
if ARGV[3] == 'one' then
  subjects = {ARGV[4]}
elseif ARGV[3] == 'many' then
  subjects = redis.call('ZRANGE', base .. ':subjects', 0, ARGV[4] - 1, 'REV')
end
for _, hour in ipairs(redis.call('ZRANGE', base .. ':hours', ARGV[1], ARGV[2], 'BYSCORE')) do
  -- What there is of all says what there can be of a subject.
  local all = redis.call('HGETALL', base .. ':h:' .. hour)
  for place = 1, #all, 2 do
    if ARGV[3] == 'all' then add('', hour, all[place], all[place + 1]) end
  end
  for _, subject in ipairs(subjects) do
    local fields = {}
    for place = 1, #all, 2 do fields[#fields + 1] = subject .. '\0' .. all[place] end
    -- Lua unpacks no more than 8,000.
    for first = 1, #fields, 1000 do
      local last = math.min(first + 999, #fields)
      local values = redis.call('HMGET', base .. ':hs:' .. hour, unpack(fields, first, last))
      for place, value in ipairs(values) do
        if value then add(subject, hour, string.sub(fields[first + place - 1], #subject + 2), value) end
      end
    end
  end
end
return read
