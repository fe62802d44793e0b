"""Pictures of ensembles: arrays in, PNG out."""
