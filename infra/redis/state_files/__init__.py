"""A whole shop's state as files: written by `export`, read back by `restore`."""
