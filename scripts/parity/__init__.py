"""What scripts/check_parity.py compares, network by network."""
