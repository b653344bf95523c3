"""Redis: names of keys, stored forms, the fenced commit, and readers for people."""
