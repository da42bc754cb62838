"""What a query can see: its text, its plan, and what may be left to the nodes."""
