"""Tests of the examples' links, by electrons in and out."""
