"""Data set cards: README.md in a port, read by people and, in its front matter, by the `datasets` library.

A card's figures are counted from the shards themselves, column by column and shard by shard, so that millions of rows
need no more memory than one shard. Equal data give equal cards: no clock, no path of a machine.
"""
