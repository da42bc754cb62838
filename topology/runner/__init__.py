"""The local runner: the whole topology as processes of one machine."""
