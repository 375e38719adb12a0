"""Cases for the exceptions page of the documentation."""
