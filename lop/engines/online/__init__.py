"""Learning from one example at a time, compiled: what per-example experiments spend their time on."""
