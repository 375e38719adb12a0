"""What a run found, as a value, and everything that people and machines read of it."""
