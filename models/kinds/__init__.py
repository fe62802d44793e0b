"""What a model kind accepts and needs: ML-XGB is ml_xgb.py. Imports no library of models."""
