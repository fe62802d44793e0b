"""What fits, saves and loads a model kind, with its library: only workers import it."""
