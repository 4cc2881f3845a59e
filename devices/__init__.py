"""What a home says: typed events, the home's current state, and one decoder per protocol."""
