"""A whole stack on this machine: embedded broker and Redis-compatible server, and a worker."""
