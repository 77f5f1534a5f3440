"""Loss of plasticity in deep continual learning: the algorithms, networks and problems of the paper."""
