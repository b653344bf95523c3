"""What a file is, what its columns are and how they are written: found out, or asked."""
