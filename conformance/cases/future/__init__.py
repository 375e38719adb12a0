"""Cases for the future page of the documentation."""
