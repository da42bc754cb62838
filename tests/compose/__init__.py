"""The Compose files run for real: ``make test-compose``, where a Docker daemon runs and Compose is installed."""
