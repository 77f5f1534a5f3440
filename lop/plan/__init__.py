"""What figures would cost, before anything starts: which runs are to be made, why, and for how long."""
