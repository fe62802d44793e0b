"""All input and output: database, model store, local cache. Imports only configs."""
