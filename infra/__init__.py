"""What surrounds the live system: servers, settings, the page and the command line.

Each package or module imports only those above it; nothing connects before `bootstrap` is called.

    alone      sale (a seed -> events of a made-up sale), replay (a file -> records for Kafka),
               settings (flags, environment, file -> one frozen object), wording (codes -> words),
               supervisor (restarts a worker that ends or hangs), alertmanager (silences)
        |
    admin      settings -> who may use the port, and the server of health, metrics, page and API
    connect    a shop's files and messages -> events; pure but for reading files
    kafka      settings -> clients, topics, records, the consumer group
        |
    redis      a shard's commit -> one fenced write; keys -> rows for people; state <-> files
    receiver   a shop's webhooks and topics, live -> events in the input topics
    local      a folder -> broker, Redis and a worker on this machine
        |
    control    what people order -> the audit log -> pauses and holds of the hand-over
    deliver    topics of orders -> an outbox on disk -> webhooks, folders, mail, EDI files
        |
    campaigns  files, Redis and the audit log -> campaign documents and their check
        |
    metrics    a worker, its shards, its holds -> Prometheus
    page       a snapshot of Redis -> views, as JSON and as a page
        |
    bootstrap  settings -> one worker of `streams`, wired with all of the above
        |
    cli        the command `tidegate`: one module a command

Generated, or run by hand: `contract_files` and `asyncapi` (contracts -> YAML), `settings_reference`
(settings -> the table of README.md), `compile` (kernels -> numba's cache).
"""
