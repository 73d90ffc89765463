"""Jobs on Slurm: an experiment's steps as a chain of jobs, from one template."""
