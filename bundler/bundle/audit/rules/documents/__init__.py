"""The files that a site writes, with rules and with waivers, and their JSON Schema."""
