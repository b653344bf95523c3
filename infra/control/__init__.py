"""What people order: pauses, approvals and holds, as entries of the audit log."""
