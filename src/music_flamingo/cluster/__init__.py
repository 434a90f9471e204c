"""What is asked of a Kubernetes cluster: training jobs of many pods, deployment of a release, storage looked over."""
