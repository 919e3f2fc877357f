// The exercise's messages on Maelstrom's Go library, which has no timeouts:
// a callback whose reply never comes stays.
package main

import (
	"encoding/json"
	"log"
	"sync/atomic"

	maelstrom "github.com/jepsen-io/maelstrom/demo/go"
)

func main() {
	node := maelstrom.NewNode()
	var pending atomic.Int64

	node.Handle("echo", func(msg maelstrom.Message) error {
		var body map[string]any
		if err := json.Unmarshal(msg.Body, &body); err != nil {
			return err
		}
		body["type"] = "echo_ok"
		return node.Reply(msg, body)
	})

	node.Handle("send_fire_forget", func(msg maelstrom.Message) error {
		var body struct {
			Target  string         `json:"target"`
			Payload map[string]any `json:"payload"`
		}
		if err := json.Unmarshal(msg.Body, &body); err != nil {
			return err
		}
		pending.Add(1)
		err := node.RPC(body.Target, body.Payload, func(maelstrom.Message) error {
			pending.Add(-1)
			return nil
		})
		if err != nil {
			return err
		}
		return node.Reply(msg, map[string]any{
			"type":    "send_fire_forget_ok",
			"pending": pending.Load(),
		})
	})

	node.Handle("stats", func(msg maelstrom.Message) error {
		return node.Reply(msg, map[string]any{
			"type":    "stats_ok",
			"pending": pending.Load(),
		})
	})

	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
}
