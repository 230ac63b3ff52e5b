"""Names of a trial's files within its store."""

ARTIFACTS = "artifacts"
"""The folder of all artifacts."""


def rows_file(table: str, trial_id: str) -> str:
    """Name the file of a trial's rows, until they are merged with those of others."""
    return f"{table}/{trial_id}.parquet"


def checkpoint_folder(trial_id: str) -> str:
    """Name the folder of a trial's heads and of the files that they list."""
    return f"checkpoints/{trial_id}"


def trial_folder(trial_id: str) -> str:
    """Name the folder that a trial writes to itself, on a local store."""
    return f"folders/{trial_id}"


def artifact_folder(trial_id: str) -> str:
    """Name the folder of what a trial has left to be kept."""
    return f"{ARTIFACTS}/{trial_id}"


def log_file(trial_id: str) -> str:
    """Name a trial's log."""
    return f"logs/{trial_id}.log"
