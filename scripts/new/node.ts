/** What the node does. */
import type { Node } from "@gyre/node";

/** What `deno task sim` asks of it, unless its option `--workload` says otherwise. */
export const workload = "echo";

/**
 * Sets the node's handlers: for main.ts, which runs it, and for the tests.
 *
 * @param node The node.
 */
export function setUp(node: Node): void {
  node.on<{ echo: unknown }>("echo", ({ body: { echo } }) => ({ echo }));

  // The same, asked of another node. If that does not reply within 500 ms, the
  // RPC fails, and so does this request: with the same error, of code 0.
  node.on<{ node: string; echo: unknown }>("relay", async ({ body }) => {
    const request = { type: "echo", echo: body.echo };
    const { echo } = await node.rpc(body.node, request, { timeoutMs: 500 });
    return { echo };
  });
}
