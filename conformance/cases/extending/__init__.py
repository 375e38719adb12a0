"""Cases for the extending page of the documentation."""
