"""The order desk on the command line: open purchase orders, and their delivery."""
