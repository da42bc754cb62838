"""Fuzzing of everything that strangers send: the ledger's and the nodes' answers, descriptions, and messages."""
