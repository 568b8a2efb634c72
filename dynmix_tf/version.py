"""The one place that holds the version; `pyproject.toml` has it read without importing."""

__version__ = "0.1.0"
