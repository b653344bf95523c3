-- Run commands on a partition's keys as long as an import holds its lease.
-- KEYS[1]  the shard's hash; every other key has the same hash tag
-- ARGV     fencing token, then commands, each as: number of words, words
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 'stale_lease' end
local at = 2
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
return 'ok'
