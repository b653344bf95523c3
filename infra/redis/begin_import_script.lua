-- Take a partition for an import: from now on it holds no state, no commit is accepted, and no
-- worker gets a lease until the import has put its state there.
-- KEYS[1]  the shard's hash
-- ARGV     fencing token, a word for the state that is imported
-- Returns the epoch.
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) + 1
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', epoch, 'claim', ARGV[1], 'importing', ARGV[2])
return epoch
