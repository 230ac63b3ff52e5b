"""Names of a trial's files within its store."""


def rows_file(table: str, trial_id: str) -> str:
    """Name the file of a trial's rows, until they are merged with those of others."""
    return f"{table}/{trial_id}.parquet"


def checkpoint_file(trial_id: str) -> str:
    """Name a trial's checkpoint."""
    return f"checkpoints/{trial_id}"


def log_file(trial_id: str) -> str:
    """Name a trial's log."""
    return f"logs/{trial_id}.log"
