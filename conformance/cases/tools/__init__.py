"""Cases for the tools page of the documentation."""
