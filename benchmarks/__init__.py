"""Speed and memory, measured against PyTorch loops on the same machine in the same run.

    pip install -e ".[bench]"
    python -m benchmarks.sweep_speed      # every speed goal, one table
    python -m benchmarks.scaling          # throughput and memory against runs, width, data and devices
    python -m benchmarks.opponents        # the PyTorch loops alone

Run from the root of a checkout, on a machine that does nothing else; each command says how busy the cores were
with other work.
"""
