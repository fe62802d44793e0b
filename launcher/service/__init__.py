"""The program that runs all the time: it claims batches, runs each in a child, keeps its lease."""
