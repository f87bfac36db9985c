"""theory."""

from collapse_jax.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task


def get_config(arg: str = "") -> Experiment:
    return Experiment(
        name="The network of the theorem",
        grid=Grid(
            weight_decay=(0.3, 0.1, 0.03), learning_rate=(3e-5, 1e-4, 3e-4, 1e-3), init_scale=(1.0,), seed=(0,)
        ),
        steps=20_000,
        batch_size=0,
        task=Task(train_size=100, test_size=1000),
        model=Model(hidden=(128, 64, 32), activation="smooth_leaky_relu", last_layer_act=False),
        optimizer=Optimizer("gd"),
        log=Schedule(rule="geometric", points=60),
        snapshots=Snapshots(content=()),
    )
