from components.backbone.component import backbone

__all__ = ["backbone"]
