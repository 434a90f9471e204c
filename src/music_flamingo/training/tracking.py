"""Log metrics to TensorBoard and MLflow (side effects only), under the names that `log.jsonl` uses.

transformers' own callbacks would log more (clocks, folders, every raw name) and begin a second run after an
interruption. Here an interrupted run goes on in the same places: TensorBoard drops the steps that come again, MLflow's
run is found by the number kept next to the checkpoints, which go once the stage is done.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from music_flamingo.core.errors import UserError
from music_flamingo.core.shards import write_atomic
from music_flamingo.training.log import Line, log_lines
from music_flamingo.training.settings import MLflow, Tracking

log = logging.getLogger(__name__)

RUN_FILE = "mlflow_run"
"""Holds the run's number, next to the checkpoints."""

BATCH = 1000
"""Numbers that MLflow takes at once."""


class Onlooker(Protocol):
    """A receiver of metrics."""

    def tell(self, step: int, numbers: dict[str, float]) -> None:
        """Receive the numbers of one step, by name."""

    def keep(self) -> None:
        """Leave nothing unwritten: the process may end after this."""

    def close(self) -> None:
        """Flush and end."""


class TrackingCallback(TrainerCallback):
    """Tells every onlooker of each logged step. Of several processes the first alone tells."""

    def __init__(self, tracking: Tracking, stage: str, work: Path) -> None:
        self.tracking = tracking
        self.stage = stage
        self.work = work
        self._onlookers: list[Onlooker] = []

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the configured receivers, in the first rank only."""
        if not state.is_world_process_zero:
            return
        if self.tracking.tensorboard is not None:
            self._onlookers.append(EventFiles(Path(self.tracking.tensorboard) / self.stage, state.global_step))
        if self.tracking.mlflow is not None:
            self._onlookers.append(MLflowRun(self.tracking.mlflow, self.stage, self.work / RUN_FILE))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Line | None = None, **_: Any
    ) -> None:
        """Send a step's numbers to every receiver."""
        for line in log_lines([{**(logs or {}), "step": state.global_step}]):
            numbers = {name: float(value) for name, value in line.items() if isinstance(value, float)}
            for onlooker in self._onlookers:
                onlooker.tell(line["step"], numbers)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Flush the receivers with each checkpoint."""
        for onlooker in self._onlookers:
            onlooker.keep()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the receivers."""
        for onlooker in self._onlookers:
            onlooker.close()
        self._onlookers = []


class EventFiles:
    """TensorBoard's event files in `folder`; steps after `from_step` that an interrupted run wrote are dropped."""

    def __init__(self, folder: Path, from_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=from_step + 1 if from_step else None)

    def tell(self, step: int, numbers: dict[str, float]) -> None:
        """Add the numbers of one step to the event file."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def keep(self) -> None:
        """Flush the event file."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class MLflowRun:
    """A run of the experiment, named after the stage; `number` is the file that holds its id."""

    def __init__(self, settings: MLflow, stage: str, number: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # MLflow 3.17 wants to be told that a folder is meant and no database was forgotten
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        # seven tries, its own number, hold a step up for four minutes; here what failed is sent again later
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            self._client = MlflowClient(tracking_uri=settings.uri)
            self._run_id = number.read_text() if number.is_file() else self._begin(settings.experiment, stage)
            self._client.update_run(self._run_id, status="RUNNING")
        except MlflowException as error:
            raise UserError(
                f"MLflow at {settings.uri} cannot take the run of `{stage}` ({error}). Mend `{stage}.tracking.mlflow`, "
                "or set it to null: results do not depend on it."
            ) from error
        write_atomic(number, self._run_id)
        self._waiting: list[Any] = []
        self._reached = True

    def _begin(self, experiment: str, stage: str) -> str:
        found = self._client.get_experiment_by_name(experiment)
        at = found.experiment_id if found else self._client.create_experiment(experiment)
        return str(self._client.create_run(at, run_name=stage).info.run_id)

    def tell(self, step: int, numbers: dict[str, float]) -> None:
        """Queue the numbers of one step, and send them where the server is reached."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now_ms, step) for name, value in numbers.items()]
        if self._reached:
            self._send()

    def keep(self) -> None:
        """Send what is queued."""
        self._send()

    def close(self) -> None:
        """Send what is queued and mark the run as finished."""
        self._send()
        if self._reached:
            self._client.set_terminated(self._run_id)

    def _send(self) -> None:
        """A server that is gone stops no training: what it missed is sent with the next checkpoint, or at the end."""
        from mlflow.exceptions import MlflowException

        try:
            while self._waiting:
                self._client.log_batch(self._run_id, self._waiting[:BATCH])
                del self._waiting[:BATCH]
            self._reached = True
        except MlflowException as error:
            self._reached = False
            log.warning("MLflow did not take the last steps (%s); log.jsonl will have them", error)
