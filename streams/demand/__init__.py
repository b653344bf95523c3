"""What an item sells outside surges: estimate, week, exposure, baseline, campaigns."""
