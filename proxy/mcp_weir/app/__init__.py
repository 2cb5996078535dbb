"""The composition root: what a relay worker, a recorder process and a dashboard are made of. One file each."""
