"""Training on many ranks: sharded weights, full state, checkpoints and their store."""
