"""The local runner: the whole topology as processes on one machine."""
