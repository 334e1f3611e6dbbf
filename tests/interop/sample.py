"""What the sample circuit is given, and the public beacon that ends its ceremonies."""

SAMPLE_INPUT = {"secret": "1234", "threshold": "77", "tag": "9", "unused": "5"}
BEACON = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
