"""Settings, errors and logging: a leaf that imports none of our other packages."""
