"""The live page and its JSON API, served by every worker's admin port.

Everything shown is read from Redis, never from the worker's own shards: any worker shows the whole
shop, and what a page says can be checked with `tidegate item` and `tidegate export`. That is why it
lives in `infra`, beside the keys, and not in `streams`, which must not know them. Reading, the
views (arrays in, `contracts` out, no I/O) and HTTP are files of their own:

    reading*.py  Redis -> Snapshot            (in threads; what may grow, at a pace of its own)
    items_keeper.py  the table of items       (in small pieces, with rests between them)
    views/*.py   Snapshot -> contracts.py     (pure)
    hub.py       one snapshot for everybody, pushed to whoever listens
    api.py       contracts.py -> JSON over HTTP; openapi.py describes it
    site.py      the static files and the headers that keep them harmless
"""
