"""Bad input by the million: mutations of good records, by a seed."""
