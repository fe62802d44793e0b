"""Revisions, in order. Their sum is storage/schema.py."""
