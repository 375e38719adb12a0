"""What cases borrow: requirement marks, peers, recorders, child programs and ways to wait."""
