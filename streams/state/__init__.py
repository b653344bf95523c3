"""The tables of a shard: items, rings, memories, pending events, open orders, outbox."""
