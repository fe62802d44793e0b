"""The grid of score bands, by their numbers in the database; models/bands.py says what they are."""

LOWEST, HIGHEST = -10, 9
