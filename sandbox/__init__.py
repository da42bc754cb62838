"""A small data space for trying Catena: a DLT-Booth with its provider, catalogue nodes, and made-up offerings."""
