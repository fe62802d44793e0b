"""Combining models: votes as bit arithmetic, blends, greedy choice, stacking, and their luck.

Arrays in, arrays out. Imports configs, and of models what judges decisions.
"""
