"""The version of Catena, in one place."""

__version__ = "0.2.0"
