"""What `tidegate doctor` looks at, one module for each thing that it asks."""
