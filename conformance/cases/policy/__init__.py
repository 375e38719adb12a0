"""Cases for the policy page of the documentation."""
