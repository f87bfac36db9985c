"""The process and the machine: settings of jax, signals, processes of a job, progress, paths, files."""
