"""Loss of plasticity in deep continual learning: algorithms, networks and problems of the paper."""
