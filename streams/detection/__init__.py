"""What is out of the ordinary: surges, shortfalls, silence, stock that will not last."""
