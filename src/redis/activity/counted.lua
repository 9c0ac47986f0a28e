-- Reads counters: whose they are, the hour, the field and its value, each.
-- KEYS[1]: the hash that the store begins with. ARGV: the first hour and the last, then 'all', or 'one' and a subject, or 'many' and how
-- many of the subjects that were active last.
local base, from, to = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local read = {}
local function add(whose, hour, field, value)
  hour = tonumber(hour)
  if hour >= from and hour <= to then
    read[#read + 1] = whose
    read[#read + 1] = hour
    read[#read + 1] = field
    read[#read + 1] = value
  end
end
local function add_subject(subject)
  local fields = redis.call('HGETALL', base .. ':s:' .. subject)
  for place = 1, #fields, 2 do
    local cut = string.find(fields[place], '\0', 1, true)
    add(subject, string.sub(fields[place], 1, cut - 1), string.sub(fields[place], cut + 1), fields[place + 1])
  end
end
if ARGV[3] == 'all' then
  for _, hour in ipairs(redis.call('ZRANGE', base .. ':hours', from, to, 'BYSCORE')) do
    local fields = redis.call('HGETALL', base .. ':h:' .. hour)
    for place = 1, #fields, 2 do add('', hour, fields[place], fields[place + 1]) end
  end
elseif ARGV[3] == 'one' then
  add_subject(ARGV[4])
else
  for _, subject in ipairs(redis.call('ZRANGE', base .. ':subjects', 0, ARGV[4] - 1, 'REV')) do
    add_subject(subject)
  end
end
return read
