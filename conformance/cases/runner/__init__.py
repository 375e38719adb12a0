"""Cases for the runner page of the documentation."""
