"""Answering over HTTP and on the command line: a release is checked, loaded, and asked."""
