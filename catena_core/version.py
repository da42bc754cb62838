"""The version of Catena, in one place. It ends in .dev0 until the release that the top of CHANGELOG.md describes."""

__version__ = "0.3.0.dev0"
