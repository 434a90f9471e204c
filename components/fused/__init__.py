from components.fused.collect import collect_annotation
from components.fused.component import captions_synthesize

__all__ = ["captions_synthesize", "collect_annotation"]
