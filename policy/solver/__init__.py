"""The compiled solver behind `policy.live_decision`: one kernel a file, over rows of parameters."""
