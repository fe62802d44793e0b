"""The demo: the whole way from a file to ranked models, in the steps an operator would take."""
