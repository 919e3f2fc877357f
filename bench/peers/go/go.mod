module gyre-bench-peer

go 1.19

require github.com/jepsen-io/maelstrom/demo/go v0.0.0-20251128144731-cb7f07239012
