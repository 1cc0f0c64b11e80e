"""What the mesh costs and what it gains, as ratios of things measured in one run."""
