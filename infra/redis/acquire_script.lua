-- Take a shard over: from now on only commits under the new lease are accepted.
-- KEYS[1]  the shard's hash
-- ARGV     consumer group generation, a fencing token that no other lease has
-- The epoch is for people. It cannot tell leases apart: a Redis that came back older counts again
-- from where it stood, and the generations of a group that was made anew begin at 1.
-- The field is called 'claim' for workers of an older version, which look for it there.
-- Returns the epoch, and sequence, offsets and the lease that wrote them, as they are stored.
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'sequence', 'offsets', 'writer', 'importing')
if stored[5] then
  return redis.error_reply('IMPORTING half of a state is here: run `tidegate state import` to its end')
end
local epoch = math.max(tonumber(stored[1] or 0) + 1, tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'epoch', epoch, 'claim', ARGV[2])
if not stored[2] then
  redis.call('HSET', KEYS[1], 'sequence', 0, 'offsets', '{}', 'writer', '')
end
return {tostring(epoch), stored[2] or '0', stored[3] or '{}', stored[4] or ''}
