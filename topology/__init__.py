"""What joins the links into one catalogue: topics, settings, the ring, and what runs them."""
