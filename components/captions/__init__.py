from components.captions.component import captions

__all__ = ["captions"]
