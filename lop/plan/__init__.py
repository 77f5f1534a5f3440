"""Planning: which runs are missing, why, how long they take, and what they request from a scheduler."""
