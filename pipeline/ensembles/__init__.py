"""What ensemble batches do, and predict batches that apply one; models alone are in `pipeline`."""
