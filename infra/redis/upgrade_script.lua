-- Put the prepared newest form of a shard in the place of the older one, all of it at once.
-- KEYS[1]  the shard's hash; every other key has the same hash tag
-- ARGV     fencing token, meta before, meta after, layout after,
--          then commands, each as: number of words, words
-- The commands only rename and delete what is there, so that none of them can fail half way.
local stored = redis.call('HMGET', KEYS[1], 'claim', 'meta')
if stored[1] ~= ARGV[1] then return 'stale_lease' end
if stored[2] == ARGV[3] then return 'already' end
if stored[2] ~= ARGV[2] then return 'mismatch' end
local at = 5
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
redis.call('HSET', KEYS[1], 'meta', ARGV[3], 'layout', ARGV[4])
return 'ok'
