"""Which steps are logged and which are stored."""

import numpy as np

from collapse_jax.experiment import config


def schedule_steps(schedule: config.Schedule, steps: int) -> np.ndarray:
    """Return the sorted, unique steps of a schedule, counted in optimizer updates.

    Step t is the state after t updates: step 0 is the initialisation, and `steps`, always included, is the end.

    Args:
      schedule: the rule; see `config.Schedule`. The "reference" rule is the one of the public code of
        arXiv 2509.20829.
      steps: updates of the whole run.

    Returns:
      [T] int64 steps in [0, steps].
    """
    if schedule.rule == "reference":
        period = max(steps // schedule.points, 1)
        chosen = np.concatenate([np.arange(30), np.arange(30, 150, 10), np.arange(0, steps + 1, period)])
        chosen = chosen[chosen <= steps]
    elif schedule.rule == "geometric":
        chosen = np.rint(np.geomspace(1, steps, schedule.points)).astype(np.int64)
        chosen = np.append(chosen, 0)
    else:
        chosen = np.array([], np.int64)
    return np.unique([*chosen, *schedule.at, steps]).astype(np.int64)
