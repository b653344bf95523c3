"""The tables of a shard: items, rings, memories, pending events, open lines and orders, outbox."""
