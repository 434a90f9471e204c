"""Serving: verify and load a release, answer over HTTP and on the command line."""
