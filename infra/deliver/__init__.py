"""Purchase orders on their way to destinations: webhooks, folders, mail, EDI files.

One process (`tidegate deliver run`) reads `purchase-orders` and `order-responses`, keeps what is to
be sent in an outbox on disk, and sends it in order. A message has one id for each version of an
order, the same at every try. What cannot be known to be delivered is `unknown`: machines get it
again under the same id, people are asked about it.

    messages       records of the topics -> what a destination is to be sent
    destinations   a TOML file -> where to, how, and for which suppliers
    schedule       when to try again
    webhook, files, mail, odoo, edifact, x12   one try, and how its end is judged
    gathering      several orders to one supplier -> one document
    outbox         what is waiting, sending, delivered, refused or unknown; survives kill -9
    metrics        the outbox -> Prometheus
    intake         the topics -> the outbox, each record once
    courier        the outbox -> the destinations
"""
