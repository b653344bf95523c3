"""The process around the shards: ownership, commits, publishing, heartbeats."""
