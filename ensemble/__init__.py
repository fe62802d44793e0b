"""Voting ensembles as bit arithmetic: arrays in, arrays out. Imports only configs."""
