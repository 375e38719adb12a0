"""Cases for the platforms page of the documentation."""
