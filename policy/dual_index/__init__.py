"""The rule for a lean supplier that is more than a review slower: two levels on two positions.

`arrivals` says what of the open orders comes when, `projection` what stock and demand will be,
`rule` what is ordered, `simulation` what that costs and serves, `fit` finds the levels.
"""
