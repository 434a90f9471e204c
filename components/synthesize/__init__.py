from components.synthesize.collect import collect_synthesize
from components.synthesize.component import synthesize

__all__ = ["collect_synthesize", "synthesize"]
