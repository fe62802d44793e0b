"""Combining models: votes as bit arithmetic, blends, greedy choice, stacking, and their luck.

Arrays in, arrays out; of models it imports what judges decisions.
"""
