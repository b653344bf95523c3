"""The exact policy of one item whose lead times are shorter than its review period."""
