"""Stock pressure: what stock is worth, what is too much, what will not sell, and what to do.

- `cover`: cover, turnover and value tied up of each item; dead stock
- `overstock`: stock beyond an item's need, by class
- `expiry`: units of lots that will not sell before they expire
- `promotions`: the rules that turn pressure into a promotion, and what it would bring
"""
