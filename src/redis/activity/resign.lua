-- Ends being the keeper. KEYS[1]: the hash that the store begins with. ARGV: the keeper's name.
if redis.call('HGET', KEYS[1], 'keeper') == ARGV[1] then redis.call('HDEL', KEYS[1], 'keeper', 'until') end
return 0
