"""The six links of the topology, one file each."""
