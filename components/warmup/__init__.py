from components.warmup.component import warmup

__all__ = ["warmup"]
