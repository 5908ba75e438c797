"""Exchanges: single HTTP requests and responses, their connections and their deadlines.

Read ``http_client`` first.
"""
