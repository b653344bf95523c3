"""Events of a shop in, purchase orders and alerts out: the live system, stage by stage.

Each stage is a package and imports only those above it; `README.md` says how time works and what is
promised. Six small modules serve all: `types`, `hashing`, `index_set`, `exact_sums`, `timestamps`,
and `settings`, where the defaults of all stages stand.

    contracts       events, purchase orders, alerts, topics: the form of all that goes in or out
        |
    ingest          record batches -> columns; bad and late records -> their topics
        |
    state           the tables of one partition that the stages below read and write
        |
    demand          closed days -> estimate, week, baseline and campaigns of an item
        |
        +-- detection       sums, estimates -> surges, shortfalls, silence, low cover
        |       |
        |   incidents       what was detected -> incidents, and alerts in the outbox
        |       |
        |   groups          facts of all partitions -> incidents of shop, categories, campaigns
        |
        +-- replenishment   an item at its turn -> a decision of `policy` -> orders in the outbox
        |
    timeline        the watermark -> all that is due, boundary by boundary, in one order
        |
    shard           columns -> the state of one partition; changed rows, offsets, outbox -> a commit
        |
        |   handover        an order, its status, facts of the system -> may it leave, or why not
        |   |
    worker          the process: owns shards, commits, publishes what the hand-over lets go
"""
