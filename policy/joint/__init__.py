"""Several items of one supplier: what they order together, and how they share what is scarce.

Numbers in, numbers out, as all of `policy`. `answer_joint` takes one case as `tidegate joint` does.

- `run_out`: a container filled, or an order raised to a value, so that all items last equally long
- `minimum_value`: raise an order to the supplier's minimum, or wait for the next review
- `shared_price`: one price for a budget or a capacity, and the last fill by key
- `cycles`: how often to order each item where demand is certain (joint replenishment)
- `items`, `chain`, `can_order`, `periodic`, `optimum`, `simulation`: levels under uncertain demand,
  with a header cost for each order and a line cost for each item in it
- `history`: joint orders against single ones on demand that really was
- `models`, `cases`: a case as JSON gives it
"""

from policy.joint.cases import answer_joint, joint_reference

__all__ = ["answer_joint", "joint_reference"]
