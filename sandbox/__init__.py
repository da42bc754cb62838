"""A small data space to try Catena on: a DLT-Booth with its provider, catalogue nodes, and offerings of our own."""
