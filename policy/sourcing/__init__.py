"""Classic periodic dual sourcing with longer lead times: one instance, solved with bounds."""
