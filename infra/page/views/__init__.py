"""From what was read to what is shown: pure functions, one file for each part of the page."""
