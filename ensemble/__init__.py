"""Combining models: votes as bit arithmetic, blends, greedy choice, stacking, and their luck.

Arrays in, arrays out. Imports only configs.
"""
