"""What every stage stands on: ports, completion manifests, parameters, shards, errors. Knows no music."""
