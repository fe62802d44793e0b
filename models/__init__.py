"""Estimators, resampling and metrics: arrays in, arrays out. Imports only configs."""
