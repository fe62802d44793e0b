"""Use cases: one batch mode is one file in pipeline/modes; pipeline.run is where to start."""
