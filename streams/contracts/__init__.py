"""What goes in and out: events, purchase orders, alerts, topics, and the ids of things."""
