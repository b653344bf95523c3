"""Which purchase orders may leave now, and why the others wait."""
