"""Stop training that diverged, naming the step and the likely cause; nothing that is not finite is kept."""

import math
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from music_flamingo.core.errors import UserError

WATCHED = ("loss", "grad_norm", "kl", "entropy")
"""Of what a step logs."""


class DivergedError(UserError):
    """Loss, gradients or weights are not finite: the same configuration would diverge again."""


class RequireFinite(TrainerCallback):
    """End training at the first step whose loss or gradients are not finite.

    Costs nothing: the trainer has these numbers already. Every rank sees the same ones, so all of them end.
    """

    def __init__(self, label: str) -> None:
        self.label = label

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Look at what this step logged. Raises DivergedError."""
        bad = {name: logs[name] for name in WATCHED if logs and name in logs and not math.isfinite(float(logs[name]))}
        if bad:
            shown = ", ".join(f"{name} {value}" for name, value in bad.items())
            raise DivergedError(
                f"{self.label}: at step {state.global_step} of {state.max_steps} training diverged ({shown}). "
                f"The learning rate was {state.log_history[-1].get('learning_rate', args.learning_rate):g}, gradients "
                f"are clipped at {args.max_grad_norm:g}. Checkpoints up to the last finite step stay. Lower "
                f"{self.label}.optimiser.learning_rate or lengthen its warm-up; nothing was sealed."
            )


def require_finite_weights(model: torch.nn.Module, label: str) -> None:
    """Refuse a model with weights that are not finite. Raises DivergedError naming the first of them."""
    require_finite_tensors(dict(model.named_parameters()), label)


def require_finite_tensors(tensors: dict[str, torch.Tensor], label: str) -> None:
    """As `require_finite_weights`, on named tensors; integers are passed over."""
    bad = [n for n, x in tensors.items() if x.is_floating_point() and not bool(torch.isfinite(x).all())]
    if bad:
        raise DivergedError(
            f"{label}: {len(bad)} of {len(tensors)} weight tensors hold values that are not finite, the first is "
            f"{bad[0]}. The step before took them there: lower {label}.optimiser.learning_rate. Nothing was sealed."
        )
