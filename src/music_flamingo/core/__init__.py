"""The base of all stages: ports, completion manifests, parameters, shards, errors. Knows no music."""
