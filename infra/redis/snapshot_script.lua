-- Return all keys of one partition with their values, of one moment. Redis serves nobody meanwhile.
-- KEYS[1]  the shard's hash
-- ARGV     a pattern that fits the partition's keys
-- Returns for each key: its name, its type, its values (of a hash: name, value, name, value...).
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local values = {}
  if kind == 'hash' then
    values = redis.call('HGETALL', key)
  elseif kind == 'list' then
    values = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'string' then
    values = {redis.call('GET', key)}
  end
  found[#found + 1] = {key, kind, values}
end
return found
