"""The generated parts of README.md and docs/, from the published results: `python -m reproduce.comparison.pages`."""
