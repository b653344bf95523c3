"""Campaigns in numbers: is a plan feasible, what to do while it runs, what to learn from it.

- `case`: what a check is given; `reading_case` and `reading_capacity` read it strictly
- `supply`: usable stock, what arrives in time with its chance, what will be short
- `capacity`: what a warehouse lets through within the promise
- `program`: the largest feasible target and the cheapest actions, as a mixed-integer program
- `check`: the answer, as one JSON object
- `queue`, `release`: what may be sold and promised now; `slip`: orders that will be late
- `running`: these for a whole campaign; `report`: plan against actual, and what to learn
- `thresholds`, `staff`, `budget`: limits that people set, people needed, ad budget to move
"""
