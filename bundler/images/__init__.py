"""What the image commands do beside copying."""
