"""What every layer needs: settings, errors, logging, the words of messages, libraries by name.

A leaf: it imports none of our other packages.
"""
