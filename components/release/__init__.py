from components.release.component import release

__all__ = ["release"]
