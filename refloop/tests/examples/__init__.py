"""Programs of the kind that each page of the documentation shows."""
