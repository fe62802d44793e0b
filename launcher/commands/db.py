"""Create or migrate the database, check it, print its grants."""
