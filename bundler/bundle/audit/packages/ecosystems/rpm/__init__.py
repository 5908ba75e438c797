"""Packages of rpm, from its databases. ``database`` defines the detector; read it first."""
