"""Questions of time: when a condition is first fulfilled, and which of several."""
