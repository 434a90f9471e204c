from components.captions.collect import collect_captions
from components.captions.component import captions

__all__ = ["captions", "collect_captions"]
