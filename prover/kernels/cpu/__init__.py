"""Field and curve arithmetic for CPUs, portable to any of them."""
