"""Evaluate models on held-out pieces and published benchmarks: controls, intervals, tables, the release gate."""
