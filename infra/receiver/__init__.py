"""A shop's messages, live: webhooks and records of its own topics, as Tidegate's events.

One process, `tidegate connect run`, in three steps that a crash may come between:

    webhooks        a signed message -> the topic `connect-raw`, then 200
        |
    pump            `connect-raw` and the shop's topics -> `infra.connect` -> events in the inputs
        |
    state           then what is known of each order line, and how far was read -> `connect-state`

Events come first, what is known second. After a crash the same messages are read again by the same
knowledge, and give the same events under the same ids, which the workers know already. What is
known lies in a compacted topic alone: without it, nothing is read before it is read back.

    config          what the sources are, from a TOML file
    signatures      whether a message comes from who it says
    topics          the three topics, and the records in them
    measures        counters, by source
"""
