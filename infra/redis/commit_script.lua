-- One atomic, fenced commit of a shard.
-- KEYS[1]  the shard's hash; every other key of the commit has the same hash tag
-- ARGV     fencing token, sequence before, sequence after, offsets before, offsets after, meta,
--          then commands, each as: number of words, words
local stored = redis.call('HMGET', KEYS[1], 'claim', 'sequence', 'offsets')
if not stored[1] then return 'missing' end
if stored[1] ~= ARGV[1] then return 'stale_lease' end
if stored[2] == ARGV[3] then return 'already' end
if stored[2] ~= ARGV[2] or stored[3] ~= ARGV[4] then return 'mismatch' end
local at = 7
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
redis.call('HSET', KEYS[1], 'sequence', ARGV[3], 'offsets', ARGV[5], 'meta', ARGV[6],
  'writer', ARGV[1])
return 'ok'
