"""The compiled solver behind `policy.decide`: one kernel a file, over rows of parameters."""
