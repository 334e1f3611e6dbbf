"""The throughput harness: `gelap bench`.

The command itself stays small: everything that computes runs in child processes (`bench.task`), one for each arithmetic
path and number of threads, so that measurements do not share memory, compiled code or CPU affinity.
"""
