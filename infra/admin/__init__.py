"""The admin port: one HTTP application for health, metrics, page and API, and who may use it."""
