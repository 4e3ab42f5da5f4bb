"""Measurements of the whole chain on real collections."""
