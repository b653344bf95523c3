"""What the commands share: text and tables, progress bars, pictures, errors as one line."""
