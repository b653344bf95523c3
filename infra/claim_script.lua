-- Take a shard over: from now on only commits with the new epoch are accepted.
-- KEYS[1]  the shard's hash
-- ARGV     consumer group generation
-- Returns the epoch, and sequence and offsets as they are stored.
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'sequence', 'offsets')
local epoch = math.max(tonumber(stored[1] or 0) + 1, tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'epoch', epoch)
if not stored[2] then
  redis.call('HSET', KEYS[1], 'sequence', 0, 'offsets', '{}')
end
return {tostring(epoch), stored[2] or '0', stored[3] or '{}'}
