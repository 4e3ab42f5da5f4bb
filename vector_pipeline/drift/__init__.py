"""What was recorded as deployed against what a target holds, and the fewest writes that make them equal."""
