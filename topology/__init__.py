"""The topology: the topics, settings, ring, gateway and runner that join the links into one catalogue."""
