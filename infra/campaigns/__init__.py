"""Campaigns as people hand them in: files and running installations -> a document -> the check."""
