"""Kubernetes: multi-pod training jobs, deployment of a release, storage diagnostics."""
