"""The sealed plan ``plan.json``, which is signed and announces the content of a bundle before it.

An archive starts with it, and every volume contains it. ``authenticate_plan`` verifies its
signatures; a ``resend_request`` asks for volumes under the same plan. Imports ``inventory``,
``reading`` and ``authenticate``. Read ``sealed_plan`` first.
"""
