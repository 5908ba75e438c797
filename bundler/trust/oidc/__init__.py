"""Logins to an OpenID Connect provider, which issues an identity token for Fulcio.

Read ``provider`` first. ``authorization_code`` is the login with a browser, ``device_grant`` the
one on another device. Both return a token that ``identity_token`` has verified.
"""
