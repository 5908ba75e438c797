"""Exchanges: single HTTP requests and responses, their connections and their deadlines.

Read ``http_client`` first, which sends a request as an exchange that ``watchdog`` limits.
"""
